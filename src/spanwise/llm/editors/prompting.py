"""What is asked of an editor about one response: {{prompt}}, {{passages}}, {{comment}} and {{response}} in a prompt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict

from spanwise.feedback import FilledText, Passage, Record, Text, Tools, Turns
from spanwise.llm.answers import Turn
from spanwise.llm.chat import ChatRequest
from spanwise.llm.editors.config import EditorConfig
from spanwise.llm.prompting import PromptFile, passages_section, section

_PLACES = ("prompt", "passages", "comment", "response")

OPERATIONS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "edits": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "find": {"type": "string"},
                    "occurrence": {"type": "integer"},
                    "replace": {"type": "string"},
                    "category": {"type": "string"},
                    "reason": {"type": "string"},
                },
                "required": ["find", "occurrence", "replace", "category", "reason"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["edits"],
    "additionalProperties": False,
}


class EditTask(Record):
    """A response that is to be edited; other columns of its line are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    id: Text = ""
    prompt: Text
    messages: Turns = ()
    """The turns before the response, where the prompt is a conversation."""
    tools: Tools = ()
    passages: tuple[Passage, ...] = ()
    response: FilledText
    comment: Text = ""
    """What a reader said about the response in words, for an editor that turns it into an edit."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt file, filled for one response."""

    file: PromptFile

    def request(self, task: EditTask, config: EditorConfig, turns: Sequence[Turn] = ()) -> ChatRequest:
        """What is asked; `turns` are (answer, complaint) of the attempts before."""
        values = {
            "prompt": task.prompt,
            "passages": passages_section(task.passages),
            "comment": section("What a reader said of this answer; mend that and nothing else", task.comment),
            "response": task.response,
        }
        schema = OPERATIONS_SCHEMA if config.mode == "operations" else None
        return self.file.request(values, config.endpoint, turns, schema)


def load_prompt(config: EditorConfig) -> Prompt:
    """The prompt of `config`; raises ConfigError for a file that is no prompt."""
    return Prompt(PromptFile.load(f"{config.mode}.txt", "spanwise.llm.editors", config.prompt_file, _PLACES))
