"""`spanwise score`: what any number of answers earn, in Parquet files that are whole or absent.

Answers are read line by line and scored a few thousand at a time, so that memory does not grow with the file. Each
Parquet file keeps a fingerprint of the lines that it was made from: a run that was killed goes on behind its last file,
and a line that was mended is scored again with the others of its file alone. Several processes share the files of one
folder, each a shard of them, and need not know of one another.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from spanwise.core import ConfigError, DataError, atomic_path, read_json, read_lines, take_lock, write_json
from spanwise.feedback import Place, RewardSource, Sample, SegmentScores, Text, Unscored, parse_record
from spanwise.reward_models import ResponseRecord
from spanwise.rewards.config import MixtureConfig, ScoreConfig
from spanwise.rewards.mixture import MixedScores, Mixture
from spanwise.rewards.sources import configured_sources

AT_ONCE = 2048
"""Answers in memory, among which those of like length are read together."""
MANIFEST, FORMAT, NOTE = "manifest.json", 1, b"spanwise"
SEGMENTS = pa.list_(
    pa.struct([("start", pa.int32()), ("end", pa.int32()), ("value", pa.float64()), ("unscored", pa.string())])
)


class AnswerRecord(ResponseRecord):
    """One line to score; other keys are passed over."""

    id: Text = Field(default="")


@dataclass(frozen=True)
class Shard:
    """Which of the files a process makes: every `count`-th, from the `number`-th on."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """From i/n; raises ConfigError unless 1 <= i <= n."""
        number, _, count = text.partition("/")
        if number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count):
            return cls(int(number), int(count))
        raise ConfigError(f"--shard {text}: is not of the form i/n with i from 1 to n, for example 1/8.")

    def has(self, part: int) -> bool:
        """Whether this shard makes file `part`, counted from 0."""
        return part % self.count == self.number - 1


@dataclass
class ScoredShard:
    """What became of a shard; answers of files that were there already are counted, too."""

    answers: int = 0
    files: int = 0
    kept: int = 0
    """Files that were there, made from the same lines."""
    unscored: dict[str, int] = field(default_factory=dict[str, int])
    """By source: answers, or segments of them, that it could not score; under "reward" answers without a reward."""
    missing: int = 0
    """Files of other shards that are not there yet."""


@dataclass(frozen=True)
class _Part:
    number: int
    first: int
    """Number of its first answer in the file, from 0."""
    lines: list[tuple[int, bytes]]
    """Each with its line number."""

    @property
    def digest(self) -> str:
        return hashlib.sha256(b"\n".join(line for _, line in self.lines)).hexdigest()


def score_shard(
    config: ScoreConfig, shard: Shard, *, begins: Callable[[int], None], advances: Callable[[int], None]
) -> ScoredShard:
    """Scores the answers of one shard into `config.output`.

    `begins` is told how many answers the shard has, once all its lines are known to be good, `advances` how many more
    are done. Raises DataError for a bad line before anything is scored, ConfigError for a folder that holds other
    scores, and what the sources raise; whole files stay.
    """
    total, own = _survey(config.responses, config.part_size, shard)
    config.output.mkdir(parents=True, exist_ok=True)
    with (config.output / f".shard-{shard.number}-of-{shard.count}.lock").open("w") as lock:
        if not take_lock(lock):
            raise ConfigError(f"{config.output}: another process scores shard {shard.number}/{shard.count} already.")
        scorer = _AnswerScorer(configured_sources(config, device=config.device), config.mixture)
        _keep_manifest(config, scorer.sources)
        begins(own)
        result = ScoredShard()
        for part in _parts(config.responses, config.part_size, shard):
            _make_part(part, config, scorer, result, advances)
        parts = math.ceil(total / config.part_size)
        result.missing = sum(not _path(config.output, number).exists() for number in range(parts))
        return result


def _make_part(
    part: _Part, config: ScoreConfig, scorer: "_AnswerScorer", result: ScoredShard, advances: Callable[[int], None]
) -> None:
    target, digest = _path(config.output, part.number), part.digest
    note: dict[str, Any] = _note(target)
    if note.get("lines") == digest:
        result.kept += 1
        advances(len(part.lines))
    else:
        for left in target.parent.glob(f".{target.name}.*"):  # of a process that was killed
            left.unlink(missing_ok=True)
        note = {"lines": digest, "answers": len(part.lines), "unscored": dict.fromkeys(scorer.counted, 0)}
        with atomic_path(target) as beside, pq.ParquetWriter(beside, scorer.schema, compression="zstd") as writer:
            for start in range(0, len(part.lines), AT_ONCE):
                lines = part.lines[start : start + AT_ONCE]
                records = [_record(line, number, config.responses) for number, line in lines]
                rows = scorer.rows(records, part.first + start, note["unscored"])
                writer.write_table(pa.Table.from_pylist(rows, schema=scorer.schema))
                advances(len(lines))
            writer.add_key_value_metadata({NOTE.decode(): json.dumps(note)})
    result.answers += len(part.lines)
    result.files += 1
    for name, count in note["unscored"].items():
        result.unscored[name] = result.unscored.get(name, 0) + count


class _AnswerScorer:
    """Turns answers into rows of the table."""

    def __init__(self, sources: Sequence[RewardSource], mixture: MixtureConfig | None) -> None:
        self.sources = sources
        names = [source.name for source in sources]
        self._mixture = None if mixture is None else Mixture(_never_stopping(mixture), names)
        self.counted = [*names, *(["reward"] if self._mixture else [])]
        self.schema = pa.schema(
            [
                ("index", pa.int64()),
                ("id", pa.string()),
                *([("reward", pa.float64()), ("unscored", pa.string())] if self._mixture else []),
                *(
                    column
                    for name in names
                    for column in (
                        (f"segments/{name}", SEGMENTS),
                        (f"unscored/{name}", pa.string()),
                        *([(f"reward/{name}", pa.float64())] if self._mixture else []),
                    )
                ),
            ]
        )

    def rows(self, records: Sequence[AnswerRecord], first: int, unscored: dict[str, int]) -> list[dict[str, Any]]:
        """One row per answer, the first of which has the number `first`; counts what could not be scored."""
        samples = [Sample.of(record, record.response, truncated=record.truncated) for record in records]
        said = {source.name: source.score(samples) for source in self.sources}
        rows: list[dict[str, Any]] = []
        for offset, record in enumerate(records):
            scores = {name: by_answer[offset] for name, by_answer in said.items()}
            row = {"index": first + offset, "id": record.id or None, **_columns(scores, unscored)}
            if self._mixture is not None:
                mixed = self._mixture.mix(scores)
                row |= _rewards(mixed)
                unscored["reward"] += mixed.dropped is not None
            rows.append(row)
        return rows


def _columns(scores: dict[str, SegmentScores], unscored: dict[str, int]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, said in scores.items():
        segments = [{"start": score.span.start, "end": score.span.end, **_value(score.value)} for score in said.scores]
        columns[f"segments/{name}"] = segments
        columns[f"unscored/{name}"] = None if said.missing is None else said.missing.reason
        unscored[name] += (said.missing is not None) + sum(segment["value"] is None for segment in segments)
    return columns


def _value(value: float | Unscored) -> dict[str, Any]:
    """A number, or why there is none: never 0 for a score that could not be given."""
    if isinstance(value, Unscored):
        return {"value": None, "unscored": value.reason}
    if not math.isfinite(value):
        return {"value": None, "unscored": f"the score is {value}"}
    return {"value": float(value), "unscored": None}


def _rewards(mixed: MixedScores) -> dict[str, Any]:
    if mixed.dropped is not None:
        return {"reward": None, "unscored": mixed.dropped.reason}
    shares = {name: sum(share.values) for name, share in mixed.shares.items()}
    return {"reward": sum(shares.values()), **{f"reward/{name}": share for name, share in shares.items()}}


def _never_stopping(mixture: MixtureConfig) -> MixtureConfig:
    rules = {name: rule.model_copy(update={"missing": "mask"}) for name, rule in mixture.sources.items()}
    return mixture.model_copy(update={"sources": rules})


def _survey(responses: Path, size: int, shard: Shard) -> tuple[int, int]:
    """How many answers the file has, and how many of them are the shard's, whose lines are checked."""
    total = own = 0
    for number, line in read_lines(responses):
        if shard.has(total // size):
            _record(line, number, responses)
            own += 1
        total += 1
    if not total:
        raise DataError(f"{responses}: holds no records; give a file with one JSON record per line.")
    return total, own


def _parts(responses: Path, size: int, shard: Shard) -> Iterator[_Part]:
    """The shard's parts of the file, one in memory at a time."""
    answers = enumerate(read_lines(responses))
    for number, members in groupby(answers, key=lambda answer: answer[0] // size):
        if shard.has(number):
            yield _Part(number, number * size, [line for _, line in members])


def _record(line: bytes, number: int, responses: Path) -> AnswerRecord:
    record = parse_record(line, AnswerRecord, Place(str(responses), number, line))
    if isinstance(record, list):
        raise DataError(str(record[0]))
    return record


def _path(folder: Path, number: int) -> Path:
    return folder / f"scores-{number:05d}.parquet"


def _note(path: Path) -> dict[str, Any]:
    """What a Parquet file of ours says of itself; empty where there is none, or one that is damaged."""
    with suppress(OSError, pa.ArrowException, ValueError):
        return json.loads((pq.read_metadata(path).metadata or {}).get(NOTE, b"{}"))
    return {}


def _keep_manifest(config: ScoreConfig, sources: Sequence[RewardSource]) -> None:
    """Writes what the scores are made with, or raises ConfigError where the folder holds others."""
    settings = config.model_dump(mode="json", exclude={"output", "responses", "device"})
    made = {
        "format": FORMAT,
        "sources": {s.name: {"category": s.category, "density": s.density, "version": s.version} for s in sources},
        "settings": settings,
    }
    path = config.output / MANIFEST
    if path.exists():
        there = read_json(path)
        differing = [key for key in made if not isinstance(there, dict) or there.get(key) != made[key]]
        if differing:
            raise ConfigError(
                f"{path}: the scores there are made with other {' and '.join(differing)}; choose another output."
            )
        return
    write_json(path, {**made, "responses": str(config.responses), "spanwise": version("spanwise")})
