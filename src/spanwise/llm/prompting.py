"""Prompt files: what is asked of a model, with places for the texts that it is asked about.

A prompt file holds the system text, a line `=== user ===`, and the user text with places such as {{response}}. Texts
are put in as they are: braces inside them are left alone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from spanwise.core import ConfigError, read_text
from spanwise.feedback import Passage
from spanwise.llm.answers import Turn, Usable
from spanwise.llm.chat import ChatRequest
from spanwise.llm.config import EndpointConfig
from spanwise.text import text_hash

_SPLIT = "\n=== user ===\n"


@dataclass(frozen=True, slots=True)
class PromptFile:
    """Its name, its two texts, and the hash that tells its versions apart."""

    name: str
    system: str
    user: str
    sha256: str

    @classmethod
    def load(cls, name: str, room: str, own: Path | None, places: Sequence[str]) -> "PromptFile":
        """The user's `own` file, else `name` of the package `room`; raises ConfigError for a file that is no prompt.

        It may have these places and must have the last of them.
        """
        if own is not None:
            name, text = str(own), read_text(own)
        else:
            text = (resources.files(room) / "prompts" / name).read_text(encoding="utf-8")
        system, split, user = text.partition(_SPLIT)
        if not split:
            raise ConfigError(f"{name}: has no line '=== user ===' between the system text and the user text; add it.")
        named = re.findall(r"\{\{(\w+)\}\}", system + user)
        unknown = [place for place in named if place not in places]
        if unknown or places[-1] not in named:
            wrong = f"has no place {{{{{unknown[0]}}}}}" if unknown else f"needs the place {{{{{places[-1]}}}}}"
            raise ConfigError(f"{name}: a prompt {wrong}; the places are {', '.join(places)} in double braces.")
        return cls(name, system.strip(), user.strip(), text_hash(text))

    def request(
        self,
        values: Mapping[str, str],
        endpoint: EndpointConfig,
        turns: Sequence[Turn] = (),
        schema: dict[str, Any] | None = None,
    ) -> ChatRequest:
        """What is asked with the texts `values` in their places, after the attempts `turns`."""
        messages: list[tuple[Literal["user", "assistant"], str]] = [("user", _filled(self.user, values))]
        for answer, complaint in turns:
            messages.append(("assistant", answer))
            messages.append(("user", complaint))
        return ChatRequest(
            model=endpoint.model,
            system=_filled(self.system, values),
            messages=tuple(messages),
            max_tokens=endpoint.max_new_tokens,
            temperature=endpoint.temperature,
            seed=endpoint.seed,
            schema=schema,
        )

    def provenance(self, answer: Usable[Any], endpoint: EndpointConfig) -> dict[str, Any]:
        """How an answer came about: what was asked of whom, what came when, and what it took."""
        reply = answer.reply
        return {
            "prompt_file": self.name,
            "prompt_sha256": self.sha256,
            "provider": endpoint.provider,
            "base_url": endpoint.base_url,
            "requested_model": endpoint.model,
            "temperature": endpoint.temperature,
            "seed": endpoint.seed,
            "request_key": answer.request.key,
            "reply_id": reply.reply_id,
            "received": reply.received,
            "attempt": answer.asked,
            "input_tokens": reply.input_tokens,
            "output_tokens": reply.output_tokens,
            "cost": endpoint.cost(reply.input_tokens, reply.output_tokens),
        }


def section(title: str, text: str) -> str:
    """A text under its title, parted from what stands around it; nothing where there is none."""
    return f"\n{title}:\n{text}\n" if text else ""


def passages_section(passages: Sequence[Passage]) -> str:
    """The passages as a prompt shows them."""
    return section("Sources", "\n".join(f"{passage.title}: {passage.text}" for passage in passages))


def _filled(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda name: values[name[1]], text)
