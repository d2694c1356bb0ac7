"""Can a simple classifier tell edited texts from their originals by style alone? Then a reward model can cheat.

Three classifiers are tried out of fold: one sees the words, one only style (punctuation, function words, capitals,
layout), one only the length. Pairs that share a prompt or a text are always in the same fold, for a text that was
learnt with its label is known again. An area under the curve of 0.5 is as it should be. Needs scikit-learn. Knows
nothing of what makes an edit good.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spanwise.core import derive_seed
from spanwise.feedback.edits import EditPair
from spanwise.text import count_words, words_of

SUSPICIOUS = 0.65
"""Area under the curve from which on the edits carry a fingerprint."""

_FOLDS = 5
_TYPOGRAPHIC = (
    "\N{EN DASH}\N{EM DASH}\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}"
    "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\N{HORIZONTAL ELLIPSIS}\N{BULLET}"
)
_MARKS = ".,;:!?-()[]\"'*#`\n" + _TYPOGRAPHIC
_FUNCTION_WORDS = tuple(
    "the a an of to in on at by for with from and or but not is are was were be been it this that these those as "  # noqa: SIM905
    "which who also however while although may might can could would should certainly sure here overall".split()
)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Areas under the curve out of fold, edited against original."""

    pairs: int
    words: float
    style: float
    length: float
    telling: tuple[str, ...]
    """The words that speak most for an edited text, then those that speak most for an original."""

    @property
    def suspicious(self) -> bool:
        """Whether words or style give the edits away."""
        return max(self.words, self.style) >= SUSPICIOUS

    def as_dict(self) -> dict[str, Any]:
        """The figures, for JSON output."""
        return {**asdict(self), "telling": list(self.telling), "suspicious": self.suspicious}


def fingerprint(pairs: Sequence[EditPair], *, seed: int = 0) -> Fingerprint | None:
    """The figures of `pairs`; None where fewer than twenty differ or they fall into fewer than five groups."""
    differing = [pair for pair in pairs if pair.original != pair.edited]
    folds = _folds(differing, seed=seed)
    if folds is None:
        return None
    texts = [text for pair in differing for text in (pair.original, pair.edited)]
    where, labels = np.repeat(folds, 2), np.tile([0, 1], len(differing))
    bags, names = _bags(texts)
    return Fingerprint(
        len(differing),
        words=_area(bags, labels, where),
        style=_area(_style(texts), labels, where),
        length=_area(_lengths(texts), labels, where),
        telling=_telling(bags, names, labels),
    )


def _folds(pairs: Sequence[EditPair], *, seed: int) -> NDArray[np.int64] | None:
    """The fold of each pair, that of its group; None where there are too few pairs or groups."""
    group = _groups(pairs)
    sizes = np.bincount(group)
    if len(pairs) < 4 * _FOLDS or len(sizes) < _FOLDS:
        return None
    chance = np.random.default_rng(derive_seed(seed, "fingerprint")).permutation(len(sizes))
    fold_of, filled = np.zeros_like(sizes), np.zeros(_FOLDS, dtype=np.int64)
    for number in np.lexsort((chance, -sizes)):  # the largest first, so that folds come out even
        fold_of[number] = filled.argmin()
        filled[fold_of[number]] += sizes[number]
    return fold_of[group]


def _groups(pairs: Sequence[EditPair]) -> NDArray[np.int64]:
    """The group of each pair: pairs that share a prompt or a text, themselves or through others, are one group."""
    parent = list(range(len(pairs)))

    def root(position: int) -> int:
        while parent[position] != position:
            parent[position] = position = parent[parent[position]]
        return position

    first: dict[tuple[str, str], int] = {}
    for position, pair in enumerate(pairs):
        shared = [("text", pair.original), ("text", pair.edited), *([("prompt", pair.prompt)] if pair.prompt else [])]
        for key in shared:
            parent[root(position)] = root(first.setdefault(key, position))
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(root(position), len(numbers)) for position in range(len(pairs))], np.int64)


def _area(features: Any, labels: NDArray[np.int64], where: NDArray[np.int64]) -> float:
    """The mean over folds, as classifiers of different folds share no scale."""
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415 - an extra

    areas: list[float] = []
    for fold in range(_FOLDS):
        held = where == fold
        scores = _classifier(features[~held], labels[~held]).decision_function(features[held])
        areas.append(float(roc_auc_score(labels[held], scores)))
    return float(np.mean(areas))


def _classifier(features: Any, labels: NDArray[np.int64]) -> Any:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - an extra
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import MaxAbsScaler, StandardScaler  # noqa: PLC0415

    scaler = StandardScaler() if isinstance(features, np.ndarray) else MaxAbsScaler()
    return make_pipeline(scaler, LogisticRegression(max_iter=500, C=0.3)).fit(features, labels)


def _bags(texts: list[str]) -> tuple[Any, list[str]]:
    """Which words each text holds; words of one text alone can tell nothing out of fold."""
    from sklearn.feature_extraction.text import CountVectorizer  # noqa: PLC0415 - an extra

    bag = CountVectorizer(binary=True, token_pattern=r"\w+|[^\w\s]")
    return bag.fit_transform(texts), [str(name) for name in bag.get_feature_names_out()]


def _telling(bags: Any, names: list[str], labels: NDArray[np.int64], shown: int = 5) -> tuple[str, ...]:
    weights = _classifier(bags, labels)[-1].coef_[0]
    order = np.argsort(weights, kind="stable")
    return (*(names[k] for k in order[::-1][:shown]), *(names[k] for k in order[:shown]))


def _style(texts: list[str]) -> NDArray[np.float64]:
    """Rates that say how a text is written: per character for marks and capitals, per word for function words."""
    rows: list[list[float]] = []
    for text in texts:
        words, size = [word for word in words_of(text.lower()) if any(map(str.isalnum, word))], max(len(text), 1)
        marks = [text.count(mark) / size for mark in _MARKS]
        functions = [words.count(word) / max(len(words), 1) for word in _FUNCTION_WORDS]
        mean_word = sum(map(len, words)) / max(len(words), 1)
        rows.append([*marks, *functions, sum(map(str.isupper, text)) / size, mean_word, float(text[-1:] in ".!?")])
    return np.array(rows)


def _lengths(texts: list[str]) -> NDArray[np.float64]:
    return np.array([[math.log1p(len(text)), math.log1p(count_words(text))] for text in texts])
