"""WebAnno TSV 3, which WebAnno and INCEpTION export: sentences, their tokens a line, and layers in columns.

The text is put together of the sentences at the offsets of their first tokens, as INCEpTION does it: what stood between
two sentences is not in the file, and becomes a line break and blanks. Every token says its words, so a text or a unit
that does not fit them is refused. Spans of several tokens are joined by their numbers; slots, relations and chains
are counted.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from spanwise.feedback.formats.contract import Outcome, Reading, Unit
from spanwise.feedback.formats.offsets import code_points, utf16
from spanwise.feedback.formats.tools.layers import Document, Layered, Layout, documents
from spanwise.feedback.problems import FieldError
from spanwise.feedback.schema import FeedbackRecord
from spanwise.text import graphemes

HEAD = "#FORMAT=WebAnno TSV 3"
_TOKEN = re.compile(r"(\d+-\d+(?:\.\d+)?)\t(\d+)-(\d+)\t(.*)")
_STACKED, _SLOTS = re.compile(r"(?<!\\)\|"), re.compile(r"(?<!\\);")
_NUMBERED = re.compile(r"(.*)(?<!\\)\[(\d+)\]", re.DOTALL)
_ESCAPED = re.compile(r"\\(->|.)", re.DOTALL)
_CONTROLS = {"t": "\t", "n": "\n", "f": "\f", "r": "\r", "b": "\b"}


class _Layer(NamedTuple):
    """A layer of the head: its kind (SP, CH, RL), its name, and its columns."""

    kind: str
    name: str
    features: list[str]
    first: int


class _Row(NamedTuple):
    """A token or a part of one, with the cells behind its words."""

    number: str
    start: int
    end: int
    words: str
    cells: list[str]


class _Sentence(NamedTuple):
    text: str
    rows: list[_Row]


def read(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per document, of a file or of a folder of them."""
    return documents(Layout("webanno", ".tsv", _parsed, _is_webanno), path, reading)


def _is_webanno(text: str) -> bool:
    """Whether the text begins as the format does."""
    return text.removeprefix("\ufeff").startswith(HEAD)


def _parsed(text: str, lost: Reading) -> Document:
    if not _is_webanno(text):
        raise FieldError("", f"does not begin with {HEAD}; export it as WebAnno TSV 3.")
    lines = text.replace("\r\n", "\n").split("\n")
    layers = list(_layers(lines))
    sentences = list(_sentences(lines, sum(len(layer.features) for layer in layers)))
    unit, whole = _put_together(sentences, lost.unit)
    rows = [row for sentence in sentences for row in sentence.rows]
    return Document([whole], [list(_annotations(layers, rows, lost))], unit)


def _layers(lines: Sequence[str]) -> Iterator[_Layer]:
    """The layers of the head; one without features has a column all the same."""
    first = 0
    for line in lines:
        found = re.fullmatch(r"#T_(SP|CH|RL)=([^|]+)((?:\|[^|]*)*)", line)
        if found:
            features = [name for name in found[3].split("|") if name] or [""]
            yield _Layer(found[1], found[2], features, first)
            first += len(features)
        elif line.startswith("#Text="):
            return


def _sentences(lines: Sequence[str], columns: int) -> Iterator[_Sentence]:
    """The sentences with their rows; a sentence of several lines has a #Text for each."""
    said, rows = list[str](), list[_Row]()
    for number, line in enumerate([*lines, ""], 1):
        if line.startswith("#Text="):
            said.append(_text(line.removeprefix("#Text=")))
        elif found := _TOKEN.fullmatch(line):
            words, *cells = found[4].split("\t")
            if len(cells) < columns or any(cells[columns:]) or not said:
                what = f"{len(cells)} cells for {columns} columns of the head" if said else "no #Text before it"
                raise FieldError("", f"line {number} has {what}; export the file again.")
            rows.append(_Row(found[1], int(found[2]), int(found[3]), _text(words), cells[:columns]))
        elif line.strip() and not line.startswith("#"):
            raise FieldError("", f"line {number} is no token: {line!r:.60}.")
        elif not line.strip() and said:
            yield _Sentence("\n".join(said), rows)
            said, rows = [], []


def _text(escaped: str) -> str:
    """The text behind its escapes: tab, line feed and their kin by letter, any other character by itself."""
    return _ESCAPED.sub(lambda found: _CONTROLS.get(found[1], found[1]), escaped)


def _value(escaped: str) -> str | None:
    """The value of a cell; None for one that says that there is none."""
    return None if escaped == "*" else _text(escaped)


def _put_together(sentences: Sequence[_Sentence], unit: Unit) -> tuple[Unit, str]:
    """The document and the unit in which the words of all its rows stand at their offsets."""
    if not any(sentence.rows for sentence in sentences):
        raise FieldError("", "holds no sentence with tokens.")
    rows = [row for sentence in sentences for row in sentence.rows if row.start < row.end]
    for tried in ("utf-16", "code-points") if unit == "auto" else (unit,):
        whole = _joined(sentences, tried)
        with contextlib.suppress(FieldError):
            code_points(whole, [(row.start, row.end) for row in rows], tried, [row.words for row in rows])
            return tried, whole
    raise FieldError("", "the words of its tokens do not stand at their offsets; export the file again.")


def _joined(sentences: Sequence[_Sentence], unit: Unit) -> str:
    """The sentences, each where its first token begins: none but a line break and blanks stand between them."""
    whole = ""
    for sentence in sentences:
        if sentence.rows:
            gap = sentence.rows[0].start - _length(whole, unit)
            whole += ("\n" + " " * (gap - 1) if whole else " " * gap) if gap > 0 else ""
        whole += sentence.text
    return whole


def _length(text: str, unit: Unit) -> int:
    if unit == "graphemes":
        return len(list(graphemes(text)))
    return utf16(text, len(text)) if unit == "utf-16" else len(text)


def _annotations(layers: Sequence[_Layer], rows: Sequence[_Row], lost: Reading) -> Iterator[Layered]:
    """The spans of all layers; those with a number reach from their first to their last row."""
    numbered = dict[tuple[str, str], Layered]()
    for row in rows:
        for layer in layers:
            for number, features in _stacked(layer, row, lost):
                one = Layered(layer.name, row.start, row.end, features)
                if number is None:
                    yield one
                else:
                    before = numbered.get((layer.name, number), one)
                    numbered[layer.name, number] = before._replace(end=row.end)
    yield from numbered.values()


def _stacked(layer: _Layer, row: _Row, lost: Reading) -> Iterator[tuple[str | None, dict[str, str]]]:
    """Number and features of each annotation that a layer has in a row."""
    cells = row.cells[layer.first : layer.first + len(layer.features)]
    if cells[0] == "_":
        return
    if layer.kind != "SP":
        lost.lost({"RL": "relations", "CH": "chains"}[layer.kind], len(_STACKED.split(cells[0])))
        return
    stacks = list[tuple[str | None, dict[str, str]]]()
    for feature, cell in zip(layer.features, cells, strict=True):
        if "." in feature and not feature.startswith("ROLE_"):
            continue  # the targets of a slot, which stand behind its roles
        for position, value in enumerate(_STACKED.split(cell)):
            found = _NUMBERED.fullmatch(value)
            number, said = (found[2], found[1]) if found else (None, value)
            if position == len(stacks):
                stacks.append((number, {}))
            if feature.startswith("ROLE_"):
                lost.lost("slots", len(_SLOTS.split(said)) if _value(said) is not None else 0)
            elif feature and _value(said) is not None:
                stacks[position][1][feature] = str(_value(said))
    yield from stacks
