"""QA-Feedback (Wu et al. 2023) as a task: its files, folds by question, and prompts short enough for small policies.

The files lie where the user put them; nothing is downloaded. Knows nothing of how models are trained.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from spanwise.errors import ConfigError, DataError
from spanwise.feedback.importers.qa_feedback import import_demonstrations, import_records
from spanwise.feedback.problems import ReadResult
from spanwise.feedback.prompts import DemonstrationRecord, PromptRecord
from spanwise.feedback.schema import FeedbackRecord
from spanwise.reward_models.window import without_least_related
from spanwise.seeding import numpy_generator

FEEDBACK_FILE = "dev_feedback.json.gz"
DEMONSTRATION_FILES = ("train_1k_sft.json.gz", "train_1k_rl.json.gz")

_Read = TypeVar("_Read", bound=BaseModel)
_Prompt = TypeVar("_Prompt", bound=PromptRecord)


def load_feedback(folder: Path) -> list[FeedbackRecord]:
    """The 500 marked records; DataError when a record is damaged."""
    return _all_of(import_records(folder / FEEDBACK_FILE))


def load_demonstrations(folder: Path) -> list[DemonstrationRecord]:
    """The 1,000 questions with their reference answers; DataError when one is damaged."""
    return [record for name in DEMONSTRATION_FILES for record in _all_of(import_demonstrations(folder / name))]


def folds_by_question(records: Sequence[FeedbackRecord], *, count: int, seed: int) -> list[int]:
    """The fold (from 0) of each record; records of one question share it, and folds differ by one question at most."""
    questions = sorted({record.prompt for record in records})
    if not 2 <= count <= len(questions):
        raise ConfigError(f"{len(questions)} questions cannot make {count} folds; ask for 2 to {len(questions)}.")
    order = numpy_generator(seed, "qa-feedback/folds").permutation(len(questions))
    fold = {questions[index]: place % count for place, index in enumerate(order.tolist())}
    return [fold[record.prompt] for record in records]


def shortened(record: _Prompt, *, words: int) -> _Prompt:
    """`record` with the passage sentences that share most words with the question, about `words` words of them.

    For policies with a short window; order and titles stay.
    """
    excess = sum(_length(sentence) for passage in record.passages for sentence in passage.sentences) - words
    if excess <= 0:
        return record
    kept = without_least_related(record.passages, record.prompt, excess=excess, count=_length)
    return record.model_copy(update={"passages": kept})


def _length(text: str) -> int:
    return len(text.split())


def _all_of(result: ReadResult[_Read]) -> list[_Read]:
    if result.problems:
        first, more = result.problems[0], len(result.problems) - 1
        raise DataError(f"{first}" + (f" ({more} more problems in this file)" if more else ""))
    return result.records
