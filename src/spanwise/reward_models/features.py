"""Plain numbers that say how a segment stands to the question, the passages and what was already said.

A reward model of few parameters learns such relations badly from a few hundred marked answers, and a small linear
part beside its encoder learns them well. Everything here follows from prompt, passages and response alone, so that it
can be computed wherever a response is scored. Words and counts only: knows nothing of labels, models or torch.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from jaxtyping import Float

from spanwise.reward_models.words import bigrams, content, longest_run, ngrams, rarity, share, words
from spanwise.scores import Sample
from spanwise.text.segments import get_segmenter
from spanwise.text.spans import Span

SURFACE_FEATURES = (
    "index",
    "place",
    "segments",
    "words",
    "response_words",
    "is_first",
    "starts_sentence",
    "digits",
    "question_said",
    "from_question",
    "source_support",
    "passage_support",
    "said_before",
    "said_before_at_once",
)
"""The 14 features of the trivial baseline: position, length, overlap with question, passages and what was said."""
