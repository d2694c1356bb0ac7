"""Sub-sentences by the rule of Wu et al. 2023 (Fine-Grained RLHF), on the words of one sentence.

Knows nothing of characters: word indices in, word indices out.
"""

from collections.abc import Iterable

MIN_WORDS = 5
"""Shortest piece, and how many words must at least follow its first one."""


def sub_sentence_starts(candidates: Iterable[int], words: int) -> list[int]:
    """Indices of the words that start a sub-sentence of a sentence of `words` words; word 0 always does.

    `candidates` are, ascending, the words that follow one ending in `, ; ! ?` (word 0 may be among them). One
    counts when more than five words remain from it on. Where it would leave the piece before it shorter than
    five words, that piece is merged leftwards; if it is the sentence's first, the candidate is passed over.
    """
    starts = [0]
    for candidate in candidates:
        if candidate + MIN_WORDS >= words:
            break
        if candidate - starts[-1] >= MIN_WORDS:
            starts.append(candidate)
        elif len(starts) > 1:
            starts[-1] = candidate
    return starts
