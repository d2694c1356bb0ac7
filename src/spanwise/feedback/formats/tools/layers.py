"""Documents with annotations on layers, as WebAnno, INCEpTION and other tools of UIMA keep them: what becomes of them.

A layer is a type of annotation with features. The category of a mark is the value of the feature that is called so
(`value`, `category`, `label`, ...), else of the first one that has a value, else the layer's name; a feature called
`comment` or the like is its note. All features are kept in the provenance. Layers of tokens and sentences are the
document's and no feedback; what linguists put on words (parts of speech, lemmas, ...) is counted. A file does not say
that somebody finished it, so a document without annotations is unmarked. Offsets are UTF-16 units.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from spanwise.core import BadJSONError, DataError, read_text
from spanwise.feedback.formats.carried import Answer, Foreign, unpacked
from spanwise.feedback.formats.contract import Outcome, Reading, Unit
from spanwise.feedback.problems import FieldError, Place, Problem
from spanwise.feedback.schema import FeedbackRecord

CATEGORIES = ("value", "category", "label", "type", "tag", "error", "errortype")
NOTES = ("comment", "note", "explanation", "remark")
_CORE = "de.tudarmstadt.ukp.dkpro.core.api."
_STRUCTURE = {
    *(f"{_CORE}segmentation.type.{name}" for name in ("Token", "Sentence", "Paragraph", "Div", "Heading", "Document")),
    f"{_CORE}metadata.type.DocumentMetaData",
    "uima.tcas.DocumentAnnotation",
}
_LINGUISTIC = tuple(f"{_CORE}{part}." for part in ("segmentation", "lexmorph", "syntax", "metadata"))
_EXPORTED = ("annotation", "curation")
"""Folders of INCEpTION's exports; in them each document is a folder with a file for each person."""


class Layered(NamedTuple):
    """An annotation: its layer, `[start, end)` in the tool's unit, its features, and the words there where known."""

    layer: str
    start: int
    end: int
    features: dict[str, str]
    words: str | None = None


class Document(NamedTuple):
    """The texts of one file and the annotations on each."""

    texts: list[str]
    layered: list[list[Layered]]
    unit: Unit
    """What the offsets count."""


Parse = Callable[[str, Reading], Document]
"""The document in the text of a file; counts what it does not read. ValueError and DataError say what is wrong."""


class Layout(NamedTuple):
    """A format of such documents: its name, the ending of its files, how one is read and told from other files."""

    form: str
    ending: str
    parse: Parse
    is_one: Callable[[str], bool]


def documents(layout: Layout, path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per file of a folder, its folders included, or of one file; DataError where there is none."""
    files = sorted(file for file in path.rglob(f"*{layout.ending}") if file.is_file()) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path}: holds no {layout.ending} file; unpack the export and give its folder, or one file.")
    if not path.is_dir() and not layout.is_one(read_text(path)):
        raise DataError(f"{path}: is no file of the format {layout.form}; check file and format.")
    root = path if path.is_dir() else path.parent
    for file in files:
        yield _of_file(layout, file, root, reading)


def _of_file(layout: Layout, file: Path, root: Path, reading: Reading) -> Outcome[FeedbackRecord]:
    place, lost = Place(str(file), 1, b""), Reading(reading.unit)
    try:
        text = read_text(file).removeprefix("\ufeff")
        place = Place(str(file), 1, text.encode(errors="surrogatepass"))
        document = layout.parse(text, lost)
        record = unpacked(_foreign(layout.form, file, root, document, lost), document.unit)
    except FieldError as error:
        return place, [Problem(place, error.place, error.reason)]
    except BadJSONError as error:
        return place, [Problem(place, "", str(error))]
    except (TypeError, KeyError, AttributeError):
        return place, [Problem(place, "", f"is not laid out as documents of {layout.form} are; export it again.")]
    except (DataError, ValueError) as error:
        return place, [Problem(place, "", " ".join(str(error).split())[:300])]
    reading.unread.update(lost.unread)
    return place, record


def _foreign(form: str, file: Path, root: Path, document: Document, lost: Reading) -> Foreign:
    marked = [_marks(layered, lost) for layered in document.layered]
    answers = {
        position: Answer(
            tuple((one.start, one.end, _category(one)) for one in marks),
            tuple(one.words for one in marks),
            tuple(_note(one) for one in marks),
        )
        for position, marks in enumerate(marked)
        if marks
    }
    rest = [[{"layer": one.layer, **one.features} for one in marks] for marks in marked]
    person = file.stem if file.parent.parent.name in _EXPORTED else None
    name = file.relative_to(root).with_suffix("") if person is None else file.parent.relative_to(root)
    return Foreign(
        id=str(name) if str(name) != "." else file.parent.name,
        prompt="",
        responses=tuple(document.texts),
        answers=answers,
        annotator=person,
        among_several=person,
        provenance={"format": form, **({"layers": rest} if any(rest) else {})},
        documented="utf-16",
    )


def _marks(layered: Sequence[Layered], lost: Reading) -> list[Layered]:
    """The annotations that are feedback; the others are counted, but for those that are the document's own."""
    marks = list[Layered]()
    for one in layered:
        if one.layer in _STRUCTURE:
            continue
        if one.layer.startswith(_LINGUISTIC):
            lost.lost(f"annotations of the layer {short(one.layer)}")
        elif one.start == one.end:
            lost.lost("annotations without a length")
        else:
            marks.append(one)
    return sorted(marks, key=lambda one: (one.start, one.end))


def short(layer: str) -> str:
    """The name of a layer without those of its packages."""
    return layer.rpartition(".")[2]


def _category(one: Layered) -> str:
    by_name = {name.lower(): value for name, value in one.features.items() if value}
    named = next((by_name[name] for name in CATEGORIES if name in by_name), None)
    others = (value for name, value in by_name.items() if name not in NOTES)
    return named or next(others, None) or short(one.layer)


def _note(one: Layered) -> str:
    said: dict[str, Any] = {name.lower(): value for name, value in one.features.items()}
    return next((said[name] for name in NOTES if said.get(name)), "")
