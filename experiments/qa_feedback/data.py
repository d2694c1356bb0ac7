"""QA-Feedback (Wu et al. 2023) as a task: its files, folds by question, and prompts short enough for small policies.

The files lie where the user put them; nothing is downloaded. Knows nothing of how models are trained.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from spanwise.core import ConfigError, DataError, numpy_generator
from spanwise.feedback import DemonstrationRecord, FeedbackRecord, Passage, PromptRecord, ReadResult
from spanwise.feedback.formats import import_demonstrations, read_feedback
from spanwise.reward_models.features import content, share
from spanwise.text import sentences

FEEDBACK_FILE = "dev_feedback.json.gz"
DEMONSTRATION_FILES = ("train_1k_sft.json.gz", "train_1k_rl.json.gz")
"""The halves of the authors' train_1k.json, as a fork keeps them; `recipes/wu2023` reads the authors' own files."""

_Read = TypeVar("_Read", bound=BaseModel)
_Prompt = TypeVar("_Prompt", bound=PromptRecord)


def load_feedback(folder: Path) -> list[FeedbackRecord]:
    """The 500 marked records; DataError when a record is damaged."""
    return _all_of(read_feedback(folder / FEEDBACK_FILE, "qa-feedback"))


def load_demonstrations(folder: Path) -> list[DemonstrationRecord]:
    """The 1,000 questions with their reference answers; DataError when one is damaged.

    Their pages come as one text each; they are cut into sentences, as the passages of the marked records are.
    """
    read = [record for name in DEMONSTRATION_FILES for record in _all_of(import_demonstrations(folder / name))]
    return [record.model_copy(update={"passages": tuple(map(in_sentences, record.passages))}) for record in read]


def folds_by_question(records: Sequence[FeedbackRecord], *, count: int, seed: int) -> list[int]:
    """The fold (from 0) of each record; records of one question share it, and folds differ by one question at most."""
    questions = sorted({record.prompt for record in records})
    if not 2 <= count <= len(questions):
        raise ConfigError(f"{len(questions)} questions cannot make {count} folds; ask for 2 to {len(questions)}.")
    order = numpy_generator(seed, "qa-feedback/folds").permutation(len(questions))
    fold = {questions[index]: place % count for place, index in enumerate(order.tolist())}
    return [fold[record.prompt] for record in records]


def shortened(record: _Prompt, *, words: int) -> _Prompt:
    """`record` with an excerpt: the sentences nearest its question, the first and further ones within `words` words.

    For policies with a short window; judges still see whole passages. Order and titles stay. Near is who shares most
    of the question's content words.
    """
    question = sorted(set(content(record.prompt)))
    places = [(number, index) for number, p in enumerate(record.passages) for index in range(len(p.sentences))]
    places.sort(key=lambda place: -share(question, set(content(_sentence(record, place)))))
    kept: set[tuple[int, int]] = set()
    room = words
    for place in places:
        length = len(_sentence(record, place).split())
        if not kept or length <= room:
            kept.add(place)
            room -= length
    passages = (
        passage.model_copy(
            update={"sentences": tuple(s for index, s in enumerate(passage.sentences) if (number, index) in kept)}
        )
        for number, passage in enumerate(record.passages)
    )
    return record.model_copy(update={"excerpt": tuple(passage for passage in passages if passage.sentences)})


def in_sentences(passage: Passage) -> Passage:
    """The passage, whose text came as a whole, cut into sentences."""
    texts = (span.of(passage.text).strip() for span in sentences(passage.text))
    return passage.model_copy(update={"sentences": tuple(text for text in texts if text)})


def _sentence(record: PromptRecord, place: tuple[int, int]) -> str:
    return record.passages[place[0]].sentences[place[1]]


def _all_of(result: ReadResult[_Read]) -> list[_Read]:
    if result.problems:
        first, more = result.problems[0], len(result.problems) - 1
        raise DataError(f"{first}" + (f" ({more} more problems in this file)" if more else ""))
    return result.records
