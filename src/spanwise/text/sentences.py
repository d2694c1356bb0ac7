"""Where sentences start: the sentencex library, made safe for any text a model may write.

Knows nothing of segments or tokens. Two habits of the library are kept away from it: it panics on
whitespace of several bytes beside an initial, so every such character is handed over as a plain space,
and beyond 10 kB it loses blank lines, so paragraphs are handed over one by one.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import cast

import sentencex

from spanwise.text.spans import check_text

_BLANK_LINE = re.compile(r"\n\s*\n\s*")
_WIDE_SPACE = re.compile(r"[^\S\n]")
_split = cast("Callable[[str, str], list[str]]", sentencex.segment)  # type: ignore[attr-defined] -- no stubs


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


def _starts_within(paragraph: str, offset: int) -> Iterator[int]:
    plain = paragraph if paragraph.isascii() else _WIDE_SPACE.sub(" ", paragraph)
    for part in _split("en", plain.rstrip()):
        body = part.lstrip()
        if body:
            yield offset + len(part) - len(body)
        offset += len(part)
