"""Responses of a model read from JSONL and joined with their prompts by id, never by their order.

`spanwise generate` writes such files; other tools can, with the keys id and response. A prompt may have several
responses, all of them count. The file knows nothing of metrics.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from spanwise.core import DataError
from spanwise.feedback import PromptRecord, load_or_raise


class ResponseRecord(BaseModel):
    """One line of a file of responses; keys that are not named here are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    prompt_id: str = Field(alias="id", min_length=1)
    """The prompt's id; several samples of a prompt share it."""
    response: str
    prompt: str | None = None
    """The prompt's text, where it is given: it must be the prompt of that id."""
    truncated: bool | None = None
    tokens: int | None = Field(default=None, ge=0)


def load_prompts(path: Path) -> dict[str, PromptRecord]:
    """The prompts of `path` by id; one without id goes by its number in the file, from 0, as `generate` names it."""
    return {record.id or str(number): record for number, record in enumerate(load_or_raise(path, PromptRecord))}


def load_responses(path: Path, prompts: Mapping[str, PromptRecord], prompt_file: Path) -> list[ResponseRecord]:
    """The responses of `path`; raises DataError when they are not to `prompts`, every one of them."""
    records = load_or_raise(path, ResponseRecord)
    _check_ids(path, records, prompts, prompt_file)
    for number, record in enumerate(records, start=1):
        if record.prompt is not None and record.prompt != prompts[record.prompt_id].prompt:
            raise DataError(
                f"{path}: response {number} has id {record.prompt_id!r} but another prompt than that id has in "
                f"{prompt_file}; generate from the same prompts."
            )
    return records


def _check_ids(
    path: Path, records: Sequence[ResponseRecord], prompts: Mapping[str, PromptRecord], prompt_file: Path
) -> None:
    answered = {record.prompt_id for record in records}
    missing = [key for key in prompts if key not in answered]
    extra = [record.prompt_id for record in records if record.prompt_id not in prompts]
    if missing or extra:
        first = f"has no response to {missing[0]!r}" if missing else f"answers {extra[0]!r}, which is no prompt"
        counts = f"{len(missing)} without response, {len(extra)} without prompt"
        raise DataError(f"{path}: {first} of {prompt_file} ({counts}); generate from the same prompts.")
