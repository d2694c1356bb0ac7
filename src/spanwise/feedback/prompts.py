"""Prompts and demonstrations as JSONL records, and the one function that turns a prompt into model input.

Policies and reward models, in training and in serving, read the text that `build_prompt` writes: a model that
was trained on one rendering and served another learns from noise (wu2023.md W1).
"""

from collections.abc import Sequence

from pydantic import Field

from spanwise.feedback.schema import FilledText, Json, Passage, Record, Text


def build_prompt(prompt: str, passages: Sequence[Passage] = ()) -> str:
    """The model input for a question and its passages, in the words of Wu et al.; the answer follows directly."""
    context = " ".join(f"wikipage: {passage.title} text: {passage.text}" for passage in passages)
    return f"question: {prompt} context: {context} answer:" if passages else f"question: {prompt} answer:"


class PromptRecord(Record):
    """One prompt of a JSONL file. `prompt` is TRL's column; the others are ours."""

    id: Text = ""
    prompt: FilledText
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

    @property
    def model_input(self) -> str:
        """The text that a policy reads."""
        return (
            self.prompt
            if self.verbatim
            else build_prompt(self.prompt, self.passages if self.excerpt is None else self.excerpt)
        )


class DemonstrationRecord(PromptRecord):
    """A prompt with an answer to imitate; `completion` is TRL's column."""

    completion: FilledText
