"""The spans of many tokens, held as two lists of offsets instead of one object per token.

A response has hundreds of tokens, and most of their spans are never looked at: placing a reward needs the offsets
alone. Knows nothing of tokenizers.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import overload

from spanwise.text.spans import Span


class TokenSpans(Sequence[Span]):
    """One span per token, in the order of the tokens; spans are made when they are asked for.

    `starts` and `ends` are of one length, with ascending starts. Equal to any sequence of the same spans.
    """

    __slots__ = ("ends", "starts")

    def __init__(self, starts: list[int], ends: list[int]) -> None:
        self.starts = starts
        self.ends = ends

    @classmethod
    def of(cls, spans: Sequence[Span]) -> "TokenSpans":
        """`spans` themselves where they are of this kind already."""
        if isinstance(spans, cls):
            return spans
        return cls([span.start for span in spans], [span.end for span in spans])

    @classmethod
    def of_pairs(cls, pairs: Iterable[tuple[int, int]]) -> "TokenSpans":
        """From pairs (start, end)."""
        columns = list(zip(*pairs, strict=True))
        return cls(list(columns[0]), list(columns[1])) if columns else cls([], [])

    @classmethod
    def of_pieces(cls, pieces: Sequence[str] | Sequence[bytes]) -> "TokenSpans":
        """The spans of pieces that follow one another."""
        ends = list(accumulate(map(len, pieces)))
        return cls([0, *ends[:-1]] if ends else [], ends)

    def pairs(self) -> list[tuple[int, int]]:
        """Pairs (start, end)."""
        return list(zip(self.starts, self.ends, strict=True))

    def within(self, start: int, end: int) -> "TokenSpans":
        """The parts of the spans that lie in `[start, end)`, counted from `start`; outside it they are empty."""
        size = end - start
        return TokenSpans(
            [min(max(position - start, 0), size) for position in self.starts],
            [min(max(position - start, 0), size) for position in self.ends],
        )

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, index: int) -> Span: ...
    @overload
    def __getitem__(self, index: slice) -> "TokenSpans": ...
    def __getitem__(self, index: int | slice) -> "Span | TokenSpans":
        if isinstance(index, slice):
            return TokenSpans(self.starts[index], self.ends[index])
        return Span(self.starts[index], self.ends[index])

    def __iter__(self) -> Iterator[Span]:
        return map(Span, self.starts, self.ends)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TokenSpans):
            return self.starts == other.starts and self.ends == other.ends
        return isinstance(other, Sequence) and list(self) == list(other)  # pyright: ignore[reportUnknownArgumentType]

    __hash__ = None  # type: ignore[assignment] -- its lists may change

    def __repr__(self) -> str:
        return f"TokenSpans({self.pairs()})"
