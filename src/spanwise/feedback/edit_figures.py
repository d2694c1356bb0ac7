"""What a file of edit pairs holds, in figures: how much was changed, how, and by whom.

Words and marks of punctuation count alike; a change is what the default alignment calls one. Knows nothing of whether
a pair is fit to be trained on.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from spanwise.feedback.edits import EditPair
from spanwise.feedback.spread import Spread, share
from spanwise.text.edits import TextEdit, align_many, words_of


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
    edits = align_many([(pair.original, pair.edited) for pair in pairs])
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


def _kinds(edit: TextEdit) -> Counter[str]:
    return Counter(part.kind for part in edit.changes)


def _editor(pair: EditPair) -> str:
    return f"{pair.editor.kind} {pair.editor.name}".strip()
