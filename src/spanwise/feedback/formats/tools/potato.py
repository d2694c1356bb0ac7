"""Potato: a project's config, its data files, and what each person marked (`annotation_output/PERSON/user_state.json`).

Give the config or its folder: exports hold offsets without the text. Offsets are code points of the text as the page
shows it, which is the record's response: control characters are gone, runs of blanks are one, the ends are trimmed; a
field of `instance_display` is shown as it is. Spans on a text with markup are refused, for their offsets count what a
browser made of it. Potato does not say that somebody finished an item, so one without spans is unmarked; answers to
other questions, links and events are counted.
"""

import csv
import html
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml

from spanwise.core import DataError, read_json, read_text
from spanwise.feedback.formats.carried import Answer, Foreign, unpacked
from spanwise.feedback.formats.contract import Outcome, Reading
from spanwise.feedback.formats.json_values import read_values
from spanwise.feedback.problems import FieldError, Place, Problem
from spanwise.feedback.schema import FeedbackRecord

Parts = dict[str, Any]
_CONTROL, _BLANKS, _MARKUP = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]"), re.compile(r"[ \t]+"), re.compile(r"<[A-Za-z/!?]")
_SPANS, _LABELS = "instance_id_to_span_to_value", "instance_id_to_label_to_value"
_OTHERS = {"instance_id_to_link_to_value": "links", "instance_id_to_event_to_value": "events"}


class _Project(NamedTuple):
    """Where the files of a project are, and how its items are laid out."""

    data: list[Path]
    answers: Path
    id_key: str
    text_key: str
    fields: list[str]
    """The fields that the page shows as they are; empty where it shows the text alone."""


class _Said(NamedTuple):
    """What one person said about one item."""

    person: str
    spans: list[Parts]
    place: Place
    several: bool = False
    """Whether other people marked spans in it, too."""


def read(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per item and person who marked spans in it, one per item without any."""
    try:
        project = _project(path)
    except (TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{path}: is not laid out as configs of Potato are ({error}); check item_properties."
        ) from error
    said: dict[str, list[_Said]] = {}
    for file in sorted(project.answers.glob("*/user_state.json")):
        place, lost = Place(str(file), 1, b""), Reading()
        try:
            for item, one in _of_person(file, place, lost):
                said.setdefault(item, []).append(one)
            reading.unread.update(lost.unread)
        except (TypeError, KeyError, AttributeError, ValueError, DataError) as error:
            yield place, [Problem(place, "", f"is no state of a person as Potato writes it ({str(error)[:200]}).")]
    for place, item in _items(project):
        if isinstance(item, Problem):
            yield place, [item]
            continue
        name = str(item.get(project.id_key, ""))
        people = said.pop(name, [])
        for one in people or [None]:
            said_of_it = one and one._replace(several=len(people) > 1)
            yield place, _record_or_problems(project, place, item, said_of_it, reading)
    for name, people in said.items():
        for one in people:
            yield one.place, [Problem(one.place, "", f"speaks of the item {name!r:.60}, which no data file holds.")]


def _project(path: Path) -> _Project:
    """The project of a config or of a folder with one; DataError for anything else."""
    configs = [path]
    if path.is_dir():
        configs = [file for file in sorted(path.glob("*.y*ml")) if "annotation_schemes" in _config(file)]
    config = _config(configs[0]) if len(configs) == 1 else {}
    properties = config.get("item_properties")
    if "annotation_schemes" not in config or not isinstance(properties, dict):
        raise DataError(f"{path}: is no config of Potato, nor a folder with one (annotation_schemes, item_properties).")
    base = configs[0].parent / str(config.get("task_dir") or ".")
    listed: list[Any] = config["data_files"] if isinstance(config.get("data_files"), list) else [config["data_files"]]
    names = [str(one.get("path", "") if isinstance(one, dict) else one) for one in listed]
    shown = (config.get("instance_display") or {}).get("fields") or []
    return _Project(
        data=[base / name for name in names],
        answers=base / str(config.get("output_annotation_dir") or "annotation_output"),
        id_key=str(properties.get("id_key", "id")),
        text_key=str(properties.get("text_key", "text")),
        fields=[str(field["key"]) for field in shown if field.get("type", "text") == "text"],
    )


def _config(file: Path) -> Parts:
    try:
        values = yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        raise DataError(f"{file}: is no YAML ({' '.join(str(error).split())[:200]}); mend it.") from error
    return cast("Parts", values) if isinstance(values, dict) else {}


def _of_person(file: Path, place: Place, lost: Reading) -> list[tuple[str, _Said]]:
    """What a person said by item, those without a span left out."""
    state: Parts = read_json(file)
    person = str(state.get("user_id") or file.parent.name)
    for key, kind in _OTHERS.items():
        lost.lost(kind, sum(map(len, (state.get(key) or {}).values())))
    for labels in (state.get(_LABELS) or {}).values():
        for label, _ in labels:
            lost.lost(f"answers to {label['schema']}")
    marked: Parts = state.get(_SPANS) or {}
    return [(str(item), _Said(person, [span for span, _ in spans], place)) for item, spans in marked.items() if spans]


def _items(project: _Project) -> Iterator[tuple[Place, Parts | Problem]]:
    """The items of the data files, JSON or tables."""
    for file in project.data:
        delimiter = {".csv": ",", ".tsv": "\t"}.get(file.suffix)
        if delimiter is None:
            for place, value in read_values(file):
                yield place, value if isinstance(value, dict | Problem) else Problem(place, "", "is no JSON object.")
        else:
            rows = csv.DictReader(io.StringIO(read_text(file).removeprefix("\ufeff"), newline=""), delimiter=delimiter)
            yield from ((Place(str(file), rows.line_num, repr(row).encode()), dict(row)) for row in rows)


def _record_or_problems(
    project: _Project, place: Place, item: Parts, said: _Said | None, reading: Reading
) -> FeedbackRecord | list[Problem]:
    lost = Reading(reading.unit)
    try:
        record = unpacked(_foreign(project, item, said, lost), reading.unit)
    except FieldError as error:
        return [Problem(place, error.place, error.reason)]
    except (KeyError, TypeError, AttributeError):
        return [Problem(place, "", "or what was said of it is not laid out as Potato lays it out; export it again.")]
    except ValueError as error:
        return [Problem(place, "", " ".join(str(error).split())[:300])]
    reading.unread.update(lost.unread)
    return record


def _foreign(project: _Project, item: Parts, said: _Said | None, lost: Reading) -> Foreign:
    fields = [key for key in project.fields if isinstance(item.get(key), str)] or [project.text_key]
    texts = [str(item[key]) if key in project.fields else _shown(str(item[key])) for key in fields]
    pieces: dict[int, list[tuple[int, int, str]]] = {}
    for span in said.spans if said else []:
        target = str(span.get("target_field") or fields[0])
        if target not in fields:
            lost.lost(f"spans on the field {target:.40}")
            continue
        position = fields.index(target)
        if target not in project.fields and _MARKUP.search(str(item[target])):
            raise FieldError(target, "holds markup, so that the offsets of its spans count another text; take it out.")
        pieces.setdefault(position, []).extend(_pieces(span))
    used = {*fields, project.id_key, "prompt"}
    rest = {key: value for key, value in item.items() if key not in used}
    return Foreign(
        id=str(item.get(project.id_key, "")),
        prompt=str(item.get("prompt") or ""),
        responses=tuple(texts),
        answers={position: Answer(spans=tuple(spans)) for position, spans in pieces.items()},
        annotator=said.person if said else None,
        among_several=said.person if said and said.several else None,
        provenance={"format": "potato", **({"fields": rest} if rest else {})},
        documented="code-points",
    )


def _pieces(span: Parts) -> Iterator[tuple[int, int, str]]:
    """A span, and the further pieces of one in several, each a mark."""
    for piece in (span, *(span.get("additional_parts") or ())):
        yield piece["start"], piece["end"], str(span["name"])


def _shown(text: str) -> str:
    """The text as the page shows it."""
    return html.unescape(_BLANKS.sub(" ", _CONTROL.sub("", text)).strip())
