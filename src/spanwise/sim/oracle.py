"""The exact annotator: reads any answer, and knows which span errs, what is missing, and how good the answer is.

Categories are those of QA-Feedback, one per span, by its order of priority: Irrelevant, Redundant,
Wrong-Grounding, Unverifiable, Incoherent. The oracle is the judge of experiments; training sees only what the
noisy annotator of `annotator.py` makes of it.
"""

from dataclasses import dataclass
from typing import Literal

from spanwise.sim.grammar import UNKNOWN, Clause, parse, write_clause, write_sentence
from spanwise.sim.lexicon import BY_NAME
from spanwise.sim.world import Truth
from spanwise.text import Span

Label = Literal["correct", "Irrelevant", "Redundant", "Wrong-Grounding", "Unverifiable", "Incoherent"]
RELEVANCE_ERRORS: tuple[Label, ...] = ("Irrelevant", "Redundant", "Incoherent")
FACT_ERRORS: tuple[Label, ...] = ("Wrong-Grounding", "Unverifiable")
MISSING = "Missing-Answer"


@dataclass(frozen=True, slots=True)
class Finding:
    """One clause with its label; `span` is the part to mark, as short as possible: the value where only it is wrong.

    A right clause answers a part of the question, with the stated value or, where there is none, with UNKNOWN.
    """

    clause: Clause
    label: Label
    span: Span


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything true about one answer.

    `missing` lists the relations that were asked, are stated in the passages and not addressed.
    """

    findings: tuple[Finding, ...]
    missing: tuple[str, ...]
    answerable: int

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.label != "correct")

    def count(self, *labels: Label) -> int:
        """How many clauses carry one of the labels."""
        return sum(finding.label in labels for finding in self.findings)

    @property
    def relevance_error(self) -> float | None:
        """Share of clauses that are irrelevant, redundant or incoherent; None for an answer without clauses."""
        return self.count(*RELEVANCE_ERRORS) / len(self.findings) if self.findings else None

    @property
    def fact_error(self) -> float | None:
        """Share of wrong or unverifiable among the clauses whose facts are checked; None where none is."""
        checked = self.count(*FACT_ERRORS, "correct")
        return self.count(*FACT_ERRORS) / checked if checked else None

    @property
    def completeness(self) -> float | None:
        """Share of the answerable relations that the answer addresses; None where nothing can be answered."""
        return 1 - len(self.missing) / self.answerable if self.answerable else None

    @property
    def quality(self) -> float:
        """The true score: +1 for a right clause, -1 for an error of any of the three kinds, a missing fact included."""
        return float(self.count("correct") - len(self.errors) - len(self.missing))


def judge(response: str, truth: Truth, *, truncated: bool = False) -> Judgement:
    """Labels every clause of any string. The last clause of a truncated response is not held against it."""
    clauses = parse(response)
    if truncated and clauses and clauses[-1].relation is None:
        clauses = clauses[:-1]
    stated_values: dict[str, str] = {}
    findings = tuple(_find(clause, response, truth, stated_values) for clause in clauses)
    missing = tuple(relation for relation in truth.answerable if relation not in stated_values)
    return Judgement(findings, missing, len(truth.answerable))


def minimal_edit(response: str, truth: Truth, *, truncated: bool = False) -> str:
    """The response with every error mended and nothing else touched.

    Bad clauses go, wrong values are replaced, missing facts follow at the end.
    """
    return mend(response, judge(response, truth, truncated=truncated), truth)


def mend(response: str, judgement: Judgement, truth: Truth) -> str:
    """The response without the errors of `judgement`, true or not: what whoever sees these errors makes of it."""
    sentences: dict[int, list[Finding]] = {}
    for finding in judgement.findings:
        sentences.setdefault(finding.clause.sentence, []).append(finding)
    kept = [_mend_sentence(response, group, truth) for group in sentences.values()]
    added = [_state(truth, relation) for relation in judgement.missing]
    return " ".join(text for text in [*kept, *added] if text)


def _find(clause: Clause, response: str, truth: Truth, stated_values: dict[str, str]) -> Finding:
    if clause.relation is None or clause.value_span is None:
        return Finding(clause, "Incoherent", clause.span)
    name, value = clause.relation.name, clause.value_span.of(response)
    subject = clause.subject or truth.entity.name
    if subject != truth.entity.name or name not in truth.asked:
        return Finding(clause, "Irrelevant", clause.span)
    if stated_values.get(name) == value:
        return Finding(clause, "Redundant", clause.span)
    stated_values[name] = value
    if name not in truth.stated:
        label: Label = "correct" if value == UNKNOWN else "Unverifiable"
        return Finding(clause, label, clause.span)
    if value != truth.entity.facts[name]:
        return Finding(clause, "Wrong-Grounding", clause.value_span)
    return Finding(clause, "correct", clause.span)


def _mend_sentence(response: str, findings: list[Finding], truth: Truth) -> str:
    if all(finding.label == "correct" for finding in findings):
        return _sentence_of(response, findings)
    keep = [finding for finding in findings if finding.label in ("correct", *FACT_ERRORS)]
    clauses = [_mend_clause(response, finding, truth) for finding in keep]
    return write_sentence(clauses) if clauses else ""


def _sentence_of(response: str, findings: list[Finding]) -> str:
    start, end = findings[0].clause.span.start, findings[-1].clause.span.end
    return response[start:end] + "."


def _mend_clause(response: str, finding: Finding, truth: Truth) -> str:
    clause = finding.clause
    text = clause.span.of(response)
    if clause.relation is None or clause.value_span is None or finding.label == "correct":
        return text
    value = clause.value_span.shift(-clause.span.start)
    return text[: value.start] + truth.known(clause.relation.name).value + text[value.end :]


def _state(truth: Truth, relation: str) -> str:
    return write_sentence([write_clause(truth.known(relation), BY_NAME[relation], 0, named=True)])
