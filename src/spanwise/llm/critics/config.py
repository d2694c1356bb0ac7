"""The settings of critics and of `spanwise feedback critique` and `comments`."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from spanwise.core import Config
from spanwise.feedback import get_taxonomy
from spanwise.llm.config import EndpointConfig

_USUAL = get_taxonomy("qa-feedback")


class CriticConfig(Config):
    """A language model that marks spans of answers: which, what it marks, how it is asked."""

    endpoint: EndpointConfig
    """The language model."""
    errors: dict[str, str] = Field(default_factory=lambda: {c.name: c.description for c in _USUAL.span_categories})
    """Categories of errors, each with the sentence that tells the critic what it means; given ones replace these."""
    omissions: dict[str, str] = Field(
        default_factory=lambda: {c.name: c.description for c in _USUAL.missing_categories}
    )
    """Categories of what an answer leaves out; asked for where there are passages that it could have said it from."""
    merits: dict[str, str] = Field(default_factory=dict[str, str])
    """Categories of what deserves praise; none = praise is not asked for."""
    severity_weights: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=lambda: {"minor": 0.25, "major": 1.0}
    )
    """Severities that the critic tells apart, and how much a mark of each costs as a reward, 1 = wholly; {} asks for
    none."""
    prompt_file: Path | None = None
    """Prompt of your own instead of the packaged one, with {{response}} and perhaps {{prompt}}, {{passages}},
    {{categories}}, {{severities}} and {{comment}}."""
    attempts: int = Field(default=2, ge=1)
    """How often the critic is asked about one answer: again with what was wrong, where a quote is not in the answer or
    its reply cannot be read. After that the answer is unscored."""
    cache: Path | None = None
    """JSONL file of replies; what it holds is not asked again, and a run that was killed goes on from it. Null: in
    memory alone, and for a file of answers beside its output."""

    @model_validator(mode="after")
    def _tells_apart(self) -> "CriticConfig":
        names = [*self.errors, *self.omissions, *self.merits]
        if not (self.errors or self.merits):
            raise ValueError("errors and merits name no category; give at least one that spans can have")
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{min(doubled)} is a category twice; give errors, omissions and merits different names")
        if self.endpoint.provider == "policy" and self.cache is not None:
            raise ValueError("a policy that learns says something else at every step; leave cache out")
        return self


class CritiqueConfig(CriticConfig):
    """Which answers are read, by which critic, and where the feedback goes."""

    responses: Path
    """JSONL file with prompt and response on every line, as `spanwise generate` writes it (passages and, for
    `feedback comments`, comment if there are any), or feedback records, of which the responses are read."""
    output: Path
    """JSONL file for the feedback records; replies, unscored answers and report lie beside it."""
    limit: int | None = Field(default=None, ge=1)
    """Only so many answers, from the top of the file."""
