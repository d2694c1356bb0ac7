"""Rules about the text of answers as reward sources: patterns, JSON, length and citations.

They cost no model. Expressions are given up after a second, which leaves the answer unscored. Knows nothing of weights
or tokens.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from spanwise.core import BadJSONError, ConfigError, parse, read_json
from spanwise.feedback import Density, Sample, SegmentScore, SegmentScores, Unscored
from spanwise.rewards.signals.config import CitationConfig, JsonConfig, LengthConfig, PatternConfig, RuleConfig
from spanwise.text import Span, get_segmenter, text_hash, words

Judge = Callable[[Sample], SegmentScores]
TIMEOUT_S = 1.0


@dataclass(frozen=True)
class RuleReward:
    """One rule; `version` changes with its settings."""

    name: str
    category: str
    density: Density
    version: str
    judge: Judge

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """Whether each answer keeps the rule, and where not."""
        return [self._judged(sample) for sample in samples]

    def _judged(self, sample: Sample) -> SegmentScores:
        try:
            return self.judge(sample)
        except TimeoutError:
            return SegmentScores(missing=Unscored(f"the pattern of {self.name} took more than {TIMEOUT_S:g} s"))


def rule(name: str, config: RuleConfig) -> RuleReward:
    """The rule of a config; ConfigError for a schema that is none."""
    density, judge = _rule(config, f"sources.{name}")
    version = f"{config.kind}-{text_hash(config.model_dump_json(exclude={'category'}))[:12]}"
    return RuleReward(name, config.category or name, density, version, judge)


def _rule(config: RuleConfig, place: str) -> tuple[Density, Judge]:
    match config:
        case PatternConfig():
            expression = regex.compile(config.pattern)
            if config.expected:
                return "sequence", lambda sample: _whole(
                    sample, bool(next(_matches(expression, sample.response), None))
                )
            return "token", lambda sample: SegmentScores(
                tuple(SegmentScore(span, -1.0) for span, _ in _matches(expression, sample.response))
            )
        case JsonConfig():
            validator = _validator(config, place)
            return "sequence", lambda sample: _whole(sample, _is_json(sample.response, validator))
        case LengthConfig():
            return "token", lambda sample: _length(sample, config)
        case CitationConfig():
            return config.density, lambda sample: _citations(sample, config)


def _matches(expression: "regex.Pattern[str]", text: str) -> Iterator[tuple[Span, str | None]]:
    """Each match that is not empty, and its first group."""
    for match in expression.finditer(text, timeout=TIMEOUT_S):
        if match.end() > match.start():
            yield Span(match.start(), match.end()), match[1] if expression.groups else None


def _whole(sample: Sample, kept: bool) -> SegmentScores:
    return SegmentScores((SegmentScore(Span(0, len(sample.response)), 1.0 if kept else -1.0),))


def _is_json(text: str, validator: Any) -> bool:
    try:
        value = parse(text)
    except BadJSONError:
        return False
    return validator is None or bool(validator.is_valid(value))


def _validator(config: JsonConfig, place: str) -> Any:
    schema: Any = config.json_schema if config.schema_file is None else read_json(config.schema_file)
    if schema is None:
        return None
    try:
        from jsonschema import exceptions, validators  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigError(f"{place}: schemas need the package jsonschema; install spanwise[signals].") from error
    kind = validators.validator_for(schema)
    try:
        kind.check_schema(schema)
    except exceptions.SchemaError as error:
        raise ConfigError(f"{place}: is no JSON schema ({error.message}); mend it.") from error
    return kind(schema)


def _length(sample: Sample, config: LengthConfig) -> SegmentScores:
    spans, end = words(sample.response), len(sample.response)
    scores = [SegmentScore(span, -1.0) for span in spans[config.max_words :]] if config.max_words else []
    if len(spans) < config.min_words:
        scores.append(SegmentScore(Span(end, end), -float(config.min_words - len(spans))))
    return SegmentScores(tuple(scores))


def _citations(sample: Sample, config: CitationConfig) -> SegmentScores:
    expression = regex.compile(config.pattern)
    known = {str(number) for number in range(1, len(sample.passages) + 1)}
    text = sample.response
    scores: list[SegmentScore] = []
    for span in get_segmenter(config.density)(text) if text.strip() else ():
        cited = [number for _, number in _matches(expression, span.of(text))]
        kept = bool(cited) and all(number is None or number in known for number in cited)
        scores.append(SegmentScore(span, 1.0 if kept else -1.0))
    return SegmentScores(tuple(scores))
