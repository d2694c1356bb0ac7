"""Prompts and demonstrations as JSONL records, and the form in which models read them.

Policies and reward models, in training and in serving, read what one `PromptConfig` makes of a prompt: a model that was
trained on one form and served another learns from noise (wu2023.md W1). Forms that are plain text are written here;
`spanwise.models.encoding` has those that need a tokenizer's chat template.
"""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import Field, model_validator

from spanwise.core import Config, ConfigError, DataError
from spanwise.feedback.messages import (
    Tools,
    Turns,
    asked_elsewhere,
    demonstrated_elsewhere,
    is_empty,
    joined_parts,
    read_turns,
)
from spanwise.feedback.problems import FieldError
from spanwise.feedback.record import FilledText, Json, Record, Text, with_metadata
from spanwise.feedback.schema import Passage

FormName = Literal["auto", "plain", "wu2023", "chat", "template"]


class PromptConfig(Config):
    """How a model reads a prompt with its passages. It is kept in the checkpoint; other settings are refused later."""

    form: FormName = "auto"
    """plain: the passages, then the prompt. wu2023: the words of Wu et al. ("question: ... context: wikipage: ...
    answer:"). chat: the chat template of the model's tokenizer. template: the one below. auto: what the checkpoint
    was trained with, else chat where the tokenizer has a template, else wu2023."""
    system: Text = ""
    """With chat: the system turn of conversations that have none of their own. A template reads it as `system`."""
    thinking: bool | None = None
    """With chat: thinking on or off, for templates that know it; null leaves it to the template."""
    generation_prompt: bool = True
    """With chat: end the prompt with what opens the assistant's turn."""
    template: Text = ""
    """With template: a Jinja template that reads prompt, passages (title, text, sentences), messages, tools, system and
    the names of special tokens, such as bos_token; nothing is added to what it writes."""

    @model_validator(mode="after")
    def _consistent(self) -> "PromptConfig":
        if (self.form == "template") != bool(self.template):
            raise ValueError("template and form=template go together; set both or neither")
        if self.form not in ("auto", "chat") and (self.thinking is not None or not self.generation_prompt):
            raise ValueError(f"form={self.form} knows neither thinking nor generation_prompt; leave them out")
        if self.system and self.form in ("plain", "wu2023"):
            raise ValueError(f"form={self.form} has no place for a system text; set form=chat or leave system out")
        return self

    def agreed(self, stored: "PromptConfig | None", *, has_chat: bool, place: str) -> "PromptConfig":
        """The form for a model that was trained with `stored` (None: nobody says); never auto.

        Raises ConfigError where this asks for another one, or for a template that the tokenizer does not have.
        """
        usual = stored or PromptConfig(form="chat" if has_chat else "wu2023")
        if self == PromptConfig():
            return usual
        form = usual.form if self.form == "auto" else self.form
        asked = PromptConfig.from_values({**self.model_dump(), "form": form}, place=f"{place}: prompt")
        if stored is not None and asked != stored:
            raise ConfigError(
                f"{place}: was trained on prompts of {stored.said}, the config asks for {asked.said}; "
                "leave `prompt` out or set it to the same."
            )
        if asked.form == "chat" and not has_chat:
            raise ConfigError(f"{place}: its tokenizer has no chat template; set prompt.form to template or plain.")
        return asked

    def check_beside(self, other: "PromptConfig", *, place: str) -> None:
        """ConfigError where two models of one run read one form with other settings; forms may differ as a whole."""
        if self.form == other.form and self != other:
            raise ConfigError(
                f"{place}: was trained on prompts of {other.said}, the policy reads {self.said}; give both the same "
                "prompt section."
            )

    @property
    def said(self) -> str:
        """The form and what differs from its defaults, in words."""
        given = self.model_dump(exclude_defaults=True, exclude={"form"})
        return ", ".join([f"form {self.form}", *(f"{key} {value!r:.60}" for key, value in given.items())])

    @property
    def takes_turns(self) -> bool:
        """Whether a tokenizer's template writes the prompt, with special tokens that count."""
        return self.form in ("chat", "template")


@runtime_checkable
class Asked(Protocol):
    """Whatever asks for a response: records of prompts, demonstrations, feedback and edits, and samples."""

    @property
    def prompt(self) -> str: ...
    @property
    def messages(self) -> Turns: ...
    @property
    def tools(self) -> Tools: ...
    @property
    def passages(self) -> tuple[Passage, ...]: ...


def build_prompt(prompt: str, passages: Sequence[Passage] = ()) -> str:
    """The model input for a question and its passages, in the words of Wu et al.; the answer follows directly."""
    context = " ".join(f"wikipage: {passage.title} text: {passage.text}" for passage in passages)
    return f"question: {prompt} context: {context} answer:" if passages else f"question: {prompt} answer:"


def plain_prompt(prompt: str, passages: Sequence[Passage] = ()) -> str:
    """The passages, each under its title, and then the prompt, parted by empty lines."""
    texts = [f"{passage.title}\n{passage.text}" if passage.title else passage.text for passage in passages]
    return "\n\n".join([*texts, prompt])


def text_prompt(form: PromptConfig, asked: Asked, passages: Sequence[Passage]) -> str:
    """The model input of a form that is plain text; DataError for a conversation, whose turns it cannot tell apart."""
    if len(asked.messages) > 1 or asked.tools:
        raise DataError(
            f"prompt.form={form.form} has no turns, and {asked.prompt!r:.60} is a conversation; "
            "set prompt.form to chat or to a template."
        )
    return (plain_prompt if form.form == "plain" else build_prompt)(asked.prompt, passages)


def split_dialogue(text: str) -> tuple[str, str] | None:
    """What stands before the last answer of a dialogue as hh-rlhf writes it, and that answer; None for other texts.

    A dialogue of one turn is asked by its words alone.
    """
    before, turn, answer = text.rpartition("\n\nAssistant:")
    prompt = before.strip()
    if not turn or not prompt.startswith("Human:"):
        return None
    return (prompt if "\n\nHuman:" in prompt else prompt.removeprefix("Human:").strip()), answer.strip()


class PromptRecord(Record):
    """One prompt of a JSONL file. `prompt` is TRL's column, a text or a list of turns; the others are ours."""

    id: Text = ""
    prompt: FilledText
    """The prompt; where there are `messages`, what people and judges read of them, which is filled in."""
    messages: Turns = Field(default=(), exclude_if=is_empty)
    """The turns of a conversation that waits for the assistant's."""
    tools: Tools = Field(default=(), exclude_if=is_empty)
    """The tools that the assistant may call, as chat templates take them."""
    passages: tuple[Passage, ...] = ()
    excerpt: tuple[Passage, ...] | None = None
    """What a policy with a short window reads instead of the passages; none = the passages. Judges see the passages."""
    references: tuple[Text, ...] = ()
    """Gold answers, where there are any."""
    metadata: Json = Field(default_factory=dict)
    """What a task wants to keep beside the prompt; models never see it."""

    verbatim: bool = Field(default=False, exclude_if=lambda value: not value)
    """Whether a policy continues the prompt as it stands, instead of answering it as a question; special tokens that
    are written in it count then, so that it may come from a chat template. Only written where it is so."""

    @model_validator(mode="before")
    @classmethod
    def _turns(cls, values: Any) -> Any:
        return with_metadata(cls, read_turns(asked_elsewhere(values), answer_at=None))

    @property
    def read_passages(self) -> tuple[Passage, ...]:
        """The passages that a policy reads."""
        return self.passages if self.excerpt is None else self.excerpt

    @property
    def model_input(self) -> str:
        """The text that a policy reads whose form is wu2023."""
        return self.prompt if self.verbatim else build_prompt(self.prompt, self.read_passages)


class DemonstrationRecord(PromptRecord):
    """A prompt with an answer to imitate; `completion` is TRL's column, a text or one turn of the assistant.

    A list of turns under `messages` ends with the answer.
    """

    completion: FilledText

    @model_validator(mode="before")
    @classmethod
    def _turns(cls, values: Any) -> Any:
        fields = read_turns(demonstrated_elsewhere(values), answer_at="completion")
        if not isinstance(fields, dict):
            return fields
        fields = with_metadata(cls, fields)
        answer: Any = fields.get("completion")
        if isinstance(answer, list) and len(answer) != 1:
            raise FieldError("completion", f"holds {len(answer)} turns; write a record for each answer.")
        if isinstance(answer, list):
            answer = answer[0]
        return {**fields, "completion": _content(answer)} if isinstance(answer, dict) else fields


def _content(turn: dict[str, Any]) -> Any:
    """The text of an answer given as a turn; FieldError for one that calls tools, which are no text to imitate."""
    if turn.get("role") != "assistant" or set(turn) - {"role", "content"}:
        raise FieldError("completion", "is no turn of the assistant with text alone; give such a turn, or the text.")
    return joined_parts(turn.get("content"))
