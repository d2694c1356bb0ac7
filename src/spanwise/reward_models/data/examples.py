"""Labelled records as tensors: one encoded response serves all heads, and pairs point into the same flat pieces.

Joins labels with encoded inputs; knows nothing of optimisers. Shapes: n pieces, p pairs.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spanwise.feedback import Sample, Unscored
from spanwise.reward_models.data.inputs import EncodedResponse, InputEncoder
from spanwise.reward_models.data.labels import Pair, RecordLabels
from spanwise.reward_models.data.packing import PieceBatch, collate
from spanwise.reward_models.heads import HeadSpec


@dataclass(frozen=True, slots=True)
class Example:
    """One record ready to train on: the responses that fit the window, and their labels by head."""

    labels: RecordLabels
    responses: dict[int, EncodedResponse]
    """By position in the record."""

    @property
    def length(self) -> int:
        """Tokens of the longest response with its prompt."""
        return max(len(response.ids) for response in self.responses.values())


@dataclass(frozen=True, slots=True)
class PairTargets:
    """Pairs of one head's responses, and +1/-1 where the better/worse one was shown first, 0 = unknown."""

    better: Int[Tensor, " p"]
    worse: Int[Tensor, " p"]
    order: Float[Tensor, " p"]
    confidence: Float[Tensor, " p"]
    """How likely the better one is better, from .5 to 1."""
    first: Int[Tensor, " r"]
    """Of each response that has pieces of this head, the number of the first of them among all pieces."""
    size: Int[Tensor, " r"]
    """How many it has: one of a sequence head."""

    def means(self, pieces: Float[Tensor, "n ..."]) -> Float[Tensor, "r ..."]:
        """What belongs to pieces, numbers or vectors, as the mean over those of each response."""
        response = torch.repeat_interleave(torch.arange(len(self.size)), self.size)
        within = torch.arange(len(response)) - torch.repeat_interleave(self.size.cumsum(0) - self.size, self.size)
        rows = pieces[(self.first[response] + within).to(pieces.device)]
        sums = torch.zeros_like(rows[: len(self.size)]).index_add(0, response.to(pieces.device), rows)
        return sums / self.size.to(sums).reshape(-1, *[1] * (sums.ndim - 1))


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """Several records: inputs, a label for each piece, and pairs by head."""

    inputs: PieceBatch
    correct: Float[Tensor, " n"]
    label_mask: Bool[Tensor, " n"]
    """True = the piece has a label."""
    pairs: dict[str, PairTargets]
    owners: list[tuple[int, int]]
    """Of each piece: number of the example in the batch, position of the response in its record."""


def make_examples(labelled: Sequence[RecordLabels], encoder: InputEncoder) -> tuple[list[Example], dict[str, int]]:
    """Encodes every response that carries a label; counts those too long for the window and sentences cut."""
    wanted = [(labels, position) for labels in labelled for position in sorted(_used(labels))]
    encoded = encoder.encode([_sample(labels, position) for labels, position in wanted])
    counts: Counter[str] = Counter()
    kept: dict[int, dict[int, EncodedResponse]] = {}
    for (labels, position), item in zip(wanted, encoded, strict=True):
        if isinstance(item, Unscored):
            counts["inputs/responses longer than the window"] += 1
            continue
        counts["inputs/responses with passages cut"] += item.sentences_cut > 0
        kept.setdefault(id(labels), {})[position] = item
    examples = [Example(labels, kept[id(labels)]) for labels in labelled if id(labels) in kept]
    counts["inputs/records without a label"] = len(labelled) - len({id(labels) for labels, _ in wanted})
    return examples, {reason: number for reason, number in counts.items() if number}


def make_batch(
    examples: Sequence[Example], heads: Sequence[HeadSpec], *, pad_id: int, pack_to: int = 0
) -> TrainingBatch:
    """Collates whole records, so that one forward pass serves every head and pair; `pack_to` as for `collate`."""
    rows = [(number, position) for number, example in enumerate(examples) for position in example.responses]
    responses = [examples[number].responses[position] for number, position in rows]
    targets: list[float | None] = []
    owners: list[tuple[int, int]] = []
    places: dict[str, dict[tuple[int, int], tuple[int, int]]] = {head.name: {} for head in heads}
    for number, position in rows:
        for head in heads:
            targets_of_head = _targets(examples[number], position, head)
            if targets_of_head:
                places[head.name][number, position] = len(targets), len(targets_of_head)
            targets += targets_of_head
            owners += [(number, position)] * len(targets_of_head)
    known = [target is not None for target in targets]
    return TrainingBatch(
        inputs=collate(responses, heads, pad_id=pad_id, pack_to=pack_to),
        correct=torch.tensor([target or 0.0 for target in targets], dtype=torch.float32),
        label_mask=torch.tensor(known, dtype=torch.bool),
        pairs={head.name: _pairs(examples, head.name, places[head.name]) for head in heads if head.kind != "segment"},
        owners=owners,
    )


def _used(labels: RecordLabels) -> set[int]:
    segments = {position for by_position in labels.segments.values() for position in by_position}
    return segments | {
        response for pairs in labels.pairs.values() for pair in pairs for response in (pair.better, pair.worse)
    }


def _sample(labels: RecordLabels, position: int) -> Sample:
    record = labels.record
    return Sample.of(record, record.responses[position].text)


def _targets(example: Example, position: int, head: HeadSpec) -> list[float | None]:
    pieces = example.responses[position].pieces[head.density]
    segment_labels = example.labels.segments.get(head.name, {}).get(position)
    if not segment_labels:
        return [None] * len(pieces)
    return [label.correct for label, _ in zip(segment_labels, pieces, strict=True)]


def _pairs(examples: Sequence[Example], head: str, places: dict[tuple[int, int], tuple[int, int]]) -> PairTargets:
    responses = {owner: index for index, owner in enumerate(places)}
    pairs: list[tuple[int, int, Pair]] = []
    for number, example in enumerate(examples):
        for pair in example.labels.pairs.get(head, ()):
            better, worse = responses.get((number, pair.better)), responses.get((number, pair.worse))
            if better is not None and worse is not None:
                pairs.append((better, worse, pair))
    order = [0.0 if pair.better_first is None else (1.0 if pair.better_first else -1.0) for _, _, pair in pairs]
    return PairTargets(
        better=torch.tensor([better for better, _, _ in pairs], dtype=torch.long),
        worse=torch.tensor([worse for _, worse, _ in pairs], dtype=torch.long),
        order=torch.tensor(order, dtype=torch.float32),
        confidence=torch.tensor([pair.confidence for _, _, pair in pairs], dtype=torch.float32),
        first=torch.tensor([first for first, _ in places.values()], dtype=torch.long),
        size=torch.tensor([size for _, size in places.values()], dtype=torch.long),
    )
