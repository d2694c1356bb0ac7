"""Segmenters: a text in, the spans that are judged out.

Segments always partition the text: the first starts at 0, each starts where the one before ends, the last
ends at len(text). Whitespace between two segments belongs to the earlier one, whitespace before the first
to the first. A text of whitespace alone is one segment; the empty text has none. Words are what str.split
gives. Knows nothing of tokens or of feedback.
"""

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from spanwise.errors import ConfigError
from spanwise.text.sentences import paragraph_starts, sentence_starts
from spanwise.text.spans import Span
from spanwise.text.subsentences import sub_sentence_starts

_WORD = re.compile(r"\S+")
_CLAUSE_END = re.compile(r"[,;!?]\s+")


class Segmenter(Protocol):
    """Anything that cuts a text into segments that partition it."""

    def __call__(self, text: str, /) -> tuple[Span, ...]:
        """The segments of `text`, in order."""
        ...


def sequence(text: str) -> tuple[Span, ...]:
    """The whole text as one segment."""
    return partition(text, ())


def paragraphs(text: str) -> tuple[Span, ...]:
    """One segment per paragraph; a blank line parts paragraphs."""
    return partition(text, paragraph_starts(text))


def sentences(text: str) -> tuple[Span, ...]:
    """One segment per sentence (sentencex, English rules)."""
    return partition(text, sentence_starts(text))


def sub_sentences(text: str) -> tuple[Span, ...]:
    """One segment per sub-sentence: clauses of at least five words, by the rule of Wu et al. 2023."""
    return sub_sentences_within(text, sentences(text))


def sub_sentences_within(text: str, parts: Iterable[Span]) -> tuple[Span, ...]:
    """The sub-sentences of a text that is cut into sentences already: `parts`, which partition it."""
    starts: list[int] = []
    for sentence in parts:
        clauses, words = _clauses(text, sentence)
        starts += [clauses[index] for index in sub_sentence_starts(clauses, words)]
    return partition(text, starts)


def _clauses(text: str, sentence: Span) -> tuple[dict[int, int], int]:
    """Where the sentence and its clauses start, by the index of their first word, and how many words there are."""
    starts = {0: sentence.start}
    words, start = 0, sentence.start
    for end in _CLAUSE_END.finditer(text, sentence.start, sentence.end):
        words += len(text[start : end.end()].split())
        start = starts[words] = end.end()
    return starts, words + len(text[start : sentence.end].split())


def windows(text: str, size: int) -> tuple[Span, ...]:
    """One segment per `size` words; the last one may hold fewer."""
    return partition(text, (word.start() for index, word in enumerate(_WORD.finditer(text)) if index % size == 0))


def partition(text: str, starts: Iterable[int]) -> tuple[Span, ...]:
    """Cuts `text` before each of the ascending `starts`; the first segment begins at 0 whatever `starts` says."""
    if not text:
        return ()
    cuts = [0, *list(starts)[1:], len(text)]
    return tuple(map(Span, cuts, cuts[1:]))


SEGMENTERS: dict[str, Callable[[str], tuple[Span, ...]]] = {
    "sequence": sequence,
    "paragraph": paragraphs,
    "sentence": sentences,
    "sub-sentence": sub_sentences,
}
"""Segmenters by name; `window:<n>` stands beside them."""


def get_segmenter(name: str) -> Segmenter:
    """The segmenter called `name`: a key of SEGMENTERS, or `window:<n>` for n words a segment.

    Raises ConfigError for any other name.
    """
    if name in SEGMENTERS:
        return SEGMENTERS[name]
    kind, _, size = name.partition(":")
    if kind == "window" and size.isascii() and size.isdigit() and int(size) > 0:
        return partial(windows, size=int(size))
    raise ConfigError(f"Unknown segmenter {name!r}; use one of {', '.join(SEGMENTERS)} or window:<words>.")
