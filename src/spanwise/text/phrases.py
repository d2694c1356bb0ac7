"""Phrases: segments that end where a language model was unsure how the text goes on.

Knows nothing of models: the entropies are given. After Yin et al. 2025 (DenseReward), but the phrases partition the
text and the closing token belongs to the last one.
"""

from collections.abc import Sequence

import numpy as np

from spanwise.core import DataError
from spanwise.text.segments import partition
from spanwise.text.spans import Span


def phrase_ends(entropies: Sequence[float], threshold: float) -> list[int]:
    """The tokens that end a phrase; `entropies[j]` is that of what follows token j, of all tokens that wrote text.

    A token ends one where its entropy is above the threshold, and the last token in any case.
    """
    last = len(entropies) - 1
    return [index for index, entropy in enumerate(entropies) if entropy > threshold or index == last]


def cut_phrases(
    text: str, token_spans: Sequence[Span], entropies: Sequence[float], threshold: float
) -> tuple[Span, ...]:
    """The phrases of `text`, whose tokens wrote `token_spans`; they partition it.

    Whitespace before a phrase belongs to the one before, as in all segments. A phrase without a character of its own
    goes into its neighbour. A text of whitespace alone is one segment.
    """
    first = len(text) - len(text.lstrip())
    starts = [0]
    for end in phrase_ends(entropies, threshold)[:-1]:
        start = token_spans[end + 1].start
        while start < len(text) and text[start].isspace():
            start += 1
        if first < start < len(text) and start > starts[-1]:
            starts.append(start)
    return partition(text, starts)


def phrase_threshold(entropies: Sequence[Sequence[float]], mean_tokens: float) -> float:
    """The threshold at which the phrases of these texts have `mean_tokens` tokens on average, as nearly as can be.

    Raises DataError where there are no tokens, or where phrases of that length would be longer than whole texts.
    """
    rows = [list(row) for row in entropies if len(row)]
    tokens, inner = sum(map(len, rows)), sorted((value for row in rows for value in row[:-1]), reverse=True)
    if not tokens:
        raise DataError("No text has a token, so phrases have no length; give answers to measure them on.")
    if mean_tokens > tokens / len(rows):
        raise DataError(
            f"Texts have {tokens / len(rows):.1f} tokens on average, so phrases of {mean_tokens:g} would be longer; "
            "lower mean_tokens."
        )
    cuts = round(tokens / mean_tokens) - len(rows)
    edges = [np.nextafter(inner[0], np.inf) if inner else 0.0, *inner, 0.0]
    above, below = edges[min(cuts, len(inner))], edges[min(cuts, len(inner)) + 1]
    return float((above + below) / 2)
