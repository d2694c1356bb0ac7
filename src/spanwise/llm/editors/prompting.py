"""Prompt files and what is asked of the model about one response.

A prompt file holds the system text, a line `=== user ===`, and the user text with the places {{prompt}}, {{passages}}
and {{response}}. Texts are put in as they are: braces inside them are left alone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

from pydantic import ConfigDict

from spanwise.core import ConfigError, read_text
from spanwise.feedback import FilledText, Passage, Record, Text, Tools, Turns
from spanwise.llm.chat import ChatRequest
from spanwise.llm.editors.config import EditorConfig
from spanwise.text import text_hash

_PLACES = ("prompt", "passages", "response")
_SPLIT = "\n=== user ===\n"

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


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt file: its name, its two texts, and the hash that tells its versions apart."""

    name: str
    system: str
    user: str
    sha256: str

    def request(self, task: EditTask, config: EditorConfig, turns: Sequence[tuple[str, str]] = ()) -> ChatRequest:
        """What is asked; `turns` are (answer, complaint) of the attempts before."""
        passages = "\n".join(f"{passage.title}: {passage.text}" for passage in task.passages)
        values = {
            "prompt": task.prompt,
            "passages": f"\nSources:\n{passages}\n" if passages else "",
            "response": task.response,
        }
        messages: list[tuple[Literal["user", "assistant"], str]] = []
        asked = re.sub(r"\{\{(\w+)\}\}", lambda name: values[name[1]], self.user)
        messages.append(("user", asked))
        for answer, complaint in turns:
            messages.append(("assistant", answer))
            messages.append(("user", complaint))
        endpoint = config.endpoint
        return ChatRequest(
            model=endpoint.model,
            system=self.system,
            messages=tuple(messages),
            max_tokens=endpoint.max_new_tokens,
            temperature=endpoint.temperature,
            seed=endpoint.seed,
            schema=OPERATIONS_SCHEMA if config.mode == "operations" else None,
        )


def load_prompt(config: EditorConfig) -> Prompt:
    """The prompt of `config`; raises ConfigError for a file that is no prompt."""
    if config.prompt_file is not None:
        name, text = str(config.prompt_file), read_text(config.prompt_file)
    else:
        name = f"{config.mode}.txt"
        text = (resources.files("spanwise.llm.editors") / "prompts" / name).read_text(encoding="utf-8")
    system, split, user = text.partition(_SPLIT)
    if not split:
        raise ConfigError(f"{name}: has no line '=== user ===' between the system text and the user text; add it.")
    named = re.findall(r"\{\{(\w+)\}\}", user)
    unknown = [name for name in named if name not in _PLACES]
    if unknown or "response" not in named:
        wrong = f"has no place {{{{{unknown[0]}}}}}" if unknown else "needs the place {{response}}"
        raise ConfigError(f"{name}: a prompt {wrong}; the places are {', '.join(_PLACES)} in double braces.")
    return Prompt(name, system.strip(), user.strip(), text_hash(text))
