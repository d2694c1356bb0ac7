"""Token-level training data: aligned edit pairs, and responses whose tokens are labelled right or wrong.

Everything is on the reward model's own token ids, cut out of prompt and response tokenised together; the closing
token of each response counts as one of its tokens. What cannot be trained on is counted with its reason. Knows nothing
of losses or of files. Shapes: n tokens of a batch, p pairs, t tokens of the longest response, m unchanged pairs of
tokens, k labelled tokens.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spanwise.feedback import EditPair, Sample, Unscored
from spanwise.reward_models.config import TokenRewardConfig
from spanwise.reward_models.data.inputs import EncodedResponse, InputEncoder
from spanwise.reward_models.data.packing import PieceBatch, collate
from spanwise.reward_models.data.token_labels import TokenLabels
from spanwise.reward_models.heads import HeadSpec
from spanwise.text import TokenEdit, align_token_pairs


@dataclass(frozen=True, slots=True)
class PairExample:
    """An edit pair as the reward model reads it; positions of `edit` count the tokens of a response."""

    original: EncodedResponse
    edited: EncodedResponse
    edit: TokenEdit

    @property
    def responses(self) -> tuple[EncodedResponse, ...]:
        """Both sides, the original first."""
        return self.original, self.edited

    @property
    def length(self) -> int:
        """Tokens of the longer side with its prompt."""
        return max(len(self.original.ids), len(self.edited.ids))


@dataclass(frozen=True, slots=True)
class LabelExample:
    """A response, and of each of its tokens how right it is, from 0 to 1; None = unknown, it teaches nothing."""

    response: EncodedResponse
    correct: tuple[float | None, ...]

    @property
    def responses(self) -> tuple[EncodedResponse, ...]:
        """The one response."""
        return (self.response,)

    @property
    def length(self) -> int:
        """Tokens of the response with its prompt."""
        return len(self.response.ids)


TokenExample = PairExample | LabelExample


@dataclass(frozen=True, slots=True)
class SideTargets:
    """The originals or the edits of a batch: where their tokens lie in the flat list, and which changed."""

    places: Int[Tensor, "p t"]
    """Padded with 0."""
    response_mask: Bool[Tensor, "p t"]
    changed: Bool[Tensor, "p t"]


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Several examples: inputs with one piece per token, and what pairs and labels say of the flat list of pieces."""

    inputs: PieceBatch
    original: SideTargets
    edited: SideTargets
    unchanged: Int[Tensor, "m 3"]
    """Pair, position in the original, position in the edit."""
    labelled: Int[Tensor, " k"]
    """Flat places of the tokens that have a label."""
    correct: Float[Tensor, " k"]


def response_ids(response: EncodedResponse) -> list[int]:
    """The ids of the response's tokens, its closing token included."""
    return [response.ids[token] for token, _ in response.pieces["token"]]


def pair_examples(
    pairs: Sequence[EditPair], encoder: InputEncoder, config: TokenRewardConfig
) -> tuple[list[PairExample], dict[str, int]]:
    """Aligned pairs that fit the window whole, and how many were left out for which reason."""
    encoded = encoder.encode([Sample.of(pair, text) for pair in pairs for text in (pair.original, pair.edited)])
    counts: Counter[str] = Counter()
    sides: list[tuple[EncodedResponse, EncodedResponse]] = []
    for pair, original, edited in zip(pairs, encoded[::2], encoded[1::2], strict=True):
        reason = _unfit(pair, original, edited)
        if reason is not None or isinstance(original, Unscored) or isinstance(edited, Unscored):
            counts[f"edits/{reason}"] += 1
        else:
            sides.append((original, edited))
    return _aligned(sides, config, counts), dict(counts)


def label_examples(labelled: Sequence[TokenLabels], encoder: InputEncoder) -> tuple[list[LabelExample], dict[str, int]]:
    """Labelled responses that fit the window; a token is as right as the least right character that it wrote."""
    counts: Counter[str] = Counter()
    examples: list[LabelExample] = []
    for item, encoded in zip(labelled, encoder.encode([item.sample for item in labelled]), strict=True):
        if isinstance(encoded, Unscored):
            counts["labels/longer than the window"] += 1
            continue
        correct = tuple(item.of(span) for span in encoded.segments["token"])
        if all(value is None for value in correct):
            counts["labels/no token has a label"] += 1
            continue
        examples.append(LabelExample(encoded, correct))
    return examples, dict(counts)


def token_batch(examples: Sequence[TokenExample], head: HeadSpec, *, pad_id: int, pack_to: int = 0) -> TokenBatch:
    """Collates examples, so that one forward pass serves pairs and labels; `pack_to` as for `collate`."""
    labelled: list[tuple[int, float]] = []
    originals: list[tuple[int, np.ndarray]] = []
    edits: list[tuple[int, np.ndarray]] = []
    unchanged: list[tuple[int, int, int]] = []
    total = 0
    for example in examples:
        starts = [total + shift for shift in _shifts(example)]
        total = starts[-1] + len(example.responses[-1].pieces["token"])
        if isinstance(example, LabelExample):
            labelled += [(starts[0] + at, value) for at, value in enumerate(example.correct) if value is not None]
            continue
        unchanged += [(len(edits), int(position), int(other)) for position, other in example.edit.unchanged_pairs]
        originals.append((starts[0], example.edit.original_changed))
        edits.append((starts[1], example.edit.edited_changed))
    responses = [response for example in examples for response in example.responses]
    return TokenBatch(
        inputs=collate(responses, (head,), pad_id=pad_id, pack_to=pack_to),
        original=_side(originals),
        edited=_side(edits),
        unchanged=torch.tensor(unchanged, dtype=torch.long).reshape(-1, 3),
        labelled=torch.tensor([position for position, _ in labelled], dtype=torch.long),
        correct=torch.tensor([value for _, value in labelled], dtype=torch.float32),
    )


def _unfit(pair: EditPair, original: EncodedResponse | Unscored, edited: EncodedResponse | Unscored) -> str | None:
    """Why a pair teaches nothing; a pair that does not fit the window whole would be cut inside or near an edit."""
    if not pair.edited.strip() or not pair.original.strip():
        return "empty"
    if pair.original.strip() == pair.edited.strip():
        return "identical"
    if isinstance(original, Unscored) or isinstance(edited, Unscored):
        return "cut by the window"
    return None if response_ids(original) != response_ids(edited) else "identical as tokens"


def _aligned(
    sides: Sequence[tuple[EncodedResponse, EncodedResponse]], config: TokenRewardConfig, counts: Counter[str]
) -> list[PairExample]:
    if not sides:
        return []
    eos = _closing_id(sides[0][0])
    ids = [(response_ids(original), response_ids(edited)) for original, edited in sides]
    edits = align_token_pairs(ids, eos=eos, merge_gap=config.merge_gap, gap_anchor=config.gap_anchor)
    examples: list[PairExample] = []
    for (original, edited), tokens, edit in zip(sides, ids, edits, strict=True):
        if (len(edit.original), len(edit.edited)) != (len(tokens[0]), len(tokens[1])):
            counts["edits/text that ends in a special token"] += 1
        else:
            examples.append(PairExample(original, edited, edit))
    return examples


def _closing_id(response: EncodedResponse) -> int | None:
    """The id of the token that closes every response; None where the tokenizer has none."""
    spans = response.segments["token"]
    return response.ids[-1] if spans and not len(spans[-1]) else None


def _shifts(example: TokenExample) -> list[int]:
    """Where the tokens of each response begin among those of the example."""
    return [0, len(example.original.pieces["token"])] if isinstance(example, PairExample) else [0]


def _side(rows: Sequence[tuple[int, np.ndarray]]) -> SideTargets:
    width = max((len(changed) for _, changed in rows), default=0)
    places = torch.zeros((len(rows), width), dtype=torch.long)
    mask, changed = torch.zeros_like(places, dtype=torch.bool), torch.zeros_like(places, dtype=torch.bool)
    for row, (start, flags) in enumerate(rows):
        places[row, : len(flags)] = torch.arange(start, start + len(flags))
        mask[row, : len(flags)] = True
        changed[row, : len(flags)] = torch.from_numpy(flags)
    return SideTargets(places, mask, changed)
