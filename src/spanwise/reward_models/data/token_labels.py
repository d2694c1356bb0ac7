"""Labels of characters from marked spans, OK/BAD word tags and edits, for training rewards of tokens.

All become stretches of the response that are right or wrong; a token asks for the characters that it wrote. Knows
nothing of tokenizers or models; imports without torch.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spanwise.feedback import EditPair, FeedbackRecord, Sample
from spanwise.reward_models.config import TokenRewardConfig
from spanwise.reward_models.data.marks import MarkRule, check_marks, weight
from spanwise.text import Span, align_texts


@dataclass(frozen=True, slots=True)
class TokenLabels:
    """A response and the stretches of it that are wrong; all other characters are right."""

    sample: Sample
    wrong: tuple[Span, ...]
    grades: tuple[float, ...] = ()
    """How wrong each of them is, from 0 to 1; empty = all wholly."""

    def of(self, token: Span) -> float | None:
        """1 where the token wrote nothing wrong, 0 where it did, None where it wrote blanks or nothing.

        Between them where what it wrote is wrong by less than 1; the gravest mark counts.
        """
        text = token.of(self.sample.response)
        if not text.strip():
            return None
        start = token.start + len(text) - len(text.lstrip())
        core = Span(start, start + len(text.strip()))
        grades = self.grades or (1.0,) * len(self.wrong)
        return 1.0 - max((g for span, g in zip(self.wrong, grades, strict=True) if core.overlap(span)), default=0.0)


def labels_of_spans(
    records: Sequence[FeedbackRecord], rule: MarkRule | None = None
) -> tuple[list[TokenLabels], dict[str, int]]:
    """Marked responses, with the spans of the rule's categories (none = all) wrong; the counts say what was left out.

    What praises is right. Raises ConfigError for praise and for severities of which the rule says nothing.
    """
    counts: Counter[str] = Counter()
    used = TokenRewardConfig() if rule is None else rule
    check_marks(records, {"": used})
    labelled = list(_of_spans(records, used, counts))
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


def _of_spans(records: Sequence[FeedbackRecord], rule: MarkRule, counts: Counter[str]) -> Iterator[TokenLabels]:
    for record in records:
        for response in record.responses:
            if not response.marked:
                counts["spans/unmarked responses"] += 1
                continue
            blame = [mark for mark in response.spans if mark.blames]
            wrong = [mark for mark in blame if not rule.categories or mark.category in rule.categories]
            counts["spans/marks of other categories"] += len(blame) - len(wrong)
            grades = tuple(weight(mark, rule) for mark in wrong)
            sample = Sample.of(record, response.text)
            yield TokenLabels(sample, tuple(mark.span for mark in wrong), grades)


def _words(text: str) -> list[Span]:
    """The words parted by white space, as tags count them in every script."""
    return [Span(*match.span()) for match in re.finditer(r"\S+", text)]
