"""What a canonical spelling would lose of a foreign item: the places where the item was written otherwise.

An importer compares the item it read with the item it would write and keeps the differences in the record's
provenance; the exporter puts them back. They belong to one canonical item, by its hash: once the record has
been changed, offsets and texts may no longer fit each other, and the canonical spelling is written.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from spanwise.core import DataError
from spanwise.feedback.record import Record
from spanwise.text import text_hash


class Change(Record):
    """One place of an item, as keys and positions from the top, and what stood there."""

    path: tuple[str | int, ...]
    value: Any


class Deviations(Record):
    """All places where an item was written otherwise than the canonical item with this hash."""

    canonical_sha256: str
    changes: tuple[Change, ...]


def deviations(ours: Any, theirs: Any) -> dict[str, Any] | None:
    """The places where two JSON values differ, as plain JSON, or None when they are spelled alike."""
    changes = tuple(_changes(ours, theirs, ()))
    if not changes:
        return None
    return Deviations(canonical_sha256=_digest(ours), changes=changes).model_dump(mode="json")


def restored(value: Any, kept: Any, *, place: str) -> Any:
    """`value` in the spelling that `deviations` kept, if they were kept for this very value.

    Raises DataError when `kept` is damaged.
    """
    if kept is None:
        return value
    top: Any = [copy.deepcopy(value)]
    try:
        known = Deviations.model_validate(kept)
        for change in known.changes if known.canonical_sha256 == _digest(value) else ():
            *path, last = (0, *change.path)
            parent = top
            for key in path:
                parent = parent[key]
            parent[last] = change.value
    except (ValidationError, LookupError, TypeError) as error:
        raise DataError(f"{place}: provenance.deviations is damaged; remove it or import the item again.") from error
    return top[0]


def _changes(ours: Any, theirs: Any, path: tuple[str | int, ...]) -> Iterator[Change]:
    if isinstance(ours, dict) and isinstance(theirs, dict) and list(ours) == list(theirs):
        for key in ours:
            yield from _changes(ours[key], theirs[key], (*path, key))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from _changes(*pair, (*path, index))
    elif json.dumps(ours) != json.dumps(theirs):  # the order of keys counts as well
        yield Change(path=path, value=theirs)


def _digest(value: Any) -> str:
    return text_hash(json.dumps(value, sort_keys=True))
