"""What counted features of words tell about which words get edited: the baseline that any reward model must beat.

A logistic regression on frequency, novelty, length, place and form of a word, of its neighbours and of its text, learnt
from the same pairs and from nothing but which words were changed. Counts leave out the text at hand, because at the
test it is not among the counted ones. Shapes: n words, f features.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from experiments.post_edits.words import touched, words_of
from spanwise.core import DataError
from spanwise.text import Span

FEATURES = (
    "rarity", "unseen", "length", "place", "words_before", "words", "changed_before", "punctuation", "digit", "capital",
    "bigram_unseen_left", "bigram_unseen_right", "said_before", "text_rarity", "text_unseen", "text_changed_before",
)  # fmt: skip
"""Rarity and unseen: among the words of the edited texts; changed_before: how often this word was changed."""
SINGLE = ("rarity", "unseen", "length", "place", "changed_before")
"""Those that are also baselines by themselves."""
_PRIOR = 5.0  # words' rates of change are drawn towards the mean by so many unseen occurrences


@dataclass(frozen=True, slots=True)
class MarkedText:
    """A text, the stretches of it that were changed or marked, and the text after the edit where there is one."""

    text: str
    bad: tuple[Span, ...]
    edited: str | None = None


class _Counts:
    """Occurrences in many texts, or in one that is to be left out."""

    def __init__(self, texts: Sequence[MarkedText]) -> None:
        self.edited: Counter[str] = Counter()
        self.bigrams: Counter[tuple[str, str]] = Counter()
        self.said: Counter[str] = Counter()
        self.changed: Counter[str] = Counter()
        for item in texts:
            reference = _lower(item.text if item.edited is None else item.edited)
            self.edited.update(reference)
            self.bigrams.update(pairwise(["", *reference, ""]))
            flags = touched(words_of(item.text), item.bad)
            for word, flag in zip(_lower(item.text), flags, strict=True):
                self.said[word] += 1
                self.changed[word] += flag


class SurfaceModel:
    """Learnt from marked texts; scores the words of others, the higher the likelier to be bad."""

    def __init__(self, texts: Sequence[MarkedText]) -> None:
        self._all, self._nothing = _Counts(texts), _Counts([])
        self._edited, said = self._all.edited.total(), self._all.said.total()
        self._rate = self._all.changed.total() / max(1, said)
        flags = np.array([flag for item in texts for flag in touched(words_of(item.text), item.bad)], dtype=np.bool_)
        if not 0 < flags.sum() < len(flags):
            raise DataError("The texts have no changed word, or no word that stayed; surface features learn from both.")
        rows = np.concatenate([self._rows(item.text, _Counts([item])) for item in texts])
        self._model: Pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        self._model.fit(rows, flags)

    def features(self, texts: Sequence[str]) -> Float[np.ndarray, "n f"]:
        """FEATURES of the words of texts that were not learnt from, in a row."""
        return np.concatenate([self._rows(text, self._nothing) for text in texts])

    def badness(self, texts: Sequence[str]) -> Float[np.ndarray, " n"]:
        """The log-odds that each word is bad."""
        return np.asarray(self._model.decision_function(self.features(texts)))

    def _rows(self, text: str, own: _Counts) -> Float[np.ndarray, "n f"]:
        words = [span.of(text) for span in words_of(text)]
        lower = [word.lower() for word in words]
        seen = [self._all.edited[word] - own.edited[word] for word in lower]
        rarity = [-math.log((count + 0.5) / (self._edited + 1)) for count in seen]
        unseen = [float(count == 0) for count in seen]
        changed = [self._changed(word, own) for word in lower]
        novel = [float(self._all.bigrams[pair] <= own.bigrams[pair]) for pair in pairwise(["", *lower, ""])]
        whole = [float(np.mean(values)) if words else 0.0 for values in (rarity, unseen, changed)]
        rows = [
            [
                rarity[at], unseen[at], len(word), at / len(words), at, len(words), changed[at],
                not any(map(str.isalnum, word)), any(map(str.isdigit, word)), at > 0 and word[:1].isupper(),
                novel[at], novel[at + 1], lower[at] in lower[:at], *whole,
            ]
            for at, word in enumerate(words)
        ]  # fmt: skip
        return np.array(rows, dtype=np.float64).reshape(len(words), len(FEATURES))

    def _changed(self, word: str, own: _Counts) -> float:
        """Log-odds of a change of this word, drawn towards the mean where it is rare."""
        changed = self._all.changed[word] - own.changed[word] + _PRIOR * self._rate
        said = self._all.said[word] - own.said[word] + _PRIOR
        return math.log(changed / (said - changed))


def _lower(text: str) -> list[str]:
    return [span.of(text).lower() for span in words_of(text)]
