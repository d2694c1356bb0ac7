"""How much of what a correct answer needs a response says: the paper's completeness score from texts alone.

A sub-sentence states the passage sentence that holds its closest wording, if that is close enough. What the human
correction states is needed; what a response states of it is its coverage (wu2023 2.3). The matcher aligns characters
in order (rapidfuzz), where the original compared bags of characters.
"""

from collections.abc import Collection, Sequence

from rapidfuzz import fuzz

from spanwise.feedback.schema import FeedbackRecord
from spanwise.text.segments import get_segmenter

SentenceId = tuple[int, int]
"""Passage and sentence, both from 0."""


def coverages(record: FeedbackRecord, *, threshold: float, overlook: Collection[str] = ()) -> list[float | None] | None:
    """The share of the needed passage sentences that each response states; None when nothing is known to be needed.

    Needed are the sentences that the correction states, but for those whose absence was marked with a category in
    `overlook`, unless the corrected response said that piece already.
    """
    sentences = _sentences(record)
    needed = _needed(record, sentences, threshold=threshold, overlook=overlook)
    if not needed:
        return None
    return [len(stated(response.text, sentences, threshold) & needed) / len(needed) for response in record.responses]


def stated(text: str, sentences: Sequence[tuple[SentenceId, str]], threshold: float) -> set[SentenceId]:
    """Ids of the sentences that the sub-sentences of `text` state."""
    matches = (_closest(piece, sentences, threshold) for piece in _pieces(text))
    return {match for match in matches if match is not None}


def similarity(piece: str, sentence: str) -> float:
    """From 0 to 1: how well the closest stretch of `sentence` matches the whole `piece`, in order."""
    if len(piece) > len(sentence):
        return fuzz.ratio(piece, sentence) / 100
    return fuzz.partial_ratio(piece, sentence) / 100


def _needed(
    record: FeedbackRecord, sentences: Sequence[tuple[SentenceId, str]], *, threshold: float, overlook: Collection[str]
) -> set[SentenceId]:
    needed: set[SentenceId] = set()
    for response in record.responses:
        minor = {
            (item.evidence.passage, number)
            for item in response.missing
            if item.category in overlook
            for number in item.evidence.sentences
        }
        for piece in _pieces(response.correction or ""):
            match = _closest(piece, sentences, threshold)
            if match is not None and (match not in minor or piece in response.text.lower()):
                needed.add(match)
    return needed


def _closest(piece: str, sentences: Sequence[tuple[SentenceId, str]], threshold: float) -> SentenceId | None:
    best, found = threshold, None
    for name, sentence in sentences:
        score = similarity(piece, sentence)
        if score >= best and (found is None or score > best):
            best, found = score, name
    return found


def _pieces(text: str) -> list[str]:
    pieces = (span.of(text).strip().lower() for span in get_segmenter("sub-sentence")(text))
    return [piece for piece in pieces if piece]


def _sentences(record: FeedbackRecord) -> list[tuple[SentenceId, str]]:
    return [
        ((number, position), sentence.lower())
        for number, passage in enumerate(record.passages)
        for position, sentence in enumerate(passage.sentences)
    ]
