"""What an exact fit of token rewards is made from: a few matrices of frozen inputs, whatever the number of tokens.

With linear rewards r = x . w, the difference of a pair is linear in w, and what is asked of tokens that stay is
quadratic in it. Knows models and examples; nothing of optimisers. Shapes: n tokens, p pairs, k labels, f inputs (the
likelihoods, the backbone's states, and a 1 for the constant).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float

from spanwise.reward_models.data import LabelExample, PairExample, TokenExample, in_batches, token_batch
from spanwise.reward_models.network import SpanRewardModel
from spanwise.reward_models.token_config import TokenLossConfig


@dataclass(frozen=True, slots=True)
class TokenInputs:
    """The raw inputs of the tokens of each response of an example."""

    example: TokenExample
    rows: tuple[Float[np.ndarray, "_ f"], ...]


@dataclass(frozen=True, slots=True)
class Standard:
    """Mean and deviation of each raw input; what never varies counts for nothing."""

    mean: Float[np.ndarray, " f"]
    scale: Float[np.ndarray, " f"]

    @classmethod
    def of(cls, inputs: Sequence[TokenInputs]) -> "Standard":
        """Over all tokens."""
        rows = np.concatenate([row for item in inputs for row in item.rows]).astype(np.float64)
        spread = rows.std(0)
        return cls(rows.mean(0), np.where(spread > 1e-6, 1 / np.where(spread > 1e-6, spread, 1.0), 0.0))

    def apply(self, rows: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "n g"]:
        """Standardised inputs, and the constant behind them."""
        return np.column_stack([(rows - self.mean) * self.scale, np.ones(len(rows))])


@dataclass(frozen=True, slots=True)
class Design:
    """What the loss of linear token rewards w depends on."""

    differences: Float[np.ndarray, "p f"]
    """Row times w is the argument of a pair's sigmoid, less temperature and margin."""
    moves: Float[np.ndarray, "f f"]
    """w moves w is the mean squared difference between both rewards of a token that stays."""
    stays: Float[np.ndarray, "f f"]
    """w stays w is the mean squared reward of the tokens that stay."""
    labelled: Float[np.ndarray, "k f"]
    correct: Float[np.ndarray, " k"]

    def scaled(self, scale: Float[np.ndarray, " f"]) -> "Design":
        """The same for inputs multiplied by `scale`."""
        outer = np.outer(scale, scale)
        return Design(
            self.differences * scale, self.moves * outer, self.stays * outer, self.labelled * scale, self.correct
        )


def read_tokens(
    model: SpanRewardModel, examples: Sequence[TokenExample], *, batch_size: int, pad_id: int
) -> list[TokenInputs]:
    """Runs the backbone over `examples` once, shortest first."""
    (head,) = model.config.head_specs
    limit = model.config.window if model.packs else 0
    found: list[TokenInputs] = []
    model.eval()
    for group in in_batches(sorted(examples, key=lambda example: example.length), batch_size):
        batch = token_batch(group, head, pad_id=pad_id, pack_to=limit)
        with torch.inference_mode():
            states, extra = model.read(batch.inputs.to(model.device))
        flat = torch.cat([states[:, :0] if extra is None else extra, states], 1).float().cpu().numpy()
        sizes = [len(response.pieces["token"]) for example in group for response in example.responses]
        pieces = iter([flat[left:right] for left, right in pairwise(np.cumsum([0, *sizes]).tolist())])
        found += [TokenInputs(example, tuple(next(pieces) for _ in example.responses)) for example in group]
    return found


def design_of(inputs: Sequence[TokenInputs], standard: Standard, loss: TokenLossConfig) -> Design:
    """The matrices of one set of examples; of no pairs, or of no labels, the parts are empty or 0."""
    width = len(standard.mean) + 1
    differences: list[Float[np.ndarray, " f"]] = []
    labelled: list[Float[np.ndarray, "k f"]] = [np.zeros((0, width))]
    correct: list[float] = []
    moves, stays, count = np.zeros((width, width)), np.zeros((width, width)), 0
    for item in inputs:
        sides = [standard.apply(rows) for rows in item.rows]
        if isinstance(item.example, LabelExample):
            known = [place for place, value in enumerate(item.example.correct) if value is not None]
            labelled.append(sides[0][known])
            correct += [value for value in item.example.correct if value is not None]
            continue
        differences.append(_difference(item.example, sides[0], sides[1], loss))
        places = item.example.edit.unchanged_pairs
        before, after = sides[0][places[:, 0]], sides[1][places[:, 1]]
        moves += (before - after).T @ (before - after)
        stays += (before.T @ before + after.T @ after) / 2
        count += len(places)
    return Design(
        np.array(differences).reshape(-1, width),
        moves / max(1, count),
        stays / max(1, count),
        np.concatenate(labelled),
        np.array(correct, dtype=np.float64),
    )


def _difference(
    example: PairExample, original: Float[np.ndarray, "n f"], edited: Float[np.ndarray, "m f"], loss: TokenLossConfig
) -> Float[np.ndarray, " f"]:
    """Equations 2 (full) and 4 (edited) of Xu et al. 2024 for rewards that are linear in their inputs."""
    if loss.name == "full":
        return edited.mean(0) - original.mean(0)
    better = _changed_mean(edited, example.edit.edited_changed, loss)
    return better - _changed_mean(original, example.edit.original_changed, loss)


def _changed_mean(
    rows: Float[np.ndarray, "n f"], changed: Bool[np.ndarray, " n"], loss: TokenLossConfig
) -> Float[np.ndarray, " f"]:
    divisor = len(rows) if loss.divide_by == "length" else max(1, int(changed.sum()))
    return rows[changed].sum(0) / divisor
