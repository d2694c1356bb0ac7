"""What a critic is asked about one answer, and the form of its reply: the critique first, then the spans."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from spanwise.feedback import Passage
from spanwise.llm.answers import Turn
from spanwise.llm.chat import ChatRequest
from spanwise.llm.critics.config import CriticConfig
from spanwise.llm.prompting import PromptFile, passages_section, section

Asks = Literal["critique", "comments"]
"""For a judgement of the answer, or for what a reader's comment says of it."""
_PLACES = ("categories", "severities", "prompt", "passages", "comment", "response")
_STRING = {"type": "string"}


class Criticised(Protocol):
    """An answer with what it answers: samples of rollouts, rows of files."""

    @property
    def prompt(self) -> str: ...
    @property
    def passages(self) -> tuple[Passage, ...]: ...
    @property
    def response(self) -> str: ...


@dataclass(frozen=True, slots=True)
class CriticPrompt:
    """A prompt file with the categories of a critic."""

    config: CriticConfig
    asks: Asks
    file: PromptFile

    @classmethod
    def of(cls, config: CriticConfig, asks: Asks) -> "CriticPrompt":
        """The prompt of `config`; raises ConfigError for a file that is no prompt."""
        return cls(config, asks, PromptFile.load(f"{asks}.txt", "spanwise.llm.critics", config.prompt_file, _PLACES))

    def request(self, answer: Criticised, turns: Sequence[Turn] = ()) -> ChatRequest:
        """What is asked; `turns` are the attempts before."""
        values = {
            "categories": self._categories(with_omissions=bool(answer.passages)),
            "severities": self._severities(),
            "prompt": answer.prompt,
            "passages": passages_section(answer.passages),
            "comment": section("The reader's comment", getattr(answer, "comment", "")),
            "response": answer.response,
        }
        return self.file.request(values, self.config.endpoint, turns, self.schema(with_omissions=bool(answer.passages)))

    def schema(self, *, with_omissions: bool) -> dict[str, Any]:
        """The JSON schema of a reply. Its keys stand in the order in which the model is to write them."""
        config = self.config
        signs = [sign for sign, names in (("negative", config.errors), ("positive", config.merits)) if names]
        marks = {
            "quote": _STRING,
            "occurrence": {"type": "integer"},
            "category": {"type": "string", "enum": [*config.errors, *config.merits]},
            "polarity": {"type": "string", "enum": signs},
            **({"severity": {"type": "string", "enum": [*config.severity_weights]}} if config.severity_weights else {}),
            "confidence": {"type": "number"},
        }
        fields: dict[str, Any] = {"critique": _STRING, "marks": _list(marks)}
        if with_omissions and config.omissions:
            omission = {"category": {"type": "string", "enum": [*config.omissions]}, "source": _STRING}
            fields["omissions"] = _list(omission)
        if self.asks == "comments":
            fields["left"] = {"type": "array", "items": _STRING}
        return _object(fields)

    def _severities(self) -> str:
        grades = ", ".join(self.config.severity_weights)
        return f'"severity" is one of: {grades}.' if grades else '"severity" is left out.'

    def _categories(self, *, with_omissions: bool) -> str:
        kinds = {
            "Errors (polarity negative)": self.config.errors,
            "Merits (polarity positive)": self.config.merits,
            "Omissions": self.config.omissions if with_omissions else {},
        }
        return "\n".join(
            line
            for title, names in kinds.items()
            if names
            for line in (f"{title}:", *(f"- {name}: {meaning}" for name, meaning in names.items()))
        )


def _object(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": [*fields], "additionalProperties": False}


def _list(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": _object(fields)}
