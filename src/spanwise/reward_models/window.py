"""Makes passages fit a model's window by leaving out the sentences that have least to do with the answer.

Knows nothing of models; lengths are counted by the caller's function. A sentence is kept or left out whole, and the
order of what is kept stays.
"""

import re
from collections.abc import Callable, Sequence

from spanwise.feedback.schema import Passage

_WORD = re.compile(r"\w{4,}|\d+")
"""Longer words and numbers: short words are in every sentence."""


def without_least_related(
    passages: Sequence[Passage], topic: str, *, excess: int, count: Callable[[str], int]
) -> tuple[Passage, ...]:
    """`passages` without the sentences that share least words with `topic`, at least `excess` (> 0) in length together.

    Of equally related sentences the later goes first; a passage that loses its last sentence goes as a whole.
    """
    words = set(_WORD.findall(topic.lower()))
    places = [(number, index) for number, passage in enumerate(passages) for index in range(len(passage.sentences))]
    places.sort(key=lambda place: (_relatedness(passages[place[0]].sentences[place[1]], words), -place[0], -place[1]))
    dropped: set[tuple[int, int]] = set()
    for number, index in places:
        if excess <= 0:
            break
        dropped.add((number, index))
        excess -= count(passages[number].sentences[index])
    kept = (
        Passage(
            title=passage.title,
            sentences=tuple(text for index, text in enumerate(passage.sentences) if (number, index) not in dropped),
        )
        for number, passage in enumerate(passages)
    )
    return tuple(passage for passage in kept if passage.sentences)


def _relatedness(sentence: str, words: set[str]) -> float:
    found = set(_WORD.findall(sentence.lower()))
    return len(found & words) / max(1, len(found)) ** 0.5
