"""The one place where scores of spans become rewards of tokens.

Whatever the placement, the sum of the token scores is the sum of the values: no score is lost, doubled or
overwritten. Knows nothing of where scores come from, of weights (`mixture.py`) or of KL.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from spanwise.core import DataError, SpanError
from spanwise.rewards.config import Placement
from spanwise.text import Span, TokenSpans, last_token, trimmed_end


def project(
    segments: Sequence[Span],
    values: Sequence[float],
    token_spans: Sequence[Span],
    *,
    text: str,
    placement: Placement = "end",
    whole_response: bool = False,
) -> Float[Tensor, " t"]:
    """One score per token, summing to the sum of `values`; segments that share a token add up on it.

    `segments` and `token_spans` index `text`, the decoded response. A token with an empty span (a special token,
    or one that must not be rewarded) gets nothing. A segment without a token of its own pays the nearest token
    before it, as `last_token` says.

    `whole_response` says that the values judge the response as such, its ending included: with placement `end`
    they go on the last token of all, the end-of-sequence token where one was sampled.

    Raises DataError when there are values but no tokens, or a value is not finite; SpanError for a segment
    outside the text.
    """
    tokens = TokenSpans.of(token_spans)
    scores = np.zeros(len(tokens), dtype=np.float32)
    place(scores, segments, values, tokens, text=text, placement=placement, whole_response=whole_response)
    return torch.from_numpy(scores)


def place(
    scores: Float[np.ndarray, " t"],
    segments: Sequence[Span],
    values: Sequence[float],
    token_spans: TokenSpans,
    *,
    text: str,
    placement: Placement,
    whole_response: bool,
) -> None:
    """Adds to `scores` what `project` returns; it may be longer than the response, whose tokens come first."""
    _check(segments, values, token_spans, text)
    if placement != "end":
        for segment, value in zip(segments, values, strict=True):
            for token, share in _shares(segment, token_spans, text, even=placement == "every").items():
                scores[token] += value * share
    elif whole_response and values:
        scores[len(token_spans) - 1] += sum(values)
    else:
        for segment, value in zip(segments, values, strict=True):
            scores[last_token(segment, token_spans, text=text)] += value


def place_tokens(
    scores: Float[np.ndarray, " t"],
    segments: Sequence[Span],
    values: Sequence[float],
    token_spans: TokenSpans,
    *,
    text: str,
    placement: Placement,
) -> None:
    """Adds to `scores` the rewards of another model's tokens: each goes to the tokens that wrote its characters.

    Unlike in segments, blanks count, and the empty span at the end of the text is the closing token's. Of several
    tokens the last gets all with placement `end`, otherwise they share as the placement says.
    """
    _check(segments, values, token_spans, text)
    for segment, value in zip(segments, values, strict=True):
        written = _touched(segment, token_spans)
        if not written:
            ends = not len(segment) and segment.end == len(text)
            scores[len(token_spans) - 1 if ends else last_token(segment, token_spans, text=text)] += value
        elif placement == "end":
            scores[next(iter(written))] += value
        else:
            parts = dict.fromkeys(written, 1) if placement == "every" else written
            for token, part in parts.items():
                scores[token] += value * part / sum(parts.values())


def _touched(segment: Span, token_spans: TokenSpans) -> dict[int, int]:
    """How many characters of the segment each token wrote, the last token first."""
    touched: dict[int, int] = {}
    for token in range(bisect_left(token_spans.starts, segment.end) - 1, -1, -1):
        span = token_spans[token]
        if len(span) and span.end <= segment.start:
            break
        if overlap := span.overlap(segment):
            touched[token] = overlap
    return touched


def _shares(segment: Span, token_spans: TokenSpans, text: str, *, even: bool) -> dict[int, float]:
    """The part of a segment's value that each token gets; the parts sum to 1."""
    end = last_token(segment, token_spans, text=text)
    written = _written(segment, token_spans, text, end)
    if not written:
        return {end: 1.0}
    if even:
        return dict.fromkeys(written, 1 / len(written))
    characters = sum(written.values())
    return {token: count / characters for token, count in written.items()}


def _written(segment: Span, token_spans: TokenSpans, text: str, end: int) -> dict[int, int]:
    """How many characters each token up to `end` wrote of the segment, whitespace around the segment left out."""
    body = segment.of(text)
    start = segment.start + len(body) - len(body.lstrip())
    core = Span(start, max(start, trimmed_end(segment, text)))
    written: dict[int, int] = {}
    for token in range(end, -1, -1):
        span = token_spans[token]
        if len(span) and span.end <= start:
            break
        if overlap := span.overlap(core):
            written[token] = overlap
    return written


def _check(segments: Sequence[Span], values: Sequence[float], token_spans: Sequence[Span], text: str) -> None:
    if values and not token_spans:
        raise DataError("A response without tokens cannot carry a score; leave empty responses out.")
    for segment, value in zip(segments, values, strict=True):
        if not math.isfinite(value):
            raise DataError(f"The score {value} of span [{segment.start}, {segment.end}) is no number; use Unscored.")
        if segment.end > len(text):
            raise SpanError(f"Span [{segment.start}, {segment.end}) lies outside its text of {len(text)} characters.")
