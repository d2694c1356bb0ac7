"""brat: folders of a text (.txt) and its standoff annotations (.ann) beside it.

A text-bound annotation is a mark, one in several pieces a mark for each; notes of annotators go with their marks.
Attributes, relations, events, equivalences and normalisations are counted. An .ann without annotations does not say
that somebody looked, so its text is unmarked. Offsets are code points.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from spanwise.core import DataError, read_text
from spanwise.feedback.formats.carried import Answer, Foreign, unpacked
from spanwise.feedback.formats.contract import Outcome, Reading
from spanwise.feedback.problems import FieldError, Place, Problem
from spanwise.feedback.schema import FeedbackRecord

_BOUND = re.compile(r"(T\S+)\t(\S+) ([\d; ]+)\t(.*)")
_NOTE = re.compile(r"#\S*\tAnnotatorNotes (\S+)\t(.*)")
_KINDS = {
    "A": "attributes", "M": "attributes", "R": "relations", "E": "events", "*": "equivalences", "N": "normalisations",
    "#": "notes",
}  # fmt: skip
Piece = tuple[int, int, str, str | None, str]
"""Start, end, type, the words there where they are said, and a note."""


def read(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per text of a folder, its folders included, or of one .ann or .txt; DataError where there is none."""
    root = path if path.is_dir() else path.parent
    texts = sorted(path.rglob("*.txt")) if path.is_dir() else [path.with_suffix(".txt")]
    if not texts or not all(text.is_file() for text in texts):
        raise DataError(f"{path}: holds no .txt; give brat's folder of .txt and .ann files, or one that has both.")
    for text in texts:
        yield from _of_text(text, root, reading)


def _of_text(path: Path, root: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    annotations = path.with_suffix(".ann")
    place = Place(str(annotations if annotations.is_file() else path), 1, b"")
    lost = Reading(reading.unit)
    try:
        pieces = _pieces(read_text(annotations), lost) if annotations.is_file() else []
        record = unpacked(_foreign(str(path.relative_to(root).with_suffix("")), read_text(path), pieces), reading.unit)
    except FieldError as error:
        yield place, [Problem(place, error.place, error.reason)]
    except (DataError, ValueError) as error:
        yield place, [Problem(place, "", " ".join(str(error).split())[:300])]
    else:
        reading.unread.update(lost.unread)
        yield place, record


def _foreign(name: str, text: str, pieces: list[Piece]) -> Foreign:
    spans = tuple((start, end, category) for start, end, category, _, _ in pieces)
    answer = Answer(spans, _quotes(text, pieces), tuple(note for *_, note in pieces))
    answers = {0: answer} if pieces else {}
    return Foreign(
        id=name, prompt="", responses=(text,), answers=answers, provenance={"format": "brat"}, documented="code-points"
    )


def _quotes(text: str, pieces: list[Piece]) -> tuple[str | None, ...]:
    """The words of each piece as the text has them; brat writes a blank for a line break."""
    return tuple(
        text[start:end] if quote is not None and text[start:end].replace("\n", " ") == quote else quote
        for start, end, _, quote, _ in pieces
    )


def _pieces(annotations: str, lost: Reading) -> list[Piece]:
    bound: dict[str, list[tuple[int, int, str, str | None]]] = {}
    notes: dict[str, str] = {}
    for number, line in enumerate(annotations.splitlines(), 1):
        if not line.strip():
            continue
        if found := _BOUND.fullmatch(line):
            bound[found[1]] = _parts(found[2], found[3], found[4], number)
        elif found := _NOTE.fullmatch(line):
            notes[found[1]] = found[2]
        elif line[0] in _KINDS:
            lost.lost(_KINDS[line[0]])
        else:
            raise FieldError("", f"line {number} is none that brat writes: {line!r:.60}.")
    lost.lost("notes", len(notes.keys() - bound.keys()))
    return [(*part, notes.get(name, "")) for name, parts in bound.items() for part in parts]


def _parts(category: str, listed: str, words: str, number: int) -> list[tuple[int, int, str, str | None]]:
    """The pieces of one annotation; the words of several pieces are joined by blanks."""
    borders = [piece.split() for piece in listed.split(";")]
    if any(len(piece) != 2 for piece in borders):
        raise FieldError("", f"line {number} has offsets that do not pair: {listed!r:.60}.")
    pieces, at = list[tuple[int, int, str, str | None]](), 0
    for start, end in ((int(start), int(end)) for start, end in borders):
        pieces.append((start, end, category, words[at : at + end - start]))
        at += end - start + 1
    return pieces
