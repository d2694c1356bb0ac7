"""AlpacaEval's files: judge annotations, model outputs and leaderboards, read and written.

An annotation's `preference` is 1 where output_1 (the reference) is better, 2 where output_2 (the model) is, 1.5 for a
draw and anything between for a judge that weighs; old files write 0 for a draw and null where the judge gave nothing.
What a row asks is its instruction with its `input`, where it has one. Files may be gzipped, whatever their name. Knows
nothing of how win rates are computed.
"""

import csv
import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from spanwise.core import BadJSONError, DataError, parse, read_text, write_json, write_text
from spanwise.evals.statistics import JudgedPair, Judgements, Share, joined
from spanwise.feedback import Unscored, named_instead

LEADERBOARD_COLUMNS = (
    "win_rate", "standard_error", "n_wins", "n_wins_base", "n_draws", "n_total", "discrete_win_rate", "mode",
    "avg_length", "length_controlled_winrate", "lc_standard_error",
)  # fmt: skip
"""Columns of a leaderboard behind the model's name."""


def read_rows(path: Path, required: Sequence[str]) -> list[dict[str, Any]]:
    """The objects of a JSON list or of JSON lines, each with text under every required key; DataError names the row."""
    values = _parsed(read_plain(path), path)
    for number, value in enumerate(values, start=1):
        if not isinstance(value, dict):
            raise DataError(f"{path}: row {number} is no object; give AlpacaEval's format, a list of objects.")
        for key in required:
            if not isinstance(cast("dict[str, Any]", value).get(key), str):
                raise DataError(f"{path}: row {number} has no text under {key!r}; add it or drop the row.")
    if not values:
        raise DataError(f"{path}: holds no rows; give a file with at least one.")
    return cast("list[dict[str, Any]]", values)


def read_annotations(path: Path) -> Judgements:
    """The judgements of an annotation file; a preference outside 1 to 2 is unscored, with its reason."""
    with named_instead(path, "alpaca-annotations"):
        rows = read_rows(path, ("instruction", "output_1", "output_2"))
    if not any("preference" in row for row in rows):
        raise DataError(f"{path}: no row has a preference; give the judge's annotations, not the outputs.")
    pairs, doubled = joined([_pair(row, f"{path}: row {number}") for number, row in enumerate(rows, start=1)])
    names = {key: _single(rows, key, path) for key in ("generator_2", "generator_1", "annotator")}
    mismatch = {"doubled": doubled} if doubled else {}
    return Judgements(pairs, names["generator_2"], names["generator_1"], names["annotator"], mismatch)


def read_outputs(path: Path) -> tuple[dict[str, str], str, int]:
    """Outputs by instruction, the model's name, and how many rows repeated an earlier one.

    Raises DataError where one instruction has two different outputs.
    """
    with named_instead(path, "alpaca"):
        rows = read_rows(path, ("instruction", "output"))
    outputs: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        place = f"{path}: row {number}"
        instruction = instruction_and_input(row, place)
        if outputs.setdefault(instruction, row["output"]) != row["output"]:
            place = f"{place}: the instruction {instruction!r:.60}"
            raise DataError(f"{place} stands there before with another output; keep one of them.")
    return outputs, _single(rows, "generator", path) or path.stem, len(rows) - len(outputs)


def instruction_and_input(row: Mapping[str, Any], place: str) -> str:
    """All that a row asks: its instruction and, behind an empty line as in AlpacaEval's own set, its `input`.

    Raises DataError, which names `place`, for an input that is no text.
    """
    context = row.get("input")
    if context is not None and not isinstance(context, str):
        raise DataError(f"{place}: 'input' is no text ({context!r:.40}); write it as text or leave it out.")
    return f"{row['instruction']}\n\n{context}" if context and context.strip() else row["instruction"]


def preference_share(preference: object) -> Share:
    """The share of the model from AlpacaEval's preference."""
    if preference is None:
        return Unscored("no preference")
    if isinstance(preference, bool) or not isinstance(preference, (int, float)) or math.isnan(preference):
        return Unscored(f"preference {preference!r:.20} is no number")
    if preference == 0:
        return 0.5
    return float(preference) - 1 if 1 <= preference <= 2 else Unscored(f"preference {preference:g} is not from 1 to 2")


def write_annotations(path: Path, judged: Judgements, *, extra: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    """Writes the judgements in AlpacaEval's format; `extra` adds keys by instruction."""
    write_json(path, [_row(pair, judged, (extra or {}).get(pair.instruction, {})) for pair in judged.pairs])


def write_outputs(path: Path, outputs: Mapping[str, str], *, model: str) -> None:
    """Writes model outputs in AlpacaEval's format."""
    rows = [{"instruction": key, "output": text, "generator": model} for key, text in outputs.items()]
    write_json(path, rows)


def read_leaderboard(path: Path) -> dict[str, dict[str, float | str | None]]:
    """The rows of a leaderboard by model; numbers as numbers, an empty cell as None."""
    rows = read_table(path)
    return {model: {key: _number(text) for key, text in row.items()} for model, row in rows.items()}


def write_leaderboard(path: Path, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes a leaderboard with AlpacaEval's columns, the best model first."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["", *LEADERBOARD_COLUMNS])
    for model in sorted(rows, key=lambda name: -rows[name]["win_rate"]):
        cells = [rows[model].get(column) for column in LEADERBOARD_COLUMNS]
        writer.writerow([model, *("" if cell is None else cell for cell in cells)])
    write_text(path, stream.getvalue())


def read_table(path: Path) -> dict[str, dict[str, str]]:
    """A CSV file by its first column; raises DataError for a line of another length than the head or a name twice."""
    lines = list(csv.reader(io.StringIO(read_plain(path))))
    if len(lines) < 2:
        raise DataError(f"{path}: holds no rows below its head; give a CSV file with a name in the first column.")
    head, rows = lines[0][1:], dict[str, dict[str, str]]()
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(lines[0]):
            raise DataError(f"{path}:{number}: {len(line)} cells, the head has {len(lines[0])}; mend that line.")
        if line[0] in rows:
            raise DataError(f"{path}:{number}: {line[0]!r} stands there twice; keep one of its lines.")
        rows[line[0]] = dict(zip(head, line[1:], strict=True))
    return rows


def read_plain(path: Path) -> str:
    """The UTF-8 text of a plain or gzipped file without its mark of byte order."""
    return read_text(path).removeprefix("\ufeff")


def _parsed(text: str, path: Path) -> list[Any]:
    try:
        if text.lstrip().startswith("["):
            return parse(text)
        return [parse(line) for line in text.splitlines() if line.strip()]
    except BadJSONError as error:
        raise DataError(f"{path}: {error}") from error


def _pair(row: Mapping[str, Any], place: str) -> JudgedPair:
    share = preference_share(row.get("preference"))
    return JudgedPair(instruction_and_input(row, place), row["output_1"], row["output_2"], share)


def _row(pair: JudgedPair, judged: Judgements, extra: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "instruction": pair.instruction,
        "output_1": pair.reference,
        "generator_1": judged.reference,
        "output_2": pair.answer,
        "generator_2": judged.model,
        "annotator": judged.judge,
        "preference": None if isinstance(pair.share, Unscored) else pair.share + 1,
        **extra,
    }


def _single(rows: Sequence[Mapping[str, Any]], key: str, path: Path) -> str:
    """The one name that all rows have under `key`, empty where none has; DataError where they differ."""
    names = Counter(str(row[key]) for row in rows if row.get(key) is not None)
    if len(names) > 1:
        raise DataError(
            f"{path}: {key} is {', '.join(sorted(names)[:3])}; give one file per model, reference and judge."
        )
    return next(iter(names), "")


def _number(text: str) -> float | str | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        return text
