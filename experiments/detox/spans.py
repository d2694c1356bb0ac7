"""Which words of a comment readers would mark as toxic: by a lexicon, by a model of tokens, and by both together.

All three give a probability per word; words at or above a threshold, chosen on validation comments alone, become the
predicted spans. The lexicon is the share of training occurrences in which a word was marked: the baseline that a
model has to beat. Knows nothing of rewards.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression

from experiments.detox.data import character_f1, spans_of, text_of
from spanwise.feedback import FeedbackRecord, Unscored
from spanwise.rewards import MarkedWords
from spanwise.text import Span

_WORD = re.compile(r"[\w'\u2019*@$#-]+")

WordProbabilities = list[tuple[Span, float]]
"""The words of a text and how probably each is marked."""


def words_of(text: str) -> list[Span]:
    """The words, without punctuation around them."""
    return [Span(*found.span()) for found in _WORD.finditer(text)]


@dataclass(frozen=True)
class Lexicon:
    """Of each word the share of its training occurrences that were marked, one unmarked occurrence added."""

    shares: dict[str, float]

    @classmethod
    def of(cls, records: Sequence[FeedbackRecord]) -> "Lexicon":
        """A word counts as marked where half of it or more is."""
        marked: Counter[str] = Counter()
        every: Counter[str] = Counter()
        for record in records:
            text, marks = text_of(record), spans_of(record)
            for word in words_of(text):
                every[word.of(text).lower()] += 1
                marked[word.of(text).lower()] += 2 * sum(word.overlap(span) for span in marks) >= len(word)
        return cls({word: marked[word] / (count + 1) for word, count in every.items() if marked[word]})

    def __call__(self, text: str) -> WordProbabilities:
        """The share of each word; 0 for one that was never marked."""
        return [(word, self.shares.get(word.of(text).lower(), 0.0)) for word in words_of(text)]


def model_words(marked: MarkedWords, texts: Sequence[str]) -> list[WordProbabilities | Unscored]:
    """The largest probability among the model's tokens in each word; Unscored where a text does not fit its window."""
    said = marked.marked_tokens(texts)
    return [
        tokens if isinstance(tokens, Unscored) else _by_word(words_of(text), tokens)
        for text, tokens in zip(texts, said, strict=True)
    ]


def _by_word(words: Sequence[Span], tokens: WordProbabilities) -> WordProbabilities:
    """Words and tokens are both in text order."""
    found: WordProbabilities = []
    first = 0
    for word in words:
        while first < len(tokens) and tokens[first][0].end <= word.start:
            first += 1
        near = tokens[first : first + len(word)]  # each token wrote something: no more can lie in the word
        inside = [probability for token, probability in near if token.start < word.end]
        found.append((word, max(inside, default=0.0)))
    return found


@dataclass(frozen=True)
class Combination:
    """Logistic regression on what lexicon and model say of a word and of its two neighbours."""

    weights: tuple[float, ...]
    intercept: float

    @classmethod
    def of(
        cls,
        records: Sequence[FeedbackRecord],
        lexicon: Sequence[WordProbabilities],
        model: Sequence[WordProbabilities],
    ) -> "Combination":
        """Fitted on comments that neither lexicon nor model has seen."""
        rows = [_features(a, b) for a, b in zip(lexicon, model, strict=True)]
        labels = [
            [2 * sum(word.overlap(span) for span in spans_of(record)) >= len(word) for word, _ in words]
            for record, words in zip(records, lexicon, strict=True)
        ]
        fitted = LogisticRegression(C=1.0, max_iter=1000).fit(np.concatenate(rows), np.concatenate(labels))
        return cls(tuple(map(float, fitted.coef_[0])), float(fitted.intercept_[0]))

    def __call__(self, lexicon: WordProbabilities, model: WordProbabilities) -> WordProbabilities:
        """The probability of each word of one text."""
        logits = _features(lexicon, model) @ np.array(self.weights) + self.intercept
        return [(word, 1 / (1 + math.exp(-z))) for (word, _), z in zip(lexicon, logits.tolist(), strict=True)]


def predicted_spans(text: str, words: WordProbabilities, threshold: float) -> list[Span]:
    """The words at or above the threshold; neighbours with nothing but blanks between them are one span."""
    found: list[Span] = []
    for word, probability in words:
        if probability < threshold:
            continue
        if found and not text[found[-1].end : word.start].strip():
            found[-1] = Span(found[-1].start, word.end)
        else:
            found.append(word)
    return found


def f1_scores(
    records: Sequence[FeedbackRecord], words: Sequence[WordProbabilities | Unscored], threshold: float
) -> dict[str, float | Unscored]:
    """By comment id: the F1 over characters, or why there is none."""
    return {
        record.id: row
        if isinstance(row, Unscored)
        else character_f1(predicted_spans(text_of(record), row, threshold), spans_of(record))
        for record, row in zip(records, words, strict=True)
    }


def best_threshold(records: Sequence[FeedbackRecord], words: Sequence[WordProbabilities | Unscored]) -> float:
    """The threshold, in steps of 0.02, with the highest mean F1."""
    return max(np.arange(0.02, 1.0, 0.02).round(2).tolist(), key=_mean_f1(records, words))


def _mean_f1(
    records: Sequence[FeedbackRecord], words: Sequence[WordProbabilities | Unscored]
) -> Callable[[float], float]:
    def mean(threshold: float) -> float:
        values = [value for value in f1_scores(records, words, threshold).values() if not isinstance(value, Unscored)]
        return sum(values) / max(1, len(values))

    return mean


def _features(lexicon: WordProbabilities, model: WordProbabilities) -> Float[np.ndarray, "n 6"]:
    """Of each word the log-odds by model and lexicon, its own and its neighbours'."""
    columns = [np.array([_log_odds(p) for _, p in words]) for words in (model, lexicon)]
    shifted = [np.pad(column, 1, constant_values=_log_odds(0.0)) for column in columns]
    parts = [part for column in shifted for part in (column[1:-1], column[:-2], column[2:])]
    return np.stack(parts, axis=1) if len(lexicon) else np.zeros((0, 6))


def _log_odds(probability: float) -> float:
    bounded = min(0.99, max(0.01, probability))
    return math.log(bounded / (1 - bounded))
