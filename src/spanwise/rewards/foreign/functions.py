"""Functions, services and classes as reward sources. What they cannot score is Unscored with its reason, never 0."""

import json
import math
import numbers
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from spanwise.core import ConfigError, ScoringError, load_object
from spanwise.feedback import Density, RewardSource, Sample, SegmentScore, SegmentScores, Unscored
from spanwise.rewards.foreign.config import SourceConfig
from spanwise.text import Span, text_hash


@dataclass(frozen=True)
class FunctionReward:
    """A function of TRL's kind: lists of prompts and completions in, a number or None for each out.

    Conversations are lists of turns in both, as TRL has them; `metadata` of the prompts comes as further columns.
    """

    name: str
    function: Callable[..., Sequence[float | None]]
    category: str
    path: str
    density: Density = "sequence"

    @property
    def version(self) -> str:
        """Changes with the function's name alone: what it does is not read."""
        return f"function-{self.path}"

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """One score per response; None is Unscored."""
        if not samples:
            return []
        names = set[str]().union(*(sample.metadata for sample in samples)) - {"prompts", "completions"}
        columns = {name: [sample.metadata.get(name) for sample in samples] for name in names}
        values = self.function(
            prompts=[prompt_of(sample) for sample in samples],
            completions=[_completion_of(sample) for sample in samples],
            **columns,
        )
        if len(values) != len(samples):
            raise ScoringError(
                f"{self.path} gave {len(values)} scores for {len(samples)} responses; it needs one each."
            )
        return [_whole(sample, value, self.path) for sample, value in zip(samples, values, strict=True)]


class HttpReward:
    """An endpoint that scores batches of responses."""

    def __init__(self, name: str, config: SourceConfig) -> None:
        self.name = name
        self.category = config.category or name
        self.density: Density = config.density
        self._config = config

    @property
    def version(self) -> str:
        """Changes with the address alone: a service may change its scores without a word."""
        return f"http-{text_hash(self._config.url)[:12]}"

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """One score per response or per part that the service names; ScoringError where it answers nonsense."""
        size = self._config.batch_size
        batches = [samples[start : start + size] for start in range(0, len(samples), size)]
        return [scores for batch in batches for scores in self._batch(batch)]

    def _batch(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        body = {
            "prompts": [prompt_of(sample) for sample in samples],
            "completions": [_completion_of(sample) for sample in samples],
            "passages": [[{"title": p.title, "text": p.text} for p in sample.passages] for sample in samples],
        }
        reply = self._asked(json.dumps(body).encode())
        if isinstance(reply, Unscored):
            return [SegmentScores(missing=reply) for _ in samples]
        values = cast("dict[str, Any]", reply).get("scores", cast("dict[str, Any]", reply).get("rewards"))
        if not isinstance(values, list) or len(cast("list[Any]", values)) != len(samples):
            raise ScoringError(f"{self._config.url}: answered no list of {len(samples)} scores; mend the service.")
        pairs = zip(samples, cast("list[Any]", values), strict=True)
        return [self._scores(sample, value) for sample, value in pairs]

    def _scores(self, sample: Sample, value: Any) -> SegmentScores:
        if not isinstance(value, list):
            return _whole(sample, value, self._config.url)
        try:
            parts = [(Span(int(p["start"]), int(p["end"])), p["value"]) for p in cast("list[dict[str, Any]]", value)]
        except (KeyError, TypeError, ValueError) as error:
            raise ScoringError(
                f"{self._config.url}: a part of a score has no start, end and value; mend it."
            ) from error
        return SegmentScores(tuple(SegmentScore(span, _number(one, self._config.url)) for span, one in parts))

    def _asked(self, body: bytes) -> Mapping[str, Any] | Unscored:
        reason = ""
        for attempt in range(self._config.retries + 1):
            if attempt:
                time.sleep(min(30.0, 2.0 ** (attempt - 1) / 2))
            try:
                request = urllib.request.Request(
                    self._config.url, data=body, headers={"Content-Type": "application/json"}
                )
                with urllib.request.urlopen(request, timeout=self._config.timeout_s) as reply:
                    read = json.loads(reply.read())
                if not isinstance(read, dict):
                    raise ScoringError(f"{self._config.url}: answered no JSON object; mend the service.")
                return cast("dict[str, Any]", read)
            except urllib.error.HTTPError as error:
                with error:
                    reason = f"the service answered {error.code}"
                if error.code < 500 and error.code != 429:
                    raise ScoringError(
                        f"{self._config.url}: {reason}; the request is not one that it takes."
                    ) from error
            except json.JSONDecodeError as error:
                raise ScoringError(f"{self._config.url}: answered what is no JSON; mend the service.") from error
            except OSError as error:
                reason = f"the service cannot be reached ({type(error).__name__})"
        return Unscored(reason)


@dataclass(frozen=True)
class NamedSource:
    """A source of one's own under the name that the config gives it."""

    source: RewardSource
    name: str
    category: str

    @property
    def density(self) -> Density:
        """How often it speaks."""
        return self.source.density

    @property
    def version(self) -> str:
        """Its own."""
        return self.source.version

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """Its own scores, one per sample."""
        scores = self.source.score(samples)
        if len(scores) != len(samples):
            raise ScoringError(f"sources.{self.name}: gave {len(scores)} scores for {len(samples)} samples; mend it.")
        return scores


def own_source(name: str, config: SourceConfig) -> NamedSource:
    """The class that the config names, made with its options; ConfigError where it is no reward source."""
    place = f"sources.{name}.class"
    made = load_object(config.class_ or "", place=place)
    try:
        source = made(**config.options)
    except TypeError as error:
        raise ConfigError(f"{place}: cannot be made with options {config.options} ({error}); mend them.") from error
    missing = [part for part in ("name", "category", "density", "version", "score") if not hasattr(source, part)]
    if missing:
        raise ConfigError(
            f"{place}: {config.class_} has no {', '.join(missing)}, which every reward source has; add it."
        )
    return NamedSource(source, name, config.category or source.category)


def own_function(name: str, config: SourceConfig) -> FunctionReward:
    """The function that the config names."""
    function = load_object(config.function, place=f"sources.{name}.function")
    return FunctionReward(name, function, config.category or name, config.function)


def prompt_of(sample: Sample) -> Any:
    """The prompt in TRL's form: a text, or the turns of a conversation."""
    return [turn.model_dump() for turn in sample.messages] if sample.messages else sample.prompt


def _completion_of(sample: Sample) -> Any:
    return [{"role": "assistant", "content": sample.response}] if sample.messages else sample.response


def _whole(sample: Sample, value: Any, place: str) -> SegmentScores:
    number = _number(value, place)
    if isinstance(number, Unscored):
        return SegmentScores(missing=number)
    return SegmentScores((SegmentScore(Span(0, len(sample.response)), number),))


def _number(value: Any, place: str) -> float | Unscored:
    if value is None:
        return Unscored(f"{place} gave no score")
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ScoringError(
            f"{place} gave {value!r:.40}, which is no score; give a number, or none where it cannot judge."
        )
    return float(value)
