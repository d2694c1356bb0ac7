"""Segmenters: a text in, the spans that are judged out; and where paragraphs, sentences and sub-sentences begin.

Segments always partition the text: the first starts at 0, each starts where the one before ends, the last ends at
len(text). Whitespace between two segments belongs to the earlier one, whitespace before the first to the first. A text
of whitespace alone is one segment; the empty text has none. Words are those of `scripts.py`. Knows nothing of tokens or
of feedback.
"""

import re
from bisect import bisect, bisect_left
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from itertools import accumulate, pairwise, repeat
from typing import Protocol, cast

import sentencex

from spanwise.core import ConfigError, is_path, load_object
from spanwise.text.scripts import count_words, without_spaces, words
from spanwise.text.spans import Span, check_text

_BLANK_LINE = re.compile(r"\n\s*\n\s*")
_WIDE_SPACE = re.compile(r"[^\S\n]")
_split = cast("Callable[[str, str], list[str]]", sentencex.segment)  # type: ignore[attr-defined] -- no stubs
MIN_WORDS = 5
"""Shortest piece, and how many words must at least follow its first one."""
_CLAUSE_END = re.compile(r"[,;!?\u060c\u061b\u061f]\s+|[\uff0c\uff1b\uff01\uff1f]\s*")
"""Commas and their like with white space behind them, Arabic ones as well; those of Han and kana need none."""


def paragraph_starts(text: str) -> tuple[int, ...]:
    """Offsets of the first non-whitespace character of each paragraph; blank lines part paragraphs."""
    first = len(text) - len(text.lstrip())
    later = (match.end() for match in _BLANK_LINE.finditer(text, first))
    return tuple(start for start in (first, *later) if start < len(text))


@lru_cache(maxsize=4096)
def sentence_starts(text: str) -> tuple[int, ...]:
    """Offsets of the first non-whitespace character of each sentence, ascending; a paragraph starts one.

    Remembered for recent texts, because sources of several densities ask about the same response.
    Raises DataError for lone surrogates, which no tokenizer writes.
    """
    starts = paragraph_starts(text)
    try:
        return tuple(
            sentence
            for start, end in pairwise((*starts, len(text)))
            for sentence in _starts_within(text[start:end], start)
        )
    except UnicodeEncodeError:
        check_text(text, place="text to split into sentences")
        raise


def sub_sentence_starts(candidates: Iterable[int], words: int) -> list[int]:
    """Indices of the words that start a sub-sentence of a sentence of `words` words; word 0 always does.

    `candidates` are, ascending, the words that follow one ending in `, ; ! ?` (word 0 may be among them). One
    counts when more than five words remain from it on. Where it would leave the piece before it shorter than
    five words, that piece is merged leftwards; if it is the sentence's first, the candidate is passed over.
    """
    starts = [0]
    for candidate in candidates:
        if candidate + MIN_WORDS >= words:
            break
        if candidate - starts[-1] >= MIN_WORDS:
            starts.append(candidate)
        elif len(starts) > 1:
            starts[-1] = candidate
    return starts


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
    count = _count_of(text)
    ends = [end.end() for end in _CLAUSE_END.finditer(text)]
    starts: list[int] = []
    for sentence in parts:
        clauses = [sentence.start, *ends[bisect(ends, sentence.start) : bisect_left(ends, sentence.end)]]
        if len(clauses) > 1:
            counts = list(map(count, repeat(text), clauses, [*clauses[1:], sentence.end]))
            first_words: dict[int, int] = {}
            for index, clause in zip(accumulate(counts, initial=0), clauses, strict=False):
                first_words.setdefault(index, clause)  # a clause of signs alone has no word
            clauses = [first_words[index] for index in sub_sentence_starts(first_words, sum(counts))]
        starts += clauses
    return partition(text, starts)


def windows(text: str, size: int) -> tuple[Span, ...]:
    """One segment per `size` words; the last one may hold fewer."""
    return partition(text, (word.start for index, word in enumerate(words(text)) if index % size == 0))


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
    """The segmenter called `name`: a key of SEGMENTERS, `window:<n>` for n words a segment, or my.module:function.

    A function of one's own gives where segments start; what it gives is made a partition of the text. Raises
    ConfigError for any other name.
    """
    if name in SEGMENTERS:
        return SEGMENTERS[name]
    kind, _, size = name.partition(":")
    if kind == "window" and size.isascii() and size.isdigit() and int(size) > 0:
        return partial(windows, size=int(size))
    if is_path(name):
        return _own(name)
    if name == "phrase":
        raise ConfigError("Phrases are cut by a language model, not by the text alone; take another density.")
    known = f"{', '.join(SEGMENTERS)}, window:<words> or my.module:function"
    raise ConfigError(f"Unknown segmenter {name!r}; use one of {known}.")


@lru_cache
def _own(path: str) -> Segmenter:
    starts_of: Callable[[str], Iterable[int]] = load_object(path, place="segmenter")

    def cut(text: str) -> tuple[Span, ...]:
        starts = sorted({0, *starts_of(text)})
        if starts[0] < 0 or starts[-1] >= max(1, len(text)):
            raise ConfigError(f"segmenter: {path} gave a start outside of its text of {len(text)} characters; mend it.")
        return partition(text, starts)

    return cut


def _starts_within(paragraph: str, offset: int) -> Iterator[int]:
    plain = paragraph if paragraph.isascii() else _WIDE_SPACE.sub(" ", paragraph)
    for part in _split("en", plain.rstrip()):
        body = part.lstrip()
        if body:
            yield offset + len(part) - len(body)
        offset += len(part)


def _count_of(text: str) -> Callable[[str, int, int], int]:
    """The fastest way to count the words of stretches of `text`."""
    if without_spaces(text):
        return _words
    return _spaces if text.isprintable() and "  " not in text else _runs


def _words(text: str, start: int, end: int) -> int:
    """How many words `[start, end)` holds."""
    return count_words(text[start:end])


def _runs(text: str, start: int, end: int) -> int:
    """The same for a text of a script with spaces."""
    return len(text[start:end].split())


def _spaces(text: str, start: int, end: int) -> int:
    """The same for a stretch from one word's start to another's, or to the end, of a text whose only whitespace
    is single blanks: counting these is many times as fast.
    """
    return text.count(" ", start, end) + (end == len(text) and text[-1] != " ")
