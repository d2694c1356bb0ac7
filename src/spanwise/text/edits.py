"""Minimal edits of a text: what was kept, inserted, deleted and replaced, as spans on both sides.

The spans partition both texts, and putting the new pieces in place of the old ones gives the edited text. What a word
is, `scripts.units` decides; a change takes only the white space that changes with it. `token_edits.py` does the same
on token ids; models are trained on that. Knows nothing of tokens, of who edited, or of how a pair is shown.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args
from unicodedata import category

from spanwise.core import ConfigError, SpanError
from spanwise.text.matching import Block, Method, aligned_blocks
from spanwise.text.scripts import graphemes, units
from spanwise.text.spans import Span

Kind = Literal["keep", "insert", "delete", "replace"]
Unit = Literal["word", "character"]
UNITS: tuple[Unit, ...] = get_args(Unit)


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of both texts, as a span of each; one of them is empty where words came or went."""

    original: Span
    edited: Span
    kept: bool = False

    @property
    def kind(self) -> Kind:
        if self.kept:
            return "keep"
        if not len(self.original):
            return "insert"
        return "replace" if len(self.edited) else "delete"


@dataclass(frozen=True, slots=True)
class TextEdit:
    """An aligned pair; the parts partition both texts in order, and no two changes touch."""

    original: str
    edited: str
    parts: tuple[Part, ...]
    method: Method = "matching-blocks"
    unit: Unit = "word"
    coarse: bool = False
    """The texts were too long for an exact alignment."""

    @property
    def changes(self) -> tuple[Part, ...]:
        """The parts that are not kept."""
        return tuple(part for part in self.parts if not part.kept)

    def changed_words(self) -> tuple[int, int]:
        """How many words of the original and of the edited text touch a change."""
        before = touched_words(self.original, [part.original for part in self.changes])
        return sum(before), sum(touched_words(self.edited, [part.edited for part in self.changes]))


def align_texts(
    original: str,
    edited: str,
    *,
    method: Method = "matching-blocks",
    unit: Unit = "word",
    merge_gap: int | None = None,
) -> TextEdit:
    """Aligns two texts by words or by characters as readers see them; `merge_gap` as in `matching.aligned_blocks`."""
    sides = _units(original, unit), _units(edited, unit)
    blocks, coarse = aligned_blocks(_items(original, sides[0]), _items(edited, sides[1]), method, merge_gap=merge_gap)
    return TextEdit(original, edited, _parts(original, edited, sides, blocks), method, unit, coarse)


def apply_edit(original: str, changes: Iterable[tuple[Span, str]]) -> str:
    """`original` with each span replaced by the text beside it; the spans are in order and do not overlap.

    Raises SpanError where they do, or where one lies outside the text.
    """
    pieces: list[str] = []
    done = 0
    for span, text in changes:
        if span.start < done:
            raise SpanError(f"The change at [{span.start}, {span.end}) begins before the one ahead of it ends.")
        span.of(original)
        pieces += [original[done : span.start], text]
        done = span.end
    return "".join([*pieces, original[done:]])


def words_of(text: str) -> list[str]:
    """The words and marks of punctuation that are aligned."""
    return [unit.of(text) for unit in units(text)]


def touched_words(text: str, spans: Sequence[Span]) -> list[bool]:
    """For each word of `text`, whether one of the ascending, disjoint `spans` covers a character of it."""
    touched: list[bool] = []
    ahead = 0
    for word in units(text):
        while ahead < len(spans) and spans[ahead].end <= word.start:
            ahead += 1
        touched.append(ahead < len(spans) and spans[ahead].start < word.end and len(spans[ahead]) > 0)
    return touched


def _units(text: str, unit: Unit) -> list[Span]:
    if unit == "word":
        return units(text)
    if unit == "character":
        return graphemes(text)
    raise ConfigError(f"Unknown unit of alignment {unit!r}; use one of {', '.join(UNITS)}.")


def _items(text: str, units: Sequence[Span]) -> list[str]:
    return [text[unit.start : unit.end] for unit in units]


def _parts(
    original: str, edited: str, sides: tuple[list[Span], list[Span]], blocks: Sequence[Block]
) -> tuple[Part, ...]:
    """Kept words and what lies between them; white space that is equal on both sides is kept with them."""
    return tuple(_joined(_pieces(original, edited, sides, blocks)))


def _pieces(
    original: str, edited: str, sides: tuple[list[Span], list[Span]], blocks: Sequence[Block]
) -> Iterator[Part]:
    at = to = 0
    for start, other, size in blocks:
        for left, right in zip(sides[0][start : start + size], sides[1][other : other + size], strict=True):
            yield from _between(original, edited, Span(at, left.start), Span(to, right.start))
            yield Part(left, right, kept=True)
            at, to = left.end, right.end
    yield from _between(original, edited, Span(at, len(original)), Span(to, len(edited)))


def _between(original: str, edited: str, left: Span, right: Span) -> Iterator[Part]:
    """The change between two kept words, less the white space that both sides begin or end with."""
    old, new = left.of(original), right.of(edited)
    head = _common_space(old, new)
    behind = old[head : head + 1] + new[head : head + 1]
    if head and any(category(character).startswith("M") for character in behind):
        head -= 1  # a mark belongs to the blank before it
    tail = _common_space(old[head:][::-1], new[head:][::-1])
    yield Part(Span(left.start, left.start + head), Span(right.start, right.start + head), kept=True)
    yield Part(Span(left.start + head, left.end - tail), Span(right.start + head, right.end - tail))
    yield Part(Span(left.end - tail, left.end), Span(right.end - tail, right.end), kept=True)


def _common_space(old: str, new: str) -> int:
    count = 0
    while count < min(len(old), len(new)) and old[count] == new[count] and old[count].isspace():
        count += 1
    return count


def _joined(pieces: Iterable[Part]) -> Iterator[Part]:
    """Empty pieces go, neighbours of a kind become one."""
    last: Part | None = None
    for piece in pieces:
        if not len(piece.original) and not len(piece.edited):
            continue
        if last is not None and last.kept == piece.kept:
            last = Part(
                Span(last.original.start, piece.original.end), Span(last.edited.start, piece.edited.end), last.kept
            )
            continue
        if last is not None:
            yield last
        last = piece
    if last is not None:
        yield last
