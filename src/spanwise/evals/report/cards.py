"""A model card and a data card of a run, as Markdown with the metadata that the Hub reads, from the run folder alone.

The model card says what the config, the log and the results say, and what they do not; the data card describes the
files that the config names, as far as they are still there. Neither invents a licence or an intended use.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from huggingface_hub import DatasetCardData, ModelCardData

from spanwise.core import DataError, read_json, read_lines, write_text
from spanwise.evals.runs import NOTHING_LEARNED, Run, read_run
from spanwise.evals.statistics import ExperimentResults, mean_and_interval, plain
from spanwise.text import count_words

MODEL_CARD, DATA_CARD = "model_card.md", "data_card.md"
TOLD = ("eval/reward/", "eval/kl/response", "eval/response/", "heldout/", "alarm/")
"""Beginnings of the metrics that a model card shows."""


@dataclass(frozen=True)
class DataFile:
    """A file that a config names: under which key, and what is in it where it is there."""

    key: str
    path: Path
    records: int | None = None
    broken: int = 0
    sha256: str = ""
    fields: tuple[tuple[str, int], ...] = ()
    """(field, records that have it)."""
    words: tuple[tuple[str, float], ...] = ()
    """(text field, mean words)."""


def write_cards(folder: Path, output: Path) -> list[Path]:
    """Writes both cards of the run `folder` into `output` and returns their paths."""
    cards = {MODEL_CARD: model_card(folder), DATA_CARD: data_card(folder)}
    for name, text in cards.items():
        write_text(output / name, text)
    return [output / name for name in cards]


def model_card(folder: Path) -> str:
    """The model card of a run or experiment folder; raises DataError when it is neither."""
    run, values = _read(folder)
    results = ExperimentResults.load(folder) if _is_experiment(folder) else None
    kind = _kind(values, results)
    base = str(values.get("policy") or values.get("model") or values.get("backbone") or "")
    data = ModelCardData(
        base_model=base if _is_hub_name(base) else None,
        library_name="transformers",
        pipeline_tag=None if kind.startswith("A reward model") else "text-generation",
        tags=["spanwise", "fine-grained-feedback", *(["rlhf"] if "mixture" in values else [])],
    )
    parts = [
        f"---\n{data.to_yaml()}\n---",
        f"# {folder.resolve().name}",
        kind,
        *([f"**{NOTHING_LEARNED.capitalize()}.**"] if run.learned_nothing else []),
        "Licence, intended use and risks are not known to the run; write them here before you share the model.",
        *_training(values, base),
        *(_experiment(results) if results is not None else _course(run)),
        "## How to make it again",
        "```sh\n" + (results.command if results and results.command else _command(values)) + "\n```",
        *([f"The resolved config:\n\n```yaml\n{run.config.strip()}\n```"] if run.config else []),
    ]
    return "\n\n".join(parts) + "\n"


def data_card(folder: Path) -> str:
    """The data card of a run folder: every JSONL file that its config names."""
    run, values = _read(folder)
    files = [_describe(key, path) for key, path in _named_files(values)]
    data = DatasetCardData(pretty_name=f"Data of {folder.resolve().name}", tags=["spanwise"])
    there = [file for file in files if file.records is not None]
    parts = [
        f"---\n{data.to_yaml()}\n---",
        f"# Data of {folder.resolve().name}",
        f"The config of the run names {len(files)} data files, of which {len(there)} can be read here. Origin, "
        "licence, consent and personal data are not known to the run; write them here before you share the data.",
        *(_file_part(file) for file in files),
    ]
    if not run.config:
        parts.append("The run folder holds no config.yaml, so nothing is known of its data.")
    return "\n\n".join(parts) + "\n"


def _read(folder: Path) -> tuple[Run, dict[str, Any]]:
    known = ("config.yaml", "metrics.jsonl", "results.json")
    if not any((folder / name).is_file() for name in known):
        raise DataError(f"{folder}: holds none of {', '.join(known)}; give a run folder.")
    run = read_run(folder, folder.resolve().name)
    try:
        values = yaml.safe_load(run.config) if run.config else {}
    except yaml.YAMLError as error:
        raise DataError(f"{folder / 'config.yaml'}: not YAML; mend it or remove it.") from error
    return run, cast("dict[str, Any]", values) if isinstance(values, dict) else {}


def _is_experiment(folder: Path) -> bool:
    path = folder / "results.json"
    if not path.is_file():
        return False
    value = read_json(path)
    return isinstance(value, dict) and "arms" in value


def _kind(values: Mapping[str, Any], results: ExperimentResults | None) -> str:
    if results is not None:
        return f"The models of an experiment: {results.title}."
    if "mixture" in values:
        sources = cast("dict[str, Any]", values["mixture"].get("sources", {}))
        return f"A policy trained with rewards on parts of its answers: {', '.join(sources)}."
    if "heads" in values:
        return f"A reward model with the heads {', '.join(map(str, values['heads']))}."
    return "A language model." if not values else "A language model trained with the config below."


def _training(values: Mapping[str, Any], base: str) -> list[str]:
    rows = [("start", base), ("algorithm", values.get("algorithm")), ("steps", values.get("steps"))]
    rows += [("seed", values.get("seed"))]
    mixture = cast("dict[str, Any]", values.get("mixture") or {})
    for name, rule in cast("dict[str, dict[str, Any]]", mixture.get("sources", {})).items():
        rows.append((f"weight of {name}", rule.get("weight")))
    known = [[name, f"`{value}`"] for name, value in rows if value not in (None, "")]
    return ["## Training", _table(["setting", "value"], known)] if known else []


def _course(run: Run) -> list[str]:
    rows: list[list[str]] = []
    for key, curve in run.curves.items():
        known = [(step, value) for step, value in curve if value is not None]
        if known and key.startswith(TOLD):
            (first, start), (last, end) = known[0], known[-1]
            rows.append([f"`{key}`", f"{plain(start)} (step {first:g})", f"{plain(end)} (step {last:g})"])
    if not rows:
        return ["## What was measured", "The run folder holds no held-out figures."]
    rang = [key for key, curve in run.curves.items() if key.startswith("alarm/") and any(v == 1 for _, v in curve)]
    alarms = f"Alarms that rang: {', '.join(rang)}." if rang else "No alarm of the log rang, or none was watched."
    note = "One run: there are no intervals, and its own reward chose the checkpoint."
    return ["## What was measured", _table(["figure", "first", "last"], rows), f"{alarms} {note}"]


def _experiment(results: ExperimentResults) -> list[str]:
    infos = results.metrics
    head = ["arm", *(f"{info.label}{f', {info.unit}' if info.unit else ''}" for info in infos.values())]
    rows = [
        [arm.title, *(mean_and_interval(arm.metrics.get(name), info) for name, info in infos.items())]
        for arm in results.arms.values()
    ]
    seeds = f"Seeds: {', '.join(map(str, results.seeds))}; means" if results.seeds else "Means"
    notes = "\n".join(f"- {note}" for note in results.notes)
    return ["## What was measured", f"{seeds} with 95 % intervals.", _table(head, rows), *([notes] if notes else [])]


def _command(values: Mapping[str, Any]) -> str:
    if "mixture" in values:
        return "spanwise rl config.yaml"
    return "spanwise reward train config.yaml" if "heads" in values else "spanwise sft config.yaml"


def _is_hub_name(name: str) -> bool:
    """`owner/name`, or a bare name; what is a path here, or begins like one, is none."""
    return bool(name) and not Path(name).exists() and not name.startswith((".", "/", "~")) and name.count("/") <= 1


def _named_files(values: Any, key: str = "") -> Iterator[tuple[str, Path]]:
    """(dotted key, path) of every JSONL file in a config."""
    if isinstance(values, dict):
        for name, inner in cast("dict[str, Any]", values).items():
            yield from _named_files(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(values, list):
        for inner in cast("list[Any]", values):
            yield from _named_files(inner, key)
    elif isinstance(values, str) and values.removesuffix(".gz").endswith(".jsonl"):
        yield key, Path(values)


def _describe(key: str, path: Path) -> DataFile:
    if not path.is_file():
        return DataFile(key, path)
    fields: Counter[str] = Counter()
    words: dict[str, list[int]] = {}
    records = broken = 0
    for _, line in read_lines(path):
        try:
            record = json.loads(line)
        except ValueError:
            broken += 1
            continue
        records += 1
        if isinstance(record, dict):
            for name, value in cast("dict[str, Any]", record).items():
                fields[name] += 1
                if isinstance(value, str) and name != "id":
                    words.setdefault(name, []).append(count_words(value))
    return DataFile(
        key,
        path,
        records,
        broken,
        hashlib.sha256(path.read_bytes()).hexdigest(),
        tuple(fields.items()),
        tuple((name, sum(counts) / len(counts)) for name, counts in words.items()),
    )


def _file_part(file: DataFile) -> str:
    head = f"## `{file.key}`: {file.path.name}"
    if file.records is None:
        return f"{head}\n\nNot at hand: {file.path}."
    means = dict(file.words)
    rows = [[f"`{name}`", f"{count:,}", f"{means[name]:.1f}" if name in means else "-"] for name, count in file.fields]
    broken = f" {file.broken:,} lines are no JSON." if file.broken else ""
    table = _table(["field", "records with it", "mean words"], rows) if rows else "No fields."
    return f"{head}\n\n{file.records:,} records, SHA-256 `{file.sha256}`.{broken}\n\n{table}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in lines)
