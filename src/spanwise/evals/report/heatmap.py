"""Lays token scores over the text of an answer, together with the spans that a judge marked.

Text and numbers in, pieces of text out, each of which lies in at most one token and at most one marked span; the
template colours them. Token texts come from the sampled ids and need not join to the answer: a special token has a
name but wrote nothing, and a token may hold part of a character.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spanwise.evals.statistics import MINUS, ExampleSpan
from spanwise.text import Span, place_tokens

_VISIBLE = 0.02  # scores below this share of the largest are shown as none
_LEADING = 0.3  # how strong the words before a score are coloured


@dataclass(frozen=True)
class Piece:
    """A run of characters. `token` is None for text that no token wrote; `last` ends its token."""

    text: str
    token: int | None
    last: bool = True
    special: bool = False
    """The token wrote nothing: `text` is its name."""

    @property
    def lead(self) -> str:
        """The white space before the visible text, which colour would only smear; none where all is white space."""
        return self.text[: len(self.text) - len(self.text.lstrip())] if self.text.strip() else ""

    @property
    def body(self) -> str:
        """The rest of the text."""
        return self.text[len(self.lead) :]


@dataclass(frozen=True)
class Stretch:
    """Consecutive pieces under the same mark; `category` is empty where nothing is marked."""

    category: str
    pieces: tuple[Piece, ...]


def lay_out(response: str, tokens: Sequence[str], marks: Sequence[ExampleSpan] = ()) -> tuple[Stretch, ...]:
    """The answer as stretches of pieces in reading order; special tokens stand where they were sampled.

    Tokens without text are left out, unless the answer is empty.
    """
    spans = place_tokens(response, tokens)
    edges = {0, len(response)}
    for span in spans:
        edges |= {span.start, span.end} if span is not None else set()
    for mark in marks:
        edges |= {min(mark.start, len(response)), min(mark.end, len(response))}
    owner = {span.start: index for index, span in enumerate(spans) if span is not None and len(span)}
    stretches: list[tuple[str, list[Piece]]] = []
    ordered = sorted(edges)
    silent = _silent_tokens(spans)
    current: int | None = None
    for start, end in zip(ordered, [*ordered[1:], len(response)], strict=True):
        for index in silent.pop(start, ()):
            if response and not tokens[index]:  # a blank around the answer, which no reader sees
                continue
            _add(stretches, "", Piece(tokens[index] or "\N{MIDDLE DOT}", index, special=True))
        if start == end:
            continue
        current = owner.get(start, current)
        span = spans[current] if current is not None else None
        inside = span is not None and span.start <= start < span.end
        last = not inside or (span is not None and end == span.end)
        category = next((mark.category for mark in marks if mark.start <= start < mark.end), "")
        text = response[start:end]
        shown = inside and (last or bool(text.strip()))  # a mark may cut a token after its leading space
        _add(stretches, category, Piece(text, current if shown else None, last))
    return tuple(Stretch(category, tuple(pieces)) for category, pieces in stretches)


@dataclass(frozen=True)
class Tint:
    """The colour of one token: `strength` from -1 to 1, None where it could not be scored."""

    strength: float | None
    sign: str
    """What is written at the token, so that colour is not all; empty where the token has no score of its own."""
    gap: float = 0.0
    """The shade of the space before the token: that of the words which lead up to a score, none where they begin."""


def tint(values: Sequence[float | None], largest_value: float) -> tuple[Tint, ...]:
    """Full colour for the largest score; tokens without score take a paler shade of the score that they lead up to.

    A score at the end of a segment judges the words before it: the shade shows which.
    """
    tints: list[Tint] = []
    ahead = 0.0
    for index in reversed(range(len(values))):
        strength = _strength(values[index], largest_value)
        begins = index == 0 or _strength(values[index - 1], largest_value) != 0.0
        if strength is None:
            tints.append(Tint(None, "?"))
            ahead = 0.0
            continue
        shade = strength or ahead
        ahead = strength * _LEADING or ahead
        sign = "+" if strength > 0 else MINUS if strength < 0 else ""
        tints.append(Tint(shade, sign, 0.0 if begins else ahead))
    return tuple(reversed(tints))


def _strength(value: float | None, largest_value: float) -> float | None:
    """The share of the largest score, 0 where that is too little to be seen."""
    if value is None:
        return None
    share = value / largest_value if largest_value else 0.0
    return share if abs(share) >= _VISIBLE else 0.0


def largest(series: Sequence[Mapping[str, Sequence[float | None]]]) -> dict[str, float]:
    """The largest absolute score of each source over several answers: what full colour stands for."""
    by_source: dict[str, float] = {}
    for answer in series:
        for source, values in answer.items():
            by_source[source] = max(
                [by_source.get(source, 0.0), *(abs(value) for value in values if value is not None)]
            )
    return by_source


def _silent_tokens(spans: Sequence[Span | None]) -> dict[int, list[int]]:
    """Tokens without text, by the character that they stand before."""
    silent: dict[int, list[int]] = {}
    position = 0
    for index, span in enumerate(spans):
        if span is None:
            silent.setdefault(position, []).append(index)
        else:
            position = span.end
    return silent


def _add(stretches: list[tuple[str, list[Piece]]], category: str, piece: Piece) -> None:
    if not stretches or stretches[-1][0] != category:
        stretches.append((category, []))
    stretches[-1][1].append(piece)
