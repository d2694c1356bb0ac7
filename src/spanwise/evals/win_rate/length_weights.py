"""What AlpacaEval stores for length control: a weight row per model and a difficulty per instruction.

The benchmark keeps its difficulties on a server. They are in its annotation files all the same: a row's
`glm_preference` is sigmoid(w_x * difficulty + w_m), so a file that has it and the model's weights give them back. A
table of instructions and difficulties is read as well. Both are joined by instruction: the row number says nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spanwise.core import DataError
from spanwise.evals.win_rate.alpaca_files import instruction_and_input, read_plain, read_rows, read_table

_COLUMNS = ("np.tanh(std_delta_len)", "instruction_difficulty", "not_gamed_baseline.astype(float)")


@dataclass(frozen=True, slots=True)
class LengthWeights:
    """The model's logit: length * tanh(length difference / its deviation) + difficulty * the instruction's + model."""

    length: float
    difficulty: float
    model: float


def read_weights(path: Path) -> dict[str, LengthWeights]:
    """The weights by model name of AlpacaEval's CSV file."""
    weights: dict[str, LengthWeights] = {}
    for model, row in read_table(path).items():
        missing = [column for column in _COLUMNS if column not in row]
        if missing:
            raise DataError(f"{path}: has no column {missing[0]!r}; give AlpacaEval's weights of length_controlled_v1.")
        try:
            length, difficulty, model_weight = (float(row[column]) for column in _COLUMNS)
        except ValueError as error:
            raise DataError(f"{path}: a weight of {model!r} is no number ({error}); mend its line.") from error
        weights[model] = LengthWeights(length, difficulty, model_weight)
    return weights


def read_difficulty(path: Path, weights: Mapping[str, LengthWeights] | None = None) -> dict[str, float]:
    """Difficulties by instruction, from annotations with glm_preference or a CSV table with the instructions.

    Annotations need the `weights` that predicted them.
    """
    if read_plain(path).lstrip()[:1] in ("[", "{"):
        return _from_annotations(path, weights)
    return _from_table(path)


def _from_annotations(path: Path, weights: Mapping[str, LengthWeights] | None) -> dict[str, float]:
    rows = read_rows(path, ("instruction",))
    if not any("glm_preference" in row for row in rows):
        raise DataError(f"{path}: no row has a glm_preference; give a file that AlpacaEval wrote with length control.")
    model = str(rows[0].get("generator_2"))
    if weights is None or model not in weights:
        raise DataError(f"{path}: difficulties follow from the weights of {model!r}; give a weights file with its row.")
    model_weights = weights[model]
    if model_weights.difficulty == 0:
        raise DataError(f"{path}: {model!r} has no weight on difficulty; give the annotations of another model.")
    difficulties: dict[str, float] = {}
    for number, row in enumerate(rows, start=1):
        place, chance = f"{path}: row {number}", row.get("glm_preference")
        if not isinstance(chance, float) or not 0 < chance < 1:
            raise DataError(f"{place}: glm_preference {chance!r:.20} is not between 0 and 1; mend it.")
        logit = math.log(chance / (1 - chance))
        difficulties[instruction_and_input(row, place)] = (logit - model_weights.model) / model_weights.difficulty
    return difficulties


def _from_table(path: Path) -> dict[str, float]:
    table = read_table(path)
    try:
        difficulties = {instruction: float(next(reversed(row.values()))) for instruction, row in table.items()}
    except (ValueError, StopIteration) as error:
        raise DataError(f"{path}: the last column must hold the difficulties as numbers; mend the table.") from error
    if all(instruction.isdigit() for instruction in difficulties):
        raise DataError(
            f"{path}: names instructions by their row, which shifts as soon as one is missing; put the instructions' "
            "text into the first column."
        )
    return difficulties
