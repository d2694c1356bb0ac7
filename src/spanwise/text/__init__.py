"""Texts: spans, the segments that are judged, and the tokens that wrote them. Strings only, no torch."""

from spanwise.text.alignment import Alignment, TokenAligner
from spanwise.text.segments import SEGMENTERS, Segmenter, get_segmenter
from spanwise.text.spans import Span
from spanwise.text.tokens import TokenRangeMode, last_token, token_range

__all__ = [
    "SEGMENTERS",
    "Alignment",
    "Segmenter",
    "Span",
    "TokenAligner",
    "TokenRangeMode",
    "get_segmenter",
    "last_token",
    "token_range",
]
