"""Words of English text and simple relations between them, for features that compare texts.

Lower-cased words, their rough stems, n-grams, overlaps. Knows nothing of responses or passages.
"""

import math
import re
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

_Item = TypeVar("_Item", bound=Hashable)

_WORD = re.compile(r"\w+(?:[.,'’]\w+)*")  # noqa: RUF001  # the typographic apostrophe occurs in passages
_ENDINGS = ("ing", "ed", "es", "s")
_ENGLISH = """
a about after also an and are as at be been before being between but by did do does during for from had has
have he her his how in into is it its no not of on one or out over she than that the their them then there
these they this those to under up was were what when where which who whom whose why with
"""
_FUNCTION_WORDS = frozenset(_ENGLISH.split())


def words(text: str) -> list[str]:
    """The words of `text`, lower-cased."""
    return [word.lower() for word in _WORD.findall(text)]


def content(text: str) -> list[str]:
    """Stems of the words that carry content."""
    return [_stem(word) for word in words(text) if word not in _FUNCTION_WORDS]


def ngrams(items: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """All runs of `size` items."""
    return [tuple(items[start : start + size]) for start in range(len(items) - size + 1)]


def share(items: Collection[_Item], known: Collection[_Item]) -> float:
    """The share of `items` found in `known`; 0 of nothing is 0."""
    return sum(item in known for item in items) / len(items) if items else 0.0


def longest_run(left: Sequence[str], right: Sequence[str]) -> int:
    """The length of the longest run of items that both sequences hold."""
    places: dict[str, list[int]] = {}
    for index, item in enumerate(right):
        places.setdefault(item, []).append(index)
    best, ends = 0, dict[int, int]()
    for item in left:
        ends = {index: ends.get(index - 1, 0) + 1 for index in places.get(item, ())}
        best = max(best, *ends.values()) if ends else best
    return best


def rarity(texts: Iterable[Collection[str]]) -> "Rarity":
    """How rare each word is among `texts`."""
    counts = Counter[str]()
    total = 0
    for text in texts:
        counts.update(set(text))
        total += 1
    return Rarity(counts, total)


class Rarity:
    """Inverse document frequency, smoothed."""

    def __init__(self, counts: Mapping[str, int], total: int) -> None:
        self._counts = counts
        self._total = total

    def weigh(self, items: Iterable[str]) -> float:
        """The sum of the weights of `items`."""
        return sum(math.log((self._total + 1) / (self._counts.get(item, 0) + 1)) + 0.2 for item in items)

    def share(self, items: Collection[str], known: Collection[str]) -> float:
        """The weighted share of `items` found in `known`; 0 of nothing is 0."""
        return self.weigh(item for item in items if item in known) / self.weigh(items) if items else 0.0


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if len(word) > len(ending) + 3 and word.endswith(ending):
            return word[: -len(ending)]
    return word
