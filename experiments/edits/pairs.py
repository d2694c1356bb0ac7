"""Equal pairs for the study of edits: two answers with a preference, and the worse of them with its edit.

One original pair and one edit pair come from the same two answers, so that every reward model learns from as many
pairs, as in Xu et al. 2024. Knows the simulated world; nothing of models.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from spanwise.core import numpy_generator
from spanwise.feedback import EditPair, FeedbackRecord, Preference, Response, Sample
from spanwise.sim import NoiseConfig, SimItem, annotate, edit_answer

Answer = tuple[str, bool]
"""A text, and whether it was cut off."""


@dataclass(frozen=True, slots=True)
class PairSet:
    """As many preferences between two answers as edits of the worse one; entry i of both is of the same answers."""

    original: tuple[FeedbackRecord, ...]
    edits: tuple[EditPair, ...]
    left_out: int
    """Pairs of answers without a preference, an edit, or two whole and different texts."""

    @property
    def edit_records(self) -> tuple[FeedbackRecord, ...]:
        """The edits as preferences, the edit listed first in every other one."""
        return tuple(_as_record(pair, edit_first=place % 2 == 0) for place, pair in enumerate(self.edits))


def make_pairs(
    items: Sequence[SimItem], answers: Sequence[Sequence[Answer]], *, noise: NoiseConfig, seed: int
) -> PairSet:
    """Pairs neighbouring answers of each item; `answers[i]` belong to `items[i]`."""
    generator = numpy_generator(seed, "sim/edits")
    original: list[FeedbackRecord] = []
    edits: list[EditPair] = []
    tried = 0
    for item, texts in zip(items, answers, strict=True):
        for number, (first, second) in enumerate(zip(texts[::2], texts[1::2], strict=False)):
            tried += 1
            found = _pair(item, first, second, generator, noise)
            if found is not None:
                record, edit = found
                original.append(record.model_copy(update={"id": f"{record.id}-{number}"}))
                edits.append(edit.model_copy(update={"id": f"{record.id}-{number}"}))
    return PairSet(tuple(original), tuple(edits), tried - len(edits))


def better_and_worse(record: FeedbackRecord) -> tuple[Sample, Sample]:
    """Both answers of a record with one decided preference, the better one first."""
    (preference,) = record.preferences
    samples = [Sample(record.prompt, response.text, record.passages) for response in record.responses]
    first, second = samples[preference.first], samples[preference.second]
    return (first, second) if preference.winner == "first" else (second, first)


def _pair(
    item: SimItem, first: Answer, second: Answer, generator: np.random.Generator, noise: NoiseConfig
) -> tuple[FeedbackRecord, EditPair] | None:
    if first[1] or second[1] or first[0] == second[0] or not (first[0] and second[0]):
        return None
    record = annotate(item, [first[0], second[0]], generator, noise)
    if record.preferences[0].winner == "tie":
        return None
    _, worse = better_and_worse(record)
    edit = edit_answer(item, worse.response, generator, noise)
    return None if edit is None else (record, edit)


def _as_record(pair: EditPair, *, edit_first: bool) -> FeedbackRecord:
    texts = (pair.edited, pair.original) if edit_first else (pair.original, pair.edited)
    return FeedbackRecord(
        id=pair.id,
        prompt=pair.prompt,
        passages=pair.passages,
        responses=tuple(Response(text=text) for text in texts),
        preferences=(Preference(first=0, second=1, winner="first" if edit_first else "second"),),
        annotator=pair.editor.name,
    )


def samples_of(pairs: Sequence[EditPair]) -> Iterator[tuple[Sample, Sample]]:
    """The edit and the original of each pair, in this order."""
    for pair in pairs:
        yield (
            Sample(pair.prompt, pair.edited, pair.passages),
            Sample(pair.prompt, pair.original, pair.passages),
        )
