"""Where the tokens of an answer stand in its text, by their texts alone.

Token texts come from the sampled ids and need not join to the answer: a special token wrote nothing, and a token may
hold part of a character. Knows nothing of tokenizers or of scores.
"""

from collections.abc import Sequence

from spanwise.text.spans import Span

_REACH = 16  # how far ahead a token may resume after tokens that could not be found


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
