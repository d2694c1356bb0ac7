"""Which tokens a span of the text covers.

`token_spans` is always one span per token of the decoded text, as `alignment.py` gives them. Token ranges
are half-open. Knows nothing of tokenizers.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Literal

from spanwise.errors import DataError, SpanError
from spanwise.text.spans import Span
from spanwise.text.token_spans import TokenSpans

TokenRangeMode = Literal["strict", "contract", "expand"]
"""spaCy's words: the edges must fall on token edges; tokens wholly inside; tokens at least partly inside."""


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
