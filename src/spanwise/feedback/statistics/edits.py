"""How far corrections and edits reach: what was changed, how much, and whether the changes agree with the marked spans.

Of feedback records, words are runs between white space and opcodes difflib's on words; of edit pairs, words and changes
are those of `text.align_texts`. Corrections of people can be heavy rewriting rather than minimal edits, and these
figures say which.
"""

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spanwise.feedback.edits import EditPair
from spanwise.feedback.schema import FeedbackRecord, Response
from spanwise.feedback.statistics.spread import Spread, share
from spanwise.text import TextEdit, align_texts, count_words, split_words, words, words_of

LONG_SPAN = 3
"""Words from which on a span's survival in the correction tells something."""


@dataclass(frozen=True, slots=True)
class EditStatistics:
    """Figures over all corrected responses; `Spread`s are per response, shares are over all words together."""

    corrected: int
    identical: int
    blank: int
    delete_only: int
    insert_only: int
    both: int
    opcodes: dict[str, int]
    blocks: Spread | None
    deleted_words: Spread | None
    inserted_words: Spread | None
    similarity: Spread | None
    distance: Spread | None
    """Word-level Levenshtein distance."""
    relative_distance: Spread | None
    """The same divided by the words of the response."""
    kept_words: float | None
    kept_words_inside_spans: float | None
    kept_words_outside_spans: float | None
    surviving_spans: dict[str, int]
    """Spans of three words and more that stand verbatim in the correction, by category."""


def describe_edits(records: Sequence[FeedbackRecord]) -> EditStatistics:
    """Compares every response that has a correction with it."""
    edits = [_Edit(response) for record in records for response in record.responses if response.correction is not None]
    opcodes = Counter(tag for edit in edits for tag, *_ in edit.changes)
    inside, outside = (np.sum([edit.kept[where] for edit in edits] or [[0, 0]], axis=0) for where in (True, False))
    return EditStatistics(
        corrected=len(edits),
        identical=sum(not edit.changes for edit in edits),
        blank=sum(not edit.after for edit in edits),
        delete_only=sum(edit.deleted > 0 and not edit.inserted for edit in edits),
        insert_only=sum(edit.inserted > 0 and not edit.deleted for edit in edits),
        both=sum(edit.inserted > 0 and edit.deleted > 0 for edit in edits),
        opcodes={tag: opcodes[tag] for tag in ("replace", "delete", "insert")},
        blocks=Spread.of([len(edit.changes) for edit in edits]),
        deleted_words=Spread.of([edit.deleted for edit in edits]),
        inserted_words=Spread.of([edit.inserted for edit in edits]),
        similarity=Spread.of([edit.similarity for edit in edits]),
        distance=Spread.of([edit.distance for edit in edits]),
        relative_distance=Spread.of([edit.distance / len(edit.before) for edit in edits if edit.before]),
        kept_words=share(*(inside + outside)),
        kept_words_inside_spans=share(*inside),
        kept_words_outside_spans=share(*outside),
        surviving_spans=dict(Counter(category for edit in edits for category in edit.survivors)),
    )


def word_distance(before: Sequence[str], after: Sequence[str]) -> int:
    """Levenshtein distance of two word lists, row by row of the usual table."""
    numbers: dict[str, int] = {}
    target = np.array([numbers.setdefault(word, len(numbers)) for word in after], dtype=np.int64)
    columns = np.arange(len(target) + 1)
    row: NDArray[np.int64] = columns
    for word in before:
        replaced = row[:-1] + (target != numbers.get(word, -1))
        reached = np.concatenate([row[:1] + 1, np.minimum(row[1:] + 1, replaced)])
        row = np.minimum.accumulate(reached - columns) + columns  # insertions, all columns at once
    return int(row[-1])


@dataclass(frozen=True, slots=True)
class EditFigures:
    """Figures over all pairs; `Spread`s are per pair."""

    pairs: int
    identical: int
    editors: dict[str, int]
    changes: dict[str, int]
    """Inserted, deleted and replaced places."""
    only_insertions: int
    only_deletions: int
    changes_per_pair: Spread | None
    original_words: Spread | None
    edited_words: Spread | None
    changed_share: Spread | None
    """Changed words of the original, as a share of its words."""
    length_ratio: Spread | None
    kept_words: float | None
    """Share of the words of all originals together."""

    def as_dict(self) -> dict[str, Any]:
        """The figures, for JSON output."""
        return asdict(self)


def describe_pairs(pairs: Sequence[EditPair]) -> EditFigures:
    """The figures of `pairs`."""
    edits = [align_texts(pair.original, pair.edited) for pair in pairs]
    before, after = [len(words_of(e.original)) for e in edits], [len(words_of(e.edited)) for e in edits]
    lost = [edit.changed_words()[0] for edit in edits]
    kinds = [_kinds(edit) for edit in edits]
    return EditFigures(
        pairs=len(pairs),
        identical=sum(not kind for kind in kinds),
        editors=dict(Counter(_editor(pair) for pair in pairs).most_common()),
        changes={name: sum(kind[name] for kind in kinds) for name in ("insert", "delete", "replace")},
        only_insertions=sum(set(kind) == {"insert"} for kind in kinds),
        only_deletions=sum(set(kind) == {"delete"} for kind in kinds),
        changes_per_pair=Spread.of([kind.total() for kind in kinds]),
        original_words=Spread.of(before),
        edited_words=Spread.of(after),
        changed_share=Spread.of([part / whole for part, whole in zip(lost, before, strict=True) if whole]),
        length_ratio=Spread.of([new / old for new, old in zip(after, before, strict=True) if old]),
        kept_words=share(sum(before) - sum(lost), sum(before)),
    )


class _Edit:
    """One response and its correction, as words."""

    def __init__(self, response: Response) -> None:
        correction = response.correction or ""
        self.before, self.after = split_words(response.text), split_words(correction)
        matcher = difflib.SequenceMatcher(None, self.before, self.after, autojunk=False)
        self.changes = [code for code in matcher.get_opcodes() if code[0] != "equal"]
        self.similarity = matcher.ratio()
        self.deleted = sum(end - start for _, start, end, _, _ in self.changes)
        self.inserted = sum(end - start for _, _, _, start, end in self.changes)
        self.distance = word_distance(self.before, self.after)
        self.kept = _kept(response, self.changes)
        spans = [mark for mark in response.spans if count_words(mark.quote) >= LONG_SPAN]
        self.survivors = [mark.category for mark in spans if mark.quote in correction]


def _kept(response: Response, changes: Sequence[tuple[str, int, int, int, int]]) -> dict[bool, tuple[int, int]]:
    """(words kept, words) of the response, for the words that a marked span touches and for the others."""
    lost = {index for _, start, end, _, _ in changes for index in range(start, end)}
    counts: dict[bool, list[int]] = {True: [0, 0], False: [0, 0]}
    for index, word in enumerate(words(response.text)):
        touched = any(word.start < mark.end and mark.start < word.end for mark in response.spans)
        counts[touched][0] += index not in lost
        counts[touched][1] += 1
    return {touched: (kept, total) for touched, (kept, total) in counts.items()}


def _kinds(edit: TextEdit) -> Counter[str]:
    return Counter(part.kind for part in edit.changes)


def _editor(pair: EditPair) -> str:
    return f"{pair.editor.kind} {pair.editor.name}".strip()
