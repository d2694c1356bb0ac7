"""Labels of characters from marked spans, OK/BAD word tags and edits, for training rewards of tokens.

All become stretches of the response that are right or wrong; a token asks for the characters that it wrote. Knows
nothing of tokenizers or models; imports without torch.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spanwise.feedback import EditPair, FeedbackRecord, Sample
from spanwise.text import Span, align_texts, get_segmenter


@dataclass(frozen=True, slots=True)
class TokenLabels:
    """A response and the stretches of it that are wrong; all other characters are right."""

    sample: Sample
    wrong: tuple[Span, ...]

    def of(self, token: Span) -> float | None:
        """1 where the token wrote nothing wrong, 0 where it did, None where it wrote blanks or nothing."""
        text = token.of(self.sample.response)
        if not text.strip():
            return None
        start = token.start + len(text) - len(text.lstrip())
        core = Span(start, start + len(text.strip()))
        return 0.0 if any(core.overlap(span) for span in self.wrong) else 1.0


def labels_of_spans(
    records: Sequence[FeedbackRecord], categories: Sequence[str] = ()
) -> tuple[list[TokenLabels], dict[str, int]]:
    """Marked responses, with the spans of `categories` (none = all) wrong; the counts say what was left out."""
    counts: Counter[str] = Counter()
    labelled = list(_of_spans(records, categories, counts))
    return labelled, dict(counts)


def labels_of_tags(pairs: Sequence[EditPair]) -> tuple[list[TokenLabels], dict[str, int]]:
    """The originals of pairs with tags, with the words tagged BAD wrong; tags of gaps are not read.

    For n words, parted by white space, `provenance["tags"]` holds 2n + 1 tags: gap, word, gap, ..., gap.
    """
    counts: Counter[str] = Counter()
    labelled: list[TokenLabels] = []
    for pair in pairs:
        tags = pair.provenance.get("tags")
        words = _words(pair.original)
        if not isinstance(tags, list):
            counts["tags/pairs without tags"] += 1
        elif len(tags) != 2 * len(words) + 1 or not set(tags) <= {"OK", "BAD"}:
            counts["tags/tags that are not OK or BAD, 2n + 1 for n words"] += 1
        else:
            bad = tuple(word for word, tag in zip(words, tags[1::2], strict=True) if tag == "BAD")
            labelled.append(TokenLabels(Sample.of(pair, pair.original), bad))
    return labelled, dict(counts)


def labels_of_edits(pairs: Sequence[EditPair]) -> list[TokenLabels]:
    """The originals of pairs, with what their edits took away or replaced wrong and what stays right."""
    edits = [align_texts(pair.original, pair.edited) for pair in pairs]
    return [
        TokenLabels(
            Sample.of(pair, pair.original),
            tuple(part.original for part in edit.changes if len(part.original)),
        )
        for pair, edit in zip(pairs, edits, strict=True)
    ]


def _of_spans(
    records: Sequence[FeedbackRecord], categories: Sequence[str], counts: Counter[str]
) -> Iterator[TokenLabels]:
    for record in records:
        for response in record.responses:
            if not response.marked:
                counts["spans/unmarked responses"] += 1
                continue
            wrong = tuple(mark.span for mark in response.spans if not categories or mark.category in categories)
            counts["spans/marks of other categories"] += len(response.spans) - len(wrong)
            yield TokenLabels(Sample.of(record, response.text), wrong)


def _words(text: str) -> list[Span]:
    """The words parted by white space, as `str.split` gives them."""
    pieces = get_segmenter("window:1")(text)
    return [piece for piece in pieces if piece.of(text).strip()]
