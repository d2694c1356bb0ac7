"""What a file of feedback offers for training: its records, split by question, and the answers worth imitating.

Knows nothing of models. Nothing is left out without a count.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spanwise.core import DataError, numpy_generator
from spanwise.feedback import DemonstrationRecord, FeedbackRecord, PromptRecord, Response, SpanMark

FEWEST_QUESTIONS = 4
"""With fewer there is nothing to hold out and still learn from."""


@dataclass(frozen=True, slots=True)
class Material:
    """The good records of a file in two parts that share no question."""

    training: list[FeedbackRecord]
    heldout: list[FeedbackRecord]

    @property
    def records(self) -> list[FeedbackRecord]:
        """Both parts."""
        return [*self.training, *self.heldout]


@dataclass(frozen=True, slots=True)
class Demonstrations:
    """Answers to imitate, one a question, and from where they are taken."""

    records: list[DemonstrationRecord]
    origins: dict[str, int] = field(default_factory=dict[str, int])
    """In words, with how many."""


def divided(records: Sequence[FeedbackRecord], *, share: float, seed: int, place: Path) -> Material:
    """The records in two parts, `share` of the questions held out; what belongs to one question stays together.

    Raises DataError where there are fewer than four questions.
    """
    questions = sorted({record.question for record in records})
    if len(questions) < FEWEST_QUESTIONS:
        raise DataError(
            f"{place}: asks {len(questions)} different questions, and some must be held out; give a file with at least "
            f"{FEWEST_QUESTIONS}."
        )
    order = numpy_generator(seed, "setup/heldout").permutation(len(questions))
    chosen = {questions[index] for index in order[: max(1, round(share * len(questions)))]}
    return Material(
        [record for record in records if record.question not in chosen],
        [record for record in records if record.question in chosen],
    )


def prompts_of(records: Iterable[FeedbackRecord]) -> list[PromptRecord]:
    """Every prompt once, with its passages and references."""
    by_question = {record.question: record for record in reversed(list(records)) if record.prompt.strip()}
    return [PromptRecord.model_validate(_asked(record)) for record in reversed(by_question.values())]


def demonstrations_of(records: Iterable[FeedbackRecord], *, any_answer: bool = False) -> Demonstrations:
    """The best answer known to each question: a correction, a reference, an answer without a mark, a preferred one.

    With `any_answer`, where none is known to be good, the first answer as it stands.
    """
    chosen: dict[str, DemonstrationRecord] = {}
    origins: Counter[str] = Counter()
    for record in records:
        found = next(_good_answers(record), None)
        if found is None and any_answer:
            found = next(((r.text, "answers as they stand") for r in record.responses if r.text.strip()), None)
        if found is None or record.question in chosen or not record.prompt.strip():
            continue
        text, origin = found
        chosen[record.question] = DemonstrationRecord.model_validate({**_asked(record), "completion": text})
        origins[origin] += 1
    return Demonstrations(list(chosen.values()), dict(origins))


def marks_of(records: Iterable[FeedbackRecord]) -> Iterator[tuple[Response, SpanMark]]:
    """Every mark with the response that it lies in."""
    return ((response, mark) for record in records for response in record.responses for mark in response.spans)


def _good_answers(record: FeedbackRecord) -> Iterator[tuple[str, str]]:
    """Answers with where they come from, the best first."""
    yield from ((r.correction, "corrections") for r in record.responses if (r.correction or "").strip())  # type: ignore[misc]
    yield from ((text, "reference answers") for text in record.references if text.strip())
    yield from ((r.text, "answers without a mark") for r in record.responses if _without_fault(r))
    for preference in record.preferences:
        if preference.winner != "tie":
            better = record.responses[preference.first if preference.winner == "first" else preference.second]
            if better.text.strip():
                yield better.text, "preferred answers"


def _without_fault(response: Response) -> bool:
    blamed = any(mark.blames for mark in response.spans) or bool(response.missing)
    return response.marked and not blamed and bool(response.text.strip())


def _asked(record: FeedbackRecord) -> dict[str, object]:
    """The fields of a prompt record."""
    shared = {"id": record.id, "tools": record.tools, "passages": record.passages, "references": record.references}
    asked = {"messages": record.messages} if record.messages else {"prompt": record.prompt}
    return PromptRecord.model_validate({**shared, **asked}).model_dump(mode="json")
