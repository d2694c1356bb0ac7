"""Post-edited translations (mlqe-pe) as a task: the pairs without their source, and the tags of their words.

A model that reads English alone learns from what people changed in machine translations; the OK/BAD tags of words are
never shown to it and test where its rewards are low. The files lie where the user put them; nothing is downloaded.
Knows nothing of models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from experiments.post_edits.words import Words, touched, words_of
from spanwise.core import ConfigError, DataError, numpy_generator
from spanwise.feedback import EditPair, FeedbackRecord, Preference, Response
from spanwise.feedback.formats import read_edits
from spanwise.reward_models.data import labels_of_tags

LANGUAGES = ("et-en", "ne-en", "ro-en")
"""Estonian, Nepalese and Romanian to English, as the files are called."""


@dataclass(frozen=True, slots=True)
class PostEdits:
    """Pairs to learn from, pairs to choose epochs and thresholds by, and the dev sets, which nothing is chosen by."""

    train: list[EditPair]
    tune: list[EditPair]
    dev: list[EditPair]


def select_pairs(folder: Path, *, train: int, tune: int, dev: int | None = None, seed: int = 0) -> PostEdits:
    """So many pairs of each language, drawn by chance from its files; no original of one part is in another."""
    every, judged = load_post_edits(folder, "train"), load_post_edits(folder, "dev")
    kept = judged if dev is None else drawn(judged, per_language=dev, seed=seed, purpose="dev")
    rest = _apart(every, judged)
    tuning = drawn(rest, per_language=tune, seed=seed, purpose="tune")
    return PostEdits(drawn(_apart(rest, tuning), per_language=train, seed=seed, purpose="train"), tuning, kept)


def load_post_edits(folder: Path, split: Literal["train", "dev"]) -> list[EditPair]:
    """The pairs of all languages, one after the other; DataError when a file is damaged or absent.

    The prompt is empty, because an English model cannot read the source, which goes to `provenance["source"]`.
    """
    pairs: list[EditPair] = []
    for language in LANGUAGES:
        path = folder / f"{language}-{split}.tar.gz"
        if not path.exists():
            raise DataError(f"{path}: there is no such file; it is data/post-editing of sheffieldnlp/mlqe-pe.")
        found = read_edits(path, "mlqe-pe")
        if found.problems:
            raise DataError(str(found.problems[0]))
        pairs += [_without_prompt(pair) for pair in found.records]
    return pairs


def language_of(pair: EditPair) -> str:
    """Which of LANGUAGES a pair belongs to."""
    return str(pair.provenance["set"]).rpartition("-")[0]


def drawn(pairs: Sequence[EditPair], *, per_language: int, seed: int, purpose: str) -> list[EditPair]:
    """So many pairs of each language, by chance, in their old order; ConfigError where there are fewer."""
    places: list[int] = []
    for language in LANGUAGES:
        mine = [place for place, pair in enumerate(pairs) if language_of(pair) == language]
        if per_language > len(mine):
            raise ConfigError(f"{language} has {len(mine)} pairs, {per_language} were asked for; ask for fewer.")
        order = numpy_generator(seed, f"post-edits/{purpose}/{language}").permutation(len(mine))[:per_language]
        places += [mine[index] for index in order.tolist()]
    return [pairs[place] for place in sorted(places)]


def tagged_words(pairs: Sequence[EditPair]) -> Words:
    """The words of all originals and whether they are tagged BAD; DataError for a pair without tags."""
    bad: list[bool] = []
    group: list[int] = []
    for number, pair in enumerate(pairs):
        found, left_out = labels_of_tags([pair])
        if not found:
            raise DataError(f"{pair.id or f'pair {number + 1}'}: {', '.join(left_out)}; the test needs tags of words.")
        mine = touched(words_of(pair.original), found[0].wrong)
        bad += mine
        group += [number] * len(mine)
    return Words(np.array(group, dtype=np.int64), np.array(bad, dtype=np.bool_))


def as_preferences(pairs: Sequence[EditPair]) -> list[FeedbackRecord]:
    """The same pairs as two responses of which the edit is preferred, for a model of whole responses."""
    return [
        FeedbackRecord(
            id=pair.id or str(number),
            prompt=pair.prompt,
            passages=pair.passages,
            responses=(Response(text=pair.original), Response(text=pair.edited)),
            preferences=(Preference(first=0, second=1, winner="second"),),
        )
        for number, pair in enumerate(pairs)
        if pair.original != pair.edited
    ]


def _apart(pairs: Sequence[EditPair], others: Sequence[EditPair]) -> list[EditPair]:
    taken = {pair.original for pair in others}
    return [pair for pair in pairs if pair.original not in taken]


def _without_prompt(pair: EditPair) -> EditPair:
    return pair.model_copy(update={"prompt": "", "provenance": {**pair.provenance, "source": pair.prompt}})
