"""What linear heads are fitted on: of each labelled piece its features, its frozen state and its label, as arrays.

Knows models and examples; nothing of how heads are fitted. Shapes: n rows, p pairs, f features, d states.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from spanwise.reward_models.data import Example, TrainingBatch, by_length, make_batch
from spanwise.reward_models.heads import HeadSpec
from spanwise.reward_models.network import SpanRewardModel


@dataclass(frozen=True)
class PairRows:
    """Pairs as row numbers; `order` is +1/-1 where the better/worse one was shown first, 0 = unknown."""

    better: Int[np.ndarray, " p"]
    worse: Int[np.ndarray, " p"]
    order: Float[np.ndarray, " p"]


@dataclass(frozen=True)
class HeadInputs:
    """The rows of one head: labelled segments, or the responses of questions with pairs."""

    features: Float[np.ndarray, "n f"]
    states: Float[np.ndarray, "n d"]
    question: Int[np.ndarray, " n"]
    """Equal for rows of one prompt."""
    length: Int[np.ndarray, " n"]
    """Characters of the response."""
    correct: Float[np.ndarray, " n"]
    """Of segments how right they are, from 0 to 1."""
    pairs: PairRows | None = None
    """Of a pair head."""


def read_inputs(
    model: SpanRewardModel, examples: Sequence[Example], *, batch_size: int, pad_id: int
) -> dict[str, HeadInputs]:
    """Runs the backbone over `examples` once; the rows of every head by its name."""
    heads = model.config.head_specs
    prompts = {prompt: number for number, prompt in enumerate(dict.fromkeys(e.labels.record.prompt for e in examples))}
    parts: dict[str, list[HeadInputs]] = {head.name: [] for head in heads}
    model.eval()
    for group in by_length(examples, batch_size=batch_size):
        batch = make_batch(group, heads, pad_id=pad_id, pack_to=model.config.window if model.packs else 0)
        with torch.inference_mode():
            states, extra = model.read(batch.inputs.to(model.device))
        features = extra if extra is not None else states[:, :0]
        rows = (features.double().cpu().numpy(), states.double().cpu().numpy())
        for number, head in enumerate(heads):
            parts[head.name].append(_rows(batch, rows, group, prompts, number=number, head=head))
    return {head.name: _joined(parts[head.name]) for head in heads}


def _rows(
    batch: TrainingBatch,
    read: tuple[Float[np.ndarray, "n f"], Float[np.ndarray, "n d"]],
    group: Sequence[Example],
    prompts: dict[str, int],
    *,
    number: int,
    head: HeadSpec,
) -> HeadInputs:
    records = [(group[example].labels.record, position) for example, position in batch.owners]
    question = np.array([prompts[record.prompt] for record, _ in records], dtype=np.int64)
    wanted: Bool[np.ndarray, " n"] = (batch.inputs.pieces[:, 1] == number).numpy()
    pairs = batch.pairs.get(head.name)
    if pairs is None:
        wanted &= batch.label_mask.numpy()
    else:
        wanted &= np.isin(question, question[pairs.better.numpy()])
    features, states = read
    place = np.cumsum(wanted) - 1
    return HeadInputs(
        features[wanted],
        states[wanted],
        question[wanted],
        np.array([len(record.responses[position].text) for record, position in records], dtype=np.int64)[wanted],
        batch.correct.double().numpy()[wanted],
        None
        if pairs is None
        else PairRows(place[pairs.better.numpy()], place[pairs.worse.numpy()], pairs.order.double().numpy()),
    )


def _joined(parts: Sequence[HeadInputs]) -> HeadInputs:
    starts = np.cumsum([0, *(len(part.question) for part in parts)])[:-1]
    pairs = [(part.pairs, start) for part, start in zip(parts, starts, strict=True) if part.pairs is not None]

    def all_of(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    return HeadInputs(
        all_of("features"),
        all_of("states"),
        all_of("question"),
        all_of("length"),
        all_of("correct"),
        None
        if not pairs
        else PairRows(
            np.concatenate([pair.better + start for pair, start in pairs]),
            np.concatenate([pair.worse + start for pair, start in pairs]),
            np.concatenate([pair.order for pair, _ in pairs]),
        ),
    )
