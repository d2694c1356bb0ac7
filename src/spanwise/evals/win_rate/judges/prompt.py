"""The text that a judge reads: a file of the package or of the user's, with $instruction, $first and $second."""

from importlib import resources
from pathlib import Path
from string import Template
from typing import Literal

from spanwise.core import ConfigError, read_text
from spanwise.evals.win_rate.judges.base import Case, fingerprint

Method = Literal["verdict", "label"]
"""How a judge answers: in words that end with a verdict, or with one letter whose probabilities are read."""
PLACES = {"instruction", "first", "second"}


class JudgePrompt:
    """A prompt file; `version` changes with its text."""

    def __init__(self, method: Method, path: Path | None = None) -> None:
        own = resources.files("spanwise.evals.win_rate.judges").joinpath("prompts", f"{method}.txt")
        text = own.read_text("utf-8") if path is None else read_text(path)
        self._template = Template(text)
        if not self._template.is_valid() or set(self._template.get_identifiers()) != PLACES:
            raise ConfigError(f"{path}: a judge's prompt names $instruction, $first and $second once or more each.")
        self.version = fingerprint(text)

    def render(self, case: Case) -> str:
        """The prompt for one case; the texts are put in as they are, dollar signs included."""
        return self._template.substitute(instruction=case.instruction, first=case.first, second=case.second)
