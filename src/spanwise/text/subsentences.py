"""Sub-sentences by the rule of Wu et al. 2023 (Fine-Grained RLHF), on the words of one sentence.

Knows nothing of characters: words in, word indices out.
"""

from collections.abc import Sequence

MIN_WORDS = 5
"""Shortest piece, and how many words must at least follow its first one."""


def sub_sentence_starts(words: Sequence[str]) -> list[int]:
    """Indices of the words that start a sub-sentence; the sentence's first word always does.

    A word is a candidate when the word before it ends in one of `, ; ! ?` and more than five words
    remain from it on. A candidate that would leave the piece before it shorter than five words does
    not stand beside it: the short piece is merged leftwards, or rightwards where it is the first.
    """
    starts = [0] if words else []
    for index in range(1, len(words) - MIN_WORDS):
        if words[index - 1][-1] not in ",;!?":
            continue
        if index - starts[-1] >= MIN_WORDS:
            starts.append(index)
        elif len(starts) > 1:
            starts[-1] = index
    return starts
