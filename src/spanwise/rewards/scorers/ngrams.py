"""A linear scorer of words and pairs of words: weak, readable, and as fast as reading the text.

It is the offline default beside fine-tuned classifiers, which cost a forward pass for every prefix of every answer.
The whole scorer is one JSON file. Knows nothing of what the attribute means.
"""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from spanwise.core import CheckpointError, DataError, read_json, write_json
from spanwise.rewards.scorers.scorer import Probability, check_pin

FILE = "ngrams.json"
_WORD = re.compile(r"[^\W_]+(?:['\u2019*@$][^\W_]+)*")


@dataclass(frozen=True)
class NgramScorer:
    """Logistic regression on which words and pairs of neighbouring words a text holds."""

    weights: dict[str, float]
    """By n-gram, its words joined by blanks."""
    intercept: float

    @property
    def version(self) -> str:
        """Twelve hex digits of all weights."""
        content = json.dumps([self.weights, self.intercept], sort_keys=True)
        return f"ngrams-{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    def score(self, texts: Sequence[str]) -> list[Probability]:
        """One probability per text."""
        return [self._probability(text) for text in texts]

    def save(self, folder: Path) -> None:
        """Writes the scorer to a folder."""
        write_json(folder / FILE, {"weights": self.weights, "intercept": self.intercept})

    @classmethod
    def load(cls, folder: Path, *, pinned: str = "") -> "NgramScorer":
        """Reads what `save` wrote; raises CheckpointError where there is no such scorer, or not the pinned version."""
        try:
            stored = read_json(folder / FILE)
            weights = {str(gram): float(weight) for gram, weight in stored["weights"].items()}
            scorer = cls(weights, float(stored["intercept"]))
        except (DataError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"{folder}: no n-gram scorer can be read here ({error}); train it again.") from error
        check_pin(scorer, pinned, str(folder))
        return scorer

    def _probability(self, text: str) -> float:
        logit = self.intercept + sum(self.weights.get(gram, 0.0) for gram in set(ngrams(text)))
        return 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, logit))))


def ngrams(text: str) -> list[str]:
    """The lower-cased words of a text and its pairs of neighbouring words."""
    words = [word.lower().replace("\u2019", "'") for word in _WORD.findall(text)]
    return [*words, *(f"{first} {second}" for first, second in pairwise(words))]


def train_ngram_scorer(
    texts: Sequence[str], labels: Sequence[bool], *, strength: float = 1.0, min_texts: int = 3
) -> NgramScorer:
    """Fits the scorer; an n-gram counts where at least `min_texts` texts hold it. `strength` is 1 / L2 penalty.

    Raises DataError unless there are texts with and without the attribute.
    """
    if len(set(labels)) < 2:
        raise DataError("A scorer needs texts with the attribute and texts without it; give both.")
    counter = CountVectorizer(analyzer=cast("Any", ngrams), binary=True, min_df=min_texts)
    counts = counter.fit_transform(texts)
    fitted = LogisticRegression(C=strength, max_iter=2000).fit(counts, np.array(labels))
    names = counter.get_feature_names_out()
    weights = {str(name): round(float(weight), 6) for name, weight in zip(names, fitted.coef_[0], strict=True)}
    return NgramScorer(weights, round(float(fitted.intercept_[0]), 6))
