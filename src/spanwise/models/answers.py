"""Answers of a policy to many prompts, as records for a JSONL file.

All prompts are checked before the first answer is made. Knows nothing of files or of how answers are judged.
"""

from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict, Field

from spanwise.core import DataError, torch_generator
from spanwise.feedback import Passage, PromptRecord, Tools, Turns, is_empty
from spanwise.models.config import AnswerConfig
from spanwise.models.policy import Policy


class Answer(BaseModel):
    """One answer."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    id: str
    """The prompt's id, or its number in the file, from 0, where it has none."""
    sample: int
    """Which of the answers to this prompt, from 0."""
    prompt: str
    response: str
    truncated: bool
    """Whether the answer ran into the length limit."""
    tokens: int
    """Tokens of the answer, its end token included."""
    passages: tuple[Passage, ...] = ()
    """The prompt's passages, which reward models and editors read too."""
    messages: Turns = Field(default=(), exclude_if=is_empty)
    """The turns before the answer, where the prompt is a conversation."""
    tools: Tools = Field(default=(), exclude_if=is_empty)
    """The tools that the assistant may call."""


def answer_all(policy: Policy, records: Sequence[PromptRecord], config: AnswerConfig) -> Iterator[Answer]:
    """Yields `samples_per_prompt` answers to each prompt, in the order of `records`.

    Raises DataError that names the first prompt which does not fit, before any answer.
    """
    policy.use_prompts(config.prompt)
    rows = [_encoded(policy, record, number, config) for number, record in enumerate(records)]
    generator = torch_generator(config.seed, "answers", policy.device)
    for start in range(0, len(rows), config.batch_size):
        prompts = policy.stack_prompts(rows[start : start + config.batch_size])
        if config.decoding == "greedy":
            answers = policy.greedy(prompts, config.sampling.max_new_tokens, config.sampling.min_new_tokens)
        else:
            answers = policy.generate(
                prompts,
                sampling=config.sampling,
                samples_per_prompt=config.samples_per_prompt,
                generator=generator,
                top_p=config.top_p,
            )
        for row, (ids, truncated) in enumerate(zip(answers.token_lists(), answers.truncated.tolist(), strict=True)):
            number, sample = start + row // config.samples_per_prompt, row % config.samples_per_prompt
            yield Answer(
                id=_name(records[number], number),
                sample=sample,
                prompt=records[number].prompt,
                response=policy.decode(ids),
                truncated=truncated,
                tokens=len(ids),
                passages=records[number].passages,
                messages=records[number].messages,
                tools=records[number].tools,
            )


def _name(record: PromptRecord, number: int) -> str:
    return record.id or str(number)


def fits(policy: Policy, record: PromptRecord, config: AnswerConfig) -> bool:
    """Whether `answer_all` takes the prompt."""
    policy.use_prompts(config.prompt)
    return len(policy.encode_prompt(record)) <= _limit(policy, config)


def _limit(policy: Policy, config: AnswerConfig) -> int:
    room = policy.room_for_prompt(config.sampling.max_new_tokens)
    return config.max_prompt_tokens if room is None else min(room, config.max_prompt_tokens)


def _encoded(policy: Policy, record: PromptRecord, number: int, config: AnswerConfig) -> list[int]:
    ids, limit = policy.encode_prompt(record), _limit(policy, config)
    if len(ids) > limit:
        reason = "max_prompt_tokens" if limit == config.max_prompt_tokens else "the model's window less max_new_tokens"
        raise DataError(
            f"Prompt {_name(record, number)} has {len(ids)} tokens, the limit is {limit} ({reason}); shorten it."
        )
    return ids
