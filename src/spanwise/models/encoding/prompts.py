"""Prompts as token ids, in the form of a `PromptConfig`: plain text, or what a template writes of the turns.

Ids are those of the tokenizer's `apply_chat_template`. Special tokens count where the template writes them; in what
people wrote (turns, passages, prompts) their names stay characters. Knows nothing of models.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, cast

from jinja2 import TemplateError
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from spanwise.core import ConfigError, DataError
from spanwise.feedback import Asked, Passage, PromptConfig, plain_prompt, text_prompt
from spanwise.models.encoding.plain import Offsets, TextEncoder
from spanwise.text import Span

_PRIVATE = range(0xE000, 0xF900)
"""Characters without a meaning, which stand for the names of special tokens while a template is at work."""
_ASKS, _ANSWERS = "ask", "probe"
_STORED = "spanwise_prompt"
"""The key of the form in a checkpoint's config.json."""


class Turn(NamedTuple):
    """How a template frames the assistant's answer."""

    opening: str
    """The end of a prompt, from its last special token on: answers are tokenized behind it."""
    lead: str
    """What stands between the prompt and the answer."""
    end: int | None
    """The special token that ends an answer; None where the template has none."""


class _Content(NamedTuple):
    """What people wrote: all that a template reads of a prompt, as plain values."""

    turns: list[dict[str, Any]]
    passages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    prompt: str


class PromptEncoder:
    """Encodes prompts for one tokenizer in one form; answers too, where a template writes the prompts.

    Raises ConfigError where the template does not know what the form asks for, DataError for a prompt that it refuses.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, form: PromptConfig) -> None:
        self.form = form
        self._tokenizer: Any = tokenizer
        self._plain = TextEncoder(tokenizer)
        self._names = re.compile("|".join(map(re.escape, self._plain.special_names)) or "(?!)")
        self._source = str(self._tokenizer.get_chat_template()) if form.form == "chat" else form.template
        self._options = self._template_options()

    def ids(self, asked: Asked, passages: Sequence[Passage]) -> list[int]:
        """The ids of one prompt, read with `passages` instead of its own."""
        if not self.form.takes_turns:
            return self._plain.ids(text_prompt(self.form, asked, passages))
        return self._encode(*self._written(asked, passages))[0]

    def text(self, asked: Asked) -> str:
        """The text of a prompt whose form is plain text."""
        return text_prompt(self.form, asked, asked.passages)

    def conversation(self, asked: Asked, answer: str) -> list[int]:
        """The ids of a whole conversation as the template writes it, what stands after the answer included."""
        return self._encode(*self._written(asked, asked.passages, answer))[0]

    def answer(self, text: str) -> tuple[list[int], Offsets]:
        """The ids of an answer to a templated prompt without its end, and the characters of `text` that each covers.

        A tokenizer without character offsets gives none.
        """
        opening, lead, _ = self.turn
        skipped, start = self._opening_ids, len(opening) + len(lead)
        ids, offsets = self._encode(opening + lead + text, [Span(start, start + len(text))])
        if ids[: len(skipped)] != skipped:  # the tokenizer joins what stands at the border: the answer goes by itself
            skipped, start = [], len(lead)
            ids, offsets = self._encode(lead + text, [Span(start, start + len(text))])
        written = offsets[len(skipped) :]
        return ids[len(skipped) :], [(max(0, left - start), max(0, right - start)) for left, right in written]

    @cached_property
    def turn(self) -> Turn:
        """How the template frames answers, found by having it write one."""
        asked = [{"role": "user", "content": _ASKS}]
        before = self._render(_Content(asked, [], [], _ASKS))
        starts = [found.start() for found in self._names.finditer(before)]
        opening = before[starts[-1] if starts else 0 :]
        if self.form.form == "template":
            glued = before[-1:].isspace() or before.endswith(tuple(self._plain.special_names))
            return Turn(opening, "" if glued else " ", None)
        answered = [*asked, {"role": "assistant", "content": _ANSWERS}]
        whole = self._render(_Content(answered, [], [], _ASKS), opens_answer=False)
        lead, found, tail = whole.removeprefix(before).rpartition(_ANSWERS)
        if not found:
            raise ConfigError(
                "prompt: the chat template writes no turns of the assistant; set prompt.form to template."
            )
        after = self._encode(tail, [])[0][:1]
        end = after[0] if after and after[0] in self._plain.special else None
        return Turn(opening, lead if whole.startswith(before) else "", end)

    @cached_property
    def _opening_ids(self) -> list[int]:
        return self._encode(self.turn.opening, [])[0]

    def _written(self, asked: Asked, passages: Sequence[Passage], answer: str | None = None) -> tuple[str, list[Span]]:
        """What the template writes, and where in it the names of special tokens are people's own characters."""
        turns = [turn.model_dump() for turn in asked.messages] or [{"role": "user", "content": asked.prompt}]
        opens = answer is None
        content = _Content(
            turns if answer is None else [*turns, {"role": "assistant", "content": answer}],
            [{"title": one.title, "text": one.text, "sentences": list(one.sentences)} for one in passages],
            [tool.model_dump() for tool in asked.tools],
            asked.prompt,
        )
        names = {name for text in _strings(content) for name in self._names.findall(text)}
        if not names:
            return self._render(content, opens_answer=opens), []
        used = set[str]().union(*_strings(content))
        free = (chr(code) for code in _PRIVATE if chr(code) not in used)
        stand_ins = dict(zip(sorted(names), free, strict=False))
        swapped = _Content(*(self._swapped(part, stand_ins) for part in content))
        shown = self._render(swapped, opens_answer=opens)
        return _restored(shown, {character: name for name, character in stand_ins.items()})

    def _swapped(self, value: Any, stand_ins: Mapping[str, str]) -> Any:
        if isinstance(value, str):
            return self._names.sub(lambda found: stand_ins[found.group()], value)
        if isinstance(value, dict):
            return {key: self._swapped(inner, stand_ins) for key, inner in cast("dict[str, Any]", value).items()}
        if isinstance(value, list):
            return [self._swapped(inner, stand_ins) for inner in cast("list[Any]", value)]
        return value

    def _render(self, content: _Content, *, opens_answer: bool = True) -> str:
        options = dict(self._options)
        if self.form.form == "template":
            options |= {"prompt": content.prompt, "passages": content.passages, "system": self.form.system}
            turns = content.turns
        else:
            turns = self._with_system(self._with_passages(content.turns, content.passages, options))
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    turns,
                    tools=content.tools or None,
                    add_generation_prompt=opens_answer and self.form.generation_prompt,
                    tokenize=False,
                    **options,
                )
            )
        except (TemplateError, TypeError, ValueError, KeyError) as error:
            raise DataError(
                f"prompt.form={self.form.form}: the template refuses {content.prompt!r:.60} ({error}); mend the turns "
                "or the prompt section."
            ) from error

    def _with_passages(
        self, turns: list[dict[str, Any]], passages: list[dict[str, Any]], options: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """A template that reads documents gets the passages as such; with any other the user's last turn begins so."""
        if not passages:
            return turns
        if re.search(r"\bdocuments\b", self._source):
            options["documents"] = [{"title": one["title"], "text": one["text"]} for one in passages]
            return turns
        last = max((number for number, turn in enumerate(turns) if turn["role"] == "user"), default=None)
        if last is None:
            raise DataError("prompt.form=chat puts passages into a turn of the user, and there is none; add one.")
        shown = [Passage(title=one["title"], sentences=(one["text"],)) for one in passages]
        turn = {**turns[last], "content": plain_prompt(turns[last]["content"], shown)}
        return [*turns[:last], turn, *turns[last + 1 :]]

    def _with_system(self, turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not self.form.system or turns[0]["role"] in ("system", "developer"):
            return turns
        return [{"role": "system", "content": self.form.system}, *turns]

    def _template_options(self) -> dict[str, Any]:
        if self.form.form == "template":
            return {"chat_template": self.form.template}
        if self.form.thinking is None:
            return {}
        for name in ("enable_thinking", "thinking"):  # Qwen's, SmolLM's and GLM's name; DeepSeek's and Granite's
            if re.search(rf"{{%[^%]*(?<![\w./'\"]){name}(?![\w'\"])", self._source):
                return {name: self.form.thinking}
        raise ConfigError("prompt.thinking: the model's chat template knows no such switch; leave it out.")

    def _encode(self, text: str, plain: Sequence[Span]) -> tuple[list[int], Offsets]:
        """The ids of a text whose special tokens count, but not in the `plain` parts of it."""
        fast = bool(self._tokenizer.is_fast)
        encoding = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=fast, verbose=False)
        ids = cast("list[int]", encoding["input_ids"])
        if not any(self._names.search(part.of(text)) for part in plain):
            return ids, encoding["offset_mapping"] if fast else []
        if not fast:
            raise DataError(
                f"{self._names.findall(text)[-1]!r} in a text cannot be told from the template's by a tokenizer "
                "without character offsets; remove it or use a fast tokenizer."
            )
        tokens = zip(ids, cast("Offsets", encoding["offset_mapping"]), strict=True)
        spelled = [letter for id_, place in tokens for letter in self._spelled(id_, place, text, plain)]
        return [id_ for id_, _ in spelled], [place for _, place in spelled]

    def _spelled(
        self, id_: int, place: tuple[int, int], text: str, plain: Sequence[Span]
    ) -> list[tuple[int, tuple[int, int]]]:
        """The token, or the ids of its characters where it is special and people wrote it."""
        start, end = place
        if id_ not in self._plain.special or not any(part.overlap(Span(start, end)) for part in plain):
            return [(id_, place)]
        ((ids, offsets),) = self._plain.located([text[start:end]], add_special_tokens=False)
        return [(one, (start + left, start + right)) for one, (left, right) in zip(ids, offsets, strict=True)]


def _strings(value: Any) -> Iterator[str]:
    """All texts below a plain value; keys are not texts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _strings(list(cast("dict[str, Any]", value).values()))
    elif isinstance(value, list | tuple):
        for inner in cast("list[Any]", value):
            yield from _strings(inner)


def _restored(text: str, names: Mapping[str, str]) -> tuple[str, list[Span]]:
    """The text with the names back in place of their stand-ins, and where they stand."""
    written, length, spans = list[str](), 0, list[Span]()
    for piece in re.split(f"([{''.join(names)}])", text):
        part = names.get(piece, piece)
        if piece in names:
            spans.append(Span(length, length + len(part)))
        written.append(part)
        length += len(part)
    return "".join(written), spans


def form_of(model: PreTrainedModel) -> PromptConfig | None:
    """The form that a model was trained on; None where its checkpoint does not say."""
    return stored_form(model.config)


def stored_form(config: PreTrainedConfig) -> PromptConfig | None:
    """The form that a checkpoint's config names; None where it names none."""
    stored = getattr(config, _STORED, None)
    return None if stored is None else PromptConfig.from_values(dict(stored), place=f"config.json, {_STORED}")


def keep_form(model: PreTrainedModel, form: PromptConfig) -> None:
    """Writes the form into the config that is saved with the model."""
    setattr(model.config, _STORED, form.model_dump())
