"""M2, the files of grammatical error correction (ERRANT, CoNLL-2014): a sentence and the edits of each annotator.

Each annotator of a sentence is a record: the sentence is the response, what its edits replace or take away are marks,
and the sentence with all of them is the correction. An insertion has no place in the response; the correction holds
it. `noop` says that an annotator found nothing to mend; a sentence without a line of edits was judged by nobody.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from spanwise.core import DataError, read_text
from spanwise.feedback.edits import Editor, EditPair, EditSpan, edit_pair
from spanwise.feedback.formats.contract import Outcome, Reading
from spanwise.feedback.problems import FieldError, Place, Problem
from spanwise.feedback.schema import FeedbackRecord, Response, mark

T = TypeVar("T")
_NOTHING, _NOOP = "-NONE-", ("noop", "UNK")
_FIELDS = 6


class _Edit(NamedTuple):
    """One correction: `[start, end)` in tokens, its type, and the tokens that stand there afterwards."""

    start: int
    end: int
    category: str
    text: str


Edits = dict[str, list[_Edit]]
"""The edits of a sentence by annotator; a list without any says that nothing was to mend."""


def read(path: Path, _reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per sentence and annotator, and one for a sentence that nobody judged."""
    return _read(path, _records)


def read_pairs(path: Path, _reading: Reading) -> Iterator[Outcome[EditPair]]:
    """One pair per sentence and annotator, with the categories of its edits."""
    return _read(path, _pairs)


def _read(path: Path, made_of: Callable[[str, list[str], Edits], Iterator[T]]) -> Iterator[Outcome[T]]:
    stem = path.name.split(".")[0]
    for item, (place, lines) in enumerate(_blocks(path), 1):
        try:
            tokens, edits = _parsed(lines)
            made = list(made_of(f"{stem}-{item:06d}", tokens, edits))
        except FieldError as error:
            yield place, [Problem(place, error.place, error.reason)]
        except ValueError as error:
            yield place, [Problem(place, "", " ".join(str(error).split())[:300])]
        else:
            yield from [(place, one) for one in made]


def _blocks(path: Path) -> Iterator[tuple[Place, list[str]]]:
    """The lines of each sentence, which empty lines part; DataError for a file of another kind."""
    text = read_text(path).removeprefix("\ufeff").replace("\r\n", "\n")
    if not re.match(r"\s*S( |\n)", text):
        raise DataError(f"{path}: begins with no S line; a file in the M2 format was expected.")
    number = 1
    for block in re.split(r"(\n\s*\n)", text.rstrip()):
        if block.strip():
            yield Place(str(path), number, block.encode(errors="surrogatepass")), block.strip("\n").split("\n")
        number += block.count("\n")


def _parsed(lines: list[str]) -> tuple[list[str], Edits]:
    sentence, *others = lines
    if sentence.split(" ", 1)[0] != "S":
        raise FieldError("", "begins with no S line; part sentences by an empty line.")
    tokens = sentence[2:].split(" ") if sentence[2:] else []
    edits: Edits = {}
    for line in others:
        parts = line[2:].split("|||")
        if not line.startswith("A ") or len(parts) != _FIELDS:
            raise FieldError("", "has a line that is no edit: A start end|||type|||correction|||...|||annotator.")
        start, end = (int(border) for border in parts[0].split())
        made = edits.setdefault(parts[5], [])
        if parts[1] in _NOOP and start < 0:
            continue
        if not 0 <= start <= end <= len(tokens):
            raise FieldError("", f"has an edit of tokens {start} to {end} in a sentence of {len(tokens)}.")
        made.append(_Edit(start, end, parts[1], "" if parts[2] == _NOTHING else parts[2].split("||")[0]))
    return tokens, edits


def _records(name: str, tokens: list[str], edits: Edits) -> Iterator[FeedbackRecord]:
    text = " ".join(tokens)
    if not edits:
        yield FeedbackRecord(id=name, prompt="", responses=(Response(text=text),), provenance={"format": "m2"})
    for annotator, made in edits.items():
        places = [(edit, *_place(tokens, edit)) for edit in sorted(made)]
        spans = tuple(mark(text, start, end, e.category, note=e.text) for e, start, end in places if start < end)
        looked = bool(spans) or not made  # with insertions alone there is an error, though not at a place
        response = Response(text=text, marked=looked, spans=spans, correction=_corrected(tokens, made))
        item = {"annotation": {"item": name}} if len(edits) > 1 else {}
        yield FeedbackRecord(
            id=f"{name}#{annotator}" if item else name,
            prompt="",
            responses=(response,),
            annotator=annotator,
            provenance={"format": "m2", **item},
        )


def _place(tokens: list[str], edit: _Edit) -> tuple[int, int]:
    """The characters that an edit replaces; an insertion has an empty place before the next token."""
    start = len(" ".join([*tokens[: edit.start], ""]))
    return start, start + len(" ".join(tokens[edit.start : edit.end]))


def _corrected(tokens: list[str], edits: list[_Edit]) -> str:
    """The sentence with all edits of one annotator; FieldError where two of them overlap."""
    made, at = list[str](), 0
    for edit in sorted(edits):
        if edit.start < at:
            raise FieldError("", "has edits of one annotator that overlap.")
        made += [*tokens[at : edit.start], *filter(None, [edit.text])]
        at = edit.end
    return " ".join([*made, *tokens[at:]])


def _pairs(name: str, tokens: list[str], edits: Edits) -> Iterator[EditPair]:
    """The changes are the edits, each with its category; where their blanks meet, those of the default alignment."""
    for annotator, made in edits.items():
        fields: dict[str, Any] = {
            "id": f"{name}#{annotator}" if len(edits) > 1 else name,
            "editor": Editor(kind="human", name=annotator),
            "provenance": {"format": "m2"},
        }
        original, edited = " ".join(tokens), _corrected(tokens, made)
        try:
            spans = tuple(_spans(tokens, sorted(made)))
            yield EditPair(original=original, edited=edited, spans=spans, **fields)
        except ValidationError:
            yield edit_pair(original, edited, **fields)


def _spans(tokens: list[str], edits: list[_Edit]) -> Iterator[EditSpan]:
    edited, moved = _corrected(tokens, edits).split(" "), 0
    for edit in edits:
        new = len(edit.text.split(" ")) if edit.text else 0
        whole = edit.start < edit.end and new > 0
        start, end = _region(tokens, edit.start, edit.end, whole=whole)
        first = edit.start + moved
        edited_start, edited_end = _region(edited, first, first + new, whole=whole)
        moved += new - (edit.end - edit.start)
        yield EditSpan(start=start, end=end, edited_start=edited_start, edited_end=edited_end, category=edit.category)


def _region(tokens: list[str], start: int, end: int, *, whole: bool) -> tuple[int, int]:
    """The characters of some tokens; where they were put in or taken away, with the blank on one side of them."""

    def behind(count: int) -> int:
        return len(" ".join(tokens[:count]))

    if whole:
        return behind(start) + (start > 0), behind(end)
    if start:
        return behind(start), behind(end)
    return 0, behind(end) + (0 < end < len(tokens))
