"""How far corrections and edits reach: what was changed, how much, and whether the changes agree with the marked spans.

Of feedback records, words are runs between white space and blocks of equal words those of `text.matching_blocks`; of
edit pairs, words and changes are those of `text.align_texts`. Corrections of people can be heavy rewriting rather than
minimal edits, and these figures say which.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from spanwise.feedback.edits import EditPair
from spanwise.feedback.schema import FeedbackRecord, Response
from spanwise.feedback.statistics.spread import Spread, share
from spanwise.text import Block, align_texts, count_words, matching_blocks, split_words, word_distance, words, words_of

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


class EditCounts:
    """Counts of corrected responses, each compared with its correction."""

    def __init__(self) -> None:
        self.corrected = self.identical = self.blank = self.delete_only = self.insert_only = self.both = 0
        self.opcodes, self.survivors = Counter[str](), Counter[str]()
        self.blocks, self.deleted, self.inserted, self.distance = (Counter[int]() for _ in range(4))
        self.similarity, self.relative = Counter[float](), Counter[float]()
        self.kept = {True: (0, 0), False: (0, 0)}

    def add(self, record: FeedbackRecord) -> None:
        """Counts the corrections of a record."""
        for response in record.responses:
            if response.correction is not None:
                self._add(_Edit(response))

    def _add(self, edit: "_Edit") -> None:
        self.corrected += 1
        self.identical += not edit.changes
        self.blank += not edit.after
        self.delete_only += edit.deleted > 0 and not edit.inserted
        self.insert_only += edit.inserted > 0 and not edit.deleted
        self.both += edit.inserted > 0 and edit.deleted > 0
        self.opcodes.update(edit.kinds)
        self.survivors.update(edit.survivors)
        self.blocks[len(edit.changes)] += 1
        self.deleted[edit.deleted] += 1
        self.inserted[edit.inserted] += 1
        self.similarity[edit.similarity] += 1
        self.distance[edit.distance] += 1
        if edit.before:
            self.relative[edit.distance / len(edit.before)] += 1
        for where, (kept, words_there) in edit.kept.items():
            self.kept[where] = (self.kept[where][0] + kept, self.kept[where][1] + words_there)

    def figures(self) -> EditStatistics:
        """What they say."""
        inside, outside = self.kept[True], self.kept[False]
        return EditStatistics(
            corrected=self.corrected,
            identical=self.identical,
            blank=self.blank,
            delete_only=self.delete_only,
            insert_only=self.insert_only,
            both=self.both,
            opcodes={tag: self.opcodes[tag] for tag in ("replace", "delete", "insert")},
            blocks=Spread.of(self.blocks),
            deleted_words=Spread.of(self.deleted),
            inserted_words=Spread.of(self.inserted),
            similarity=Spread.of(self.similarity),
            distance=Spread.of(self.distance),
            relative_distance=Spread.of(self.relative),
            kept_words=share(inside[0] + outside[0], inside[1] + outside[1]),
            kept_words_inside_spans=share(*inside),
            kept_words_outside_spans=share(*outside),
            surviving_spans=dict(self.survivors),
        )


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


def describe_pairs(pairs: Iterable[EditPair]) -> EditFigures:
    """The figures of `pairs`; goes through them once and keeps none."""
    counts = _PairCounts()
    for pair in pairs:
        counts.add(pair)
    return counts.figures()


class _PairCounts:
    """Counts of pairs."""

    def __init__(self) -> None:
        self.identical = self.only_insertions = self.only_deletions = self.lost = 0
        self.editors, self.kinds = Counter[str](), Counter[str]()
        self.changes, self.before, self.after = Counter[int](), Counter[int](), Counter[int]()
        self.changed, self.ratio = Counter[float](), Counter[float]()

    def add(self, pair: EditPair) -> None:
        edit = align_texts(pair.original, pair.edited)
        before, after = len(words_of(edit.original)), len(words_of(edit.edited))
        lost, kinds = edit.changed_words()[0], Counter(part.kind for part in edit.changes)
        self.editors[f"{pair.editor.kind} {pair.editor.name}".strip()] += 1
        self.kinds.update(kinds)
        self.identical += not kinds
        self.only_insertions += kinds.keys() == {"insert"}
        self.only_deletions += kinds.keys() == {"delete"}
        self.changes[kinds.total()] += 1
        self.before[before] += 1
        self.after[after] += 1
        self.lost += lost
        if before:
            self.changed[lost / before] += 1
            self.ratio[after / before] += 1

    def figures(self) -> EditFigures:
        words_before = sum(number * times for number, times in self.before.items())
        return EditFigures(
            pairs=self.before.total(),
            identical=self.identical,
            editors=dict(self.editors.most_common()),
            changes={name: self.kinds[name] for name in ("insert", "delete", "replace")},
            only_insertions=self.only_insertions,
            only_deletions=self.only_deletions,
            changes_per_pair=Spread.of(self.changes),
            original_words=Spread.of(self.before),
            edited_words=Spread.of(self.after),
            changed_share=Spread.of(self.changed),
            length_ratio=Spread.of(self.ratio),
            kept_words=share(words_before - self.lost, words_before),
        )


class _Edit:
    """One response and its correction, as words."""

    def __init__(self, response: Response) -> None:
        correction = response.correction or ""
        self.before, self.after = split_words(response.text), split_words(correction)
        blocks, _ = matching_blocks(self.before, self.after)
        same = sum(size for _, _, size in blocks)
        self.changes = list(_between(blocks, len(self.before), len(self.after)))
        self.kinds = [_kind(*change) for change in self.changes]
        words_in_all = len(self.before) + len(self.after)
        self.similarity = 2 * same / words_in_all if words_in_all else 1.0
        self.deleted, self.inserted = len(self.before) - same, len(self.after) - same
        self.distance = word_distance(self.before, self.after)
        self.kept = _kept(response, self.changes)
        spans = [mark for mark in response.spans if count_words(mark.quote) >= LONG_SPAN]
        self.survivors = [mark.category for mark in spans if mark.quote in correction]


def _between(blocks: Iterable[Block], before: int, after: int) -> Iterator[tuple[range, range]]:
    """The words that were replaced, deleted or inserted between blocks of equal words, of both texts."""
    at = to = 0
    for start, target, size in (*blocks, (before, after, 0)):
        if start > at or target > to:
            yield range(at, start), range(to, target)
        at, to = start + size, target + size


def _kind(gone: range, new: range) -> str:
    return "replace" if gone and new else "delete" if gone else "insert"


def _kept(response: Response, changes: Iterable[tuple[range, range]]) -> dict[bool, tuple[int, int]]:
    """(words kept, words) of the response, for the words that a marked span touches and for the others."""
    lost = {index for gone, _ in changes for index in gone}
    counts: dict[bool, list[int]] = {True: [0, 0], False: [0, 0]}
    for index, word in enumerate(words(response.text)):
        touched = any(word.start < mark.end and mark.start < word.end for mark in response.spans)
        counts[touched][0] += index not in lost
        counts[touched][1] += 1
    return {touched: (kept, total) for touched, (kept, total) in counts.items()}
