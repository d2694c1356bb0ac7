"""The settings of each kind of signal under `sources`. Imports without torch."""

from pathlib import Path
from typing import Any, Literal

import regex
from pydantic import Field, PositiveFloat, field_validator, model_validator

from spanwise.core import Config
from spanwise.feedback import Density


class SignalConfig(Config):
    """What all signals have."""

    category: str = ""
    """What is judged, as reports call it; empty: the source's name."""


class PatternConfig(SignalConfig):
    """A regular expression that answers must not match, or must."""

    kind: Literal["pattern"] = "pattern"
    """pattern: a regular expression."""
    pattern: str = Field(min_length=1)
    """The expression, as the package regex reads it; (?i) at its start overlooks case."""
    expected: bool = False
    """false: -1 at each match, on the tokens that wrote it. true: 1 where an answer has a match and -1 where it has
    none, at its end."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        return _expression(pattern)


class JsonConfig(SignalConfig):
    """An answer must be JSON, perhaps of a schema: 1, else -1."""

    kind: Literal["json"] = "json"
    """json: the whole answer is one JSON value."""
    json_schema: dict[str, Any] | None = None
    """A JSON schema that it must fulfil (needs the package jsonschema)."""
    schema_file: Path | None = None
    """The same in a file of its own."""

    @model_validator(mode="after")
    def _one_schema(self) -> "JsonConfig":
        if self.json_schema is not None and self.schema_file is not None:
            raise ValueError("json_schema and schema_file are two schemas; give one")
        return self


class LengthConfig(SignalConfig):
    """How many words an answer may have: -1 for each word too many, there, and for each too few, at the end."""

    kind: Literal["length"] = "length"
    """length: words of the answer."""
    min_words: int = Field(default=0, ge=0)
    """Fewest words."""
    max_words: int | None = Field(default=None, ge=1)
    """Most words; null sets no limit."""

    @model_validator(mode="after")
    def _possible(self) -> "LengthConfig":
        if self.max_words is None and not self.min_words:
            raise ValueError("set min_words, max_words or both")
        if self.max_words is not None and self.min_words > self.max_words:
            raise ValueError("min_words is above max_words")
        return self


class CitationConfig(SignalConfig):
    """Each part of an answer must cite, and only passages that there are: 1, else -1."""

    kind: Literal["citation"] = "citation"
    """citation: a mark such as [2] in each part."""
    pattern: str = r"\[(\d+)\]"
    """What a citation looks like; where it has a group, that is the number of a passage, from 1."""
    density: Density = "sentence"
    """What must cite: sentence, sub-sentence, paragraph or sequence."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        return _expression(pattern)

    @field_validator("density")
    @classmethod
    def _has_parts(cls, density: Density) -> Density:
        return _no_tokens(density)


RuleConfig = PatternConfig | JsonConfig | LengthConfig | CitationConfig


class LogRatioConfig(SignalConfig):
    """The implicit reward of a tuned policy: beta (log pi - log pi_ref), token by token."""

    kind: Literal["log-ratio"] = "log-ratio"
    """log-ratio: of two policies with one tokenizer."""
    policy: str = Field(min_length=1)
    """Folder or Hub name of the tuned policy, for example checkpoints/best of a `spanwise dpo` run."""
    ref_policy: str = Field(min_length=1)
    """Folder or Hub name of what it was tuned from."""
    beta: PositiveFloat = 0.1
    """Factor of the log-ratio: that of its DPO; RTO takes 0.05, with clip 0.05 in the mixture."""
    batch_size: int = Field(default=16, ge=1)
    """Responses per forward pass."""


class EntailmentConfig(SignalConfig):
    """Whether the passages entail each part of an answer, by a model of natural-language inference."""

    kind: Literal["entailment"] = "entailment"
    """entailment: 2 P - 1 of the passage that entails a part most, from -1 to 1."""
    model: str = Field(min_length=1)
    """Folder or Hub name of a sequence classifier trained on NLI."""
    label: str = ""
    """Its label for entailment; empty takes the one whose name begins so."""
    density: Density = "sentence"
    """What is judged: sentence, sub-sentence, paragraph or sequence."""
    batch_size: int = Field(default=32, ge=1)
    """Pairs of passage and part per forward pass."""

    @field_validator("density")
    @classmethod
    def _has_parts(cls, density: Density) -> Density:
        return _no_tokens(density)


class AttributionConfig(SignalConfig):
    """The score of another source, shared out among the parts of an answer by what would be lost without each."""

    kind: Literal["attribution"] = "attribution"
    """attribution: the shares sum to the score, so the other source's weight is usually 0."""
    of: str = Field(min_length=1)
    """Name of a source with one score per response, in the same config."""
    density: Density = "sentence"
    """The parts: sentence, sub-sentence, paragraph or, as words, token."""

    @field_validator("density")
    @classmethod
    def _has_parts(cls, density: Density) -> Density:
        if density in ("sequence", "phrase"):
            raise ValueError(f"{density} cuts no parts here; set density to sentence, sub-sentence, paragraph or token")
        return density


def _expression(pattern: str) -> str:
    try:
        regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"is no regular expression ({error})") from error
    return pattern


def _no_tokens(density: Density) -> Density:
    if density in ("token", "phrase"):
        raise ValueError(f"{density}s are no claims; set density to sentence, sub-sentence, paragraph or sequence")
    return density
