"""The settings of `spanwise edits generate`."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from spanwise.core import Config
from spanwise.feedback.statistics import EditRules
from spanwise.llm.config import EndpointConfig


class EditorConfig(Config):
    """Which responses are edited, by which model, in which way, and what is kept."""

    RENAMED: ClassVar[Mapping[str, str]] = {"input": "responses"}

    responses: Path
    """JSONL file with prompt and response on every line, as `spanwise generate` writes it; id and passages if known."""
    output: Path
    """JSONL file for the fit edit pairs; replies, refusals and report lie beside it under names that begin alike."""
    endpoint: EndpointConfig
    """The language model that edits."""
    mode: Literal["operations", "rewrite"] = "operations"
    """What the model is asked for: a list of edits that are applied here, or the whole edited answer."""
    prompt_file: Path | None = None
    """Prompt of your own instead of the one that belongs to the mode."""
    attempts: int = Field(default=2, ge=1)
    """How often the model is asked for one response: again with what was wrong, where its answer cannot be used."""
    limit: int | None = Field(default=None, ge=1)
    """Only so many responses, from the top of the file."""
    rules: EditRules = EditRules()
    """What an edit must be to be kept."""
