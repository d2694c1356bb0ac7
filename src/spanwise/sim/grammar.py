"""Sentences of the simulated world: facts into text, and any text back into clauses.

The writer and the parser share the templates of `lexicon.py`, so that whatever the writer says the parser
reads, and whatever else a model may emit comes back as a clause without a relation. What is true or wanted is
not known here; `oracle.py` judges.
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from spanwise.sim.lexicon import FEMALE_NAMES, MALE_NAMES, RELATIONS, Relation
from spanwise.text import Span

UNKNOWN = "unknown"
"""The value of a fact that the passages do not state."""
_PRONOUN = r"[Ss]he|[Hh]e|[Ii]t"
_POSSESSIVE = r"[Hh]er|[Hh]is|[Ii]ts"
_NAME = r"[A-Z]\w*(?: [A-Z]\w*)?"
_SENTENCE = re.compile(r"[^.]+(?:\.|$)")
_JOINT = re.compile(r"[,;] and |[,;] | and ")


@dataclass(frozen=True, slots=True)
class Fact:
    """`relation` of the named subject has `value`; UNKNOWN says that the passages do not state it."""

    subject: str
    relation: str
    value: str


@dataclass(frozen=True, slots=True)
class Clause:
    """One stretch of an answer that says one thing.

    `subject` is the name that the clause or its pronoun stands for, or None when nothing was named before.
    `relation` is None for text that says nothing the world knows.
    """

    span: Span
    sentence: int
    subject: str | None = None
    relation: Relation | None = None
    value_span: Span | None = None


def pronouns(name: str) -> tuple[str, str]:
    """Subject and possessive pronoun of an entity."""
    first = name.split(maxsplit=1)[0]
    if first in FEMALE_NAMES:
        return "she", "her"
    return ("he", "his") if first in MALE_NAMES else ("it", "its")


def write_clause(fact: Fact, relation: Relation, paraphrase: int, *, named: bool) -> str:
    """The fact in the words of one paraphrase, with the name or with a pronoun."""
    subject, possessive = (fact.subject, f"{fact.subject}'s") if named else pronouns(fact.subject)
    return relation.clauses[paraphrase].format(s=subject, p=possessive, v=fact.value)


def write_sentence(clauses: Sequence[str]) -> str:
    """Joins clauses into one sentence with a capital and a full stop."""
    text = ", and ".join(clauses)
    return text[:1].upper() + text[1:] + "."


def parse(text: str) -> list[Clause]:
    """Every clause of `text` in order; pronouns stand for the name last used as a subject."""
    clauses: list[Clause] = []
    subject: str | None = None
    for number, sentence in enumerate(_SENTENCE.finditer(text)):
        for span in _pieces(text, sentence.start(), sentence.end()):
            clause = _read(text, span, number, subject)
            subject = clause.subject
            clauses.append(clause)
    return clauses


def _pieces(text: str, start: int, end: int) -> list[Span]:
    """Clause spans of one sentence, without joints, full stop and outer blanks."""
    body = text[start:end].rstrip(". \n")
    cuts = [0, *(edge for joint in _JOINT.finditer(body) for edge in joint.span()), len(body)]
    spans: list[Span] = []
    for left, right in zip(cuts[::2], cuts[1::2], strict=True):
        piece = body[left:right]
        lead = len(piece) - len(piece.lstrip())
        if piece.strip():
            spans.append(Span(start + left + lead, start + left + len(piece.rstrip())))
    return spans


def _read(text: str, span: Span, sentence: int, subject: str | None) -> Clause:
    words = span.of(text)
    for relation, pattern in _patterns():
        match = pattern.fullmatch(words)
        if match:
            value = Span(*match.span("v")).shift(span.start)
            named = match.groupdict().get("s") or match.groupdict().get("p")
            return Clause(span, sentence, named or subject, relation, value)
    return Clause(span, sentence, subject)


@functools.cache
def _patterns() -> list[tuple[Relation, re.Pattern[str]]]:
    return [(relation, _pattern(template)) for relation in RELATIONS for template in relation.clauses]


def _pattern(template: str) -> re.Pattern[str]:
    pattern = re.escape(template).replace(r"\{v\}", r"(?P<v>.+)")
    pattern = pattern.replace(r"\{s\}", rf"(?:(?:{_PRONOUN})|(?P<s>{_NAME}))")
    return re.compile(pattern.replace(r"\{p\}", rf"(?:(?:{_POSSESSIVE})|(?P<p>{_NAME})'s)"))
