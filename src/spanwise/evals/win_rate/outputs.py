"""Outputs to be judged, by instruction: AlpacaEval's files, and those that `spanwise generate` writes.

A generated answer goes by its prompt; where the prompts' file is given, by the prompt with its passages, so that a
judge can tell what is true. Knows nothing of judges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spanwise.core import DataError
from spanwise.evals.metrics import load_prompts
from spanwise.evals.win_rate.alpaca_files import read_outputs, read_rows
from spanwise.feedback import PromptRecord


@dataclass(frozen=True)
class Outputs:
    """One model's outputs by instruction."""

    model: str
    texts: Mapping[str, str]
    doubled: int = 0
    """Rows that repeated an earlier one."""
    further: int = 0
    """Further samples of a prompt: the first one is judged."""


@dataclass(frozen=True)
class AskedPrompts:
    """The prompts that were answered: by id, to join files, and by instruction, for judges that read passages."""

    by_id: Mapping[str, PromptRecord]

    @classmethod
    def load(cls, path: Path) -> "AskedPrompts":
        """The prompts of a JSONL file."""
        return cls(load_prompts(path))

    @property
    def by_instruction(self) -> dict[str, PromptRecord]:
        """Each record by what judges read of it."""
        return {instruction_of(record): record for record in self.by_id.values()}


def instruction_of(record: PromptRecord) -> str:
    """What a judge reads: the prompt, and all its passages where it has any."""
    passages = "".join(f"\n\n{passage.title}: {passage.text}" for passage in record.passages)
    return f"{record.prompt}\n\nPassages:{passages}" if passages else record.prompt


def load_outputs(path: Path, prompts: AskedPrompts | None = None) -> Outputs:
    """Outputs of a file of either form; raises DataError where one instruction has two different outputs.

    `prompts` gives generated answers their passages; an answer to none of them is an error.
    """
    rows = read_rows(path, ())
    if "response" not in rows[0]:
        if prompts is not None:
            raise DataError(f"{path}: AlpacaEval's outputs carry their instructions; leave out --prompts.")
        texts, model, doubled = read_outputs(path)
        return Outputs(model, texts, doubled)
    return _generated(path, rows, prompts)


def _generated(path: Path, rows: Sequence[Mapping[str, Any]], prompts: AskedPrompts | None) -> Outputs:
    texts: dict[str, str] = {}
    doubled, seen = 0, set[str]()
    for number, row in enumerate(rows, start=1):
        key, text = str(row.get("id", number)), row.get("response")
        if not isinstance(text, str):
            raise DataError(f"{path}: row {number} has no text under 'response'; add it or drop the row.")
        if key in seen:
            continue
        seen.add(key)
        instruction = _instruction(row, key, prompts, f"{path}: row {number}")
        doubled += instruction in texts
        if texts.setdefault(instruction, text) != text:
            raise DataError(
                f"{path}: row {number}: the prompt {instruction!r:.60} was answered before otherwise; give the "
                "prompts' file with --prompts to tell them apart by their passages, or keep one of them."
            )
    return Outputs(path.stem, texts, doubled, further=len(rows) - len(seen))


def _instruction(row: Mapping[str, Any], key: str, prompts: AskedPrompts | None, place: str) -> str:
    if prompts is None:
        if not isinstance(row.get("prompt"), str):
            raise DataError(f"{place} has no text under 'prompt'; add it, or give the prompts' file with --prompts.")
        return str(row["prompt"])
    record = prompts.by_id.get(key)
    if record is None or row.get("prompt", record.prompt) != record.prompt:
        raise DataError(f"{place} answers {key!r}, no such prompt of --prompts; give the file it was made from.")
    return instruction_of(record)
