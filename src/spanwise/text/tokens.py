"""Where tokens stand in a text: their spans, the tokens that a span covers, and the places of token texts.

`token_spans` is always one span per token of the decoded text, as `alignment.py` gives them; `place_tokens` finds them
where only the tokens' texts are known. Token ranges are half-open. Knows nothing of tokenizers.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Literal, overload

from spanwise.core import DataError, SpanError
from spanwise.text.spans import Span

TokenRangeMode = Literal["strict", "contract", "expand"]
"""spaCy's words: the edges must fall on token edges; tokens wholly inside; tokens at least partly inside."""
_REACH = 16  # how far ahead a token may resume after tokens that could not be found


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


def token_range(span: Span, token_spans: Sequence[Span], mode: TokenRangeMode = "strict") -> tuple[int, int] | None:
    """The range of tokens of `span`, or None where `mode` finds no token for it.

    Tokens that wrote nothing (special tokens) are never at an edge of the range but may lie within it.
    Raises SpanError when the span ends beyond the text that the tokens wrote.
    """
    if span.end > (token_spans[-1].end if token_spans else 0):
        raise SpanError(f"Span [{span.start}, {span.end}) ends beyond the last token; align the same response again.")
    inside = [index for index, token in enumerate(token_spans) if len(token) and span.contains(token)]
    touched = [index for index, token in enumerate(token_spans) if token.overlap(span)]
    if mode == "strict" and inside != touched:
        return None
    chosen = touched if mode == "expand" else inside
    return (chosen[0], chosen[-1] + 1) if chosen else None


def last_token(span: Span, token_spans: Sequence[Span], *, text: str) -> int:
    """The index of the token that ends `span`: the last one with a non-whitespace character of it.

    Whitespace at the end of a segment does not count, because most tokenizers write it into the first token of
    the next one. A span without a token of its own (blank, or collapsed by an edit) takes the nearest token
    before it that wrote text, else the first that did; where no token wrote text, the last token.
    `text` is the response that spans and tokens index. Raises DataError when there are no tokens.
    """
    if not token_spans:
        raise DataError("A response without tokens has no last token; leave empty responses out.")
    tokens = TokenSpans.of(token_spans)
    before = bisect_left(tokens.starts, trimmed_end(span, text))
    index = before - 1
    while index >= 0 and tokens.starts[index] == tokens.ends[index]:
        index -= 1
    if index >= 0:
        return index
    later = (token for token in range(before, len(tokens)) if tokens.starts[token] < tokens.ends[token])
    return next(later, len(tokens) - 1)


def trimmed_end(span: Span, text: str) -> int:
    """Where the last non-whitespace character before the end of `span` ends, within it or not; 0 if there is none."""
    end = span.end
    while end > 0 and text[end - 1].isspace():
        end -= 1
    return end


def place_tokens(response: str, tokens: Sequence[str]) -> list[Span | None]:
    """Where each token stands in the answer; None for a token whose text is not found there."""
    spans: list[Span | None] = []
    position, lost = 0, None
    for index, token in enumerate(tokens):
        start, text = _find(response, token, position, reach=_REACH if lost is not None else 0)
        if start < 0:
            spans.append(None)
            lost = index if lost is None else lost
            continue
        if lost is not None and start > position:
            spans[lost] = Span(position, start)
        spans.append(Span(start, start + len(text)))
        position, lost = start + len(text), None
    if lost is not None and position < len(response):
        spans[lost] = Span(position, len(response))
    return spans


def _find(response: str, token: str, position: int, *, reach: int) -> tuple[int, str]:
    """Start of the token at or shortly after `position`, and the text that stands there; -1 if it is not found."""
    for text in dict.fromkeys((token, token.lstrip())):
        start = response.find(text, position, position + len(text) + reach) if text else -1
        if start >= 0:
            return start, text
    return -1, token
