"""Reads edit data in Thresh's JSON form: one list of {source, target, edits}, as its annotation pages save it.

Two kinds hold edits: those that mark how the target was made from the source (insertion, deletion, substitution, ...),
and those that say a `correction` for spans of the target (ERRANT). Other sets mark spans without an edit; their items
are problems here. The marks themselves are kept in the provenance.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from spanwise.core import SpanError
from spanwise.feedback.edits import Editor, EditPair, edit_pair
from spanwise.feedback.formats.json_list import read_items
from spanwise.feedback.problems import Place, Problem, ReadResult, collected, validated
from spanwise.text import Span, apply_edit, normalize_newlines

_MADE_FROM_SOURCE = {"insertion", "deletion", "substitution", "substitute", "reorder", "structure", "split"}
_CORRECTIONS = {"missing", "unnecessary", "replacement"}


class _Mark(BaseModel):
    model_config = ConfigDict(extra="allow")

    category: str
    output_idx: list[Annotated[list[int], Field(min_length=2, max_length=2)]] = Field(default_factory=list)
    annotation: dict[str, Any] | None = None


class _Item(BaseModel):
    model_config = ConfigDict(extra="allow")

    source: str
    target: str
    context: str = ""
    edits: list[_Mark]
    metadata: dict[str, Any] = Field(default_factory=dict)


def import_thresh(path: Path) -> ReadResult[EditPair]:
    """The pairs of a Thresh file and the problems of items that hold none; raises DataError when it is no JSON list."""
    return collected(_pairs(path))


def _pairs(path: Path) -> Iterator[tuple[Place, EditPair | list[Problem]]]:
    for place, value in read_items(path):
        if isinstance(value, Problem):
            yield place, [value]
            continue
        item = validated(_Item, value, place)
        yield place, item if isinstance(item, list) else _pair(item, value, place)


def _pair(item: _Item, value: dict[str, Any], place: Place) -> EditPair | list[Problem]:
    categories = {mark.category for mark in item.edits}
    name = Path(place.file).name.split(".")[0]
    try:
        if not categories:
            return [Problem(place, "edits", "is empty, so that nothing says how the target was made: it is no pair.")]
        if categories <= _CORRECTIONS:
            texts = item.target, _corrected(item)
        elif categories <= _MADE_FROM_SOURCE:
            texts = item.source, item.target
        else:
            other = ", ".join(sorted(categories - _MADE_FROM_SOURCE))
            return [Problem(place, "edits", f"marks spans ({other}) but no edit: there is no pair in this item.")]
        return edit_pair(
            *map(normalize_newlines, texts),
            id=f"{name}-{place.item:06d}",
            prompt=normalize_newlines(item.context),
            editor=Editor(kind="unknown", details=item.metadata),
            provenance={"format": "thresh", "file": Path(place.file).name, "item": place.item, "edits": value["edits"]},
        )
    except ValueError as error:  # of pydantic and of spans: texts or marks that cannot be stored or applied
        unkept = "holds text that no file keeps; remove NUL and lone surrogates."
        reason = str(error) if isinstance(error, SpanError) else unkept
        return [Problem(place, "edits", reason)]


def _corrected(item: _Item) -> str:
    changes: list[tuple[Span, str]] = []
    for mark in item.edits:
        start, end = (_inside(place, item.target) for place in (mark.output_idx or [[0, 0]])[0])
        correction = str((mark.annotation or {}).get("correction") or "")
        changes.append((Span(start, end), _spaced(correction, item.target, start, end)))
    return apply_edit(item.target, sorted(changes, key=lambda change: (change[0].start, change[0].end)))


def _inside(place: int, text: str) -> int:
    """ERRANT counts a space behind the last word, which the text does not have."""
    return len(text) if place == len(text) + 1 else place


def _spaced(correction: str, text: str, start: int, end: int) -> str:
    """The marks take the space behind a word with them and stand before a word; their corrections are bare."""
    if not correction:
        return ""
    if start == end == len(text):
        return f" {correction}" if text and not text[-1].isspace() else correction
    inside = start < end and not text[end - 1].isspace()
    return correction if inside or text[end : end + 1].isspace() else f"{correction} "
