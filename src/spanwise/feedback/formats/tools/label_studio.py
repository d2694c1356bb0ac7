"""Label Studio: tasks with annotations as its JSON export and import hold them, and a labeling config beside them.

Regions carry their words, so that offsets, which count UTF-16 units in old versions and code points in new ones, are
believed only where the words are found. What regions cannot say travels in the task's data. Regions of other types are
counted, and an annotation that holds only such does not make an answer clean.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from spanwise.core import write_text
from spanwise.feedback.formats.carried import KEY, Answer, Foreign, packed, unpacked
from spanwise.feedback.formats.contract import Outcome, Reading, Written
from spanwise.feedback.formats.json_values import converted
from spanwise.feedback.formats.offsets import code_points
from spanwise.feedback.problems import FieldError, Place
from spanwise.feedback.schema import FeedbackRecord, Preference, Response

_PROMPTS = ("prompt", "question", "instruction")
_NO_RESPONSES = (*_PROMPTS, "passages", "context", KEY, "id")
_ADDRESS = re.compile(r"(?:https?|s3|gs|azure-blob)://\S+|/data/\S+")
"""A value that shows an image, a sound or a page, and is no text of its own."""


def read(path: Path, reading: Reading) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per annotation; one without feedback per task that has none. Cancelled ones are reported."""
    return converted(path, _records, reading)


def write(path: Path, records: Iterable[FeedbackRecord]) -> Written:
    """Writes tasks, and `path` + ".config.xml" with the labeling config that shows them."""
    kept = list(records)
    write_text(path, json.dumps([_task(record) for record in kept], ensure_ascii=False, indent=1))
    write_text(path.with_name(f"{path.name}.config.xml"), labeling_config(kept))
    return Written(len(kept))


def labeling_config(records: list[FeedbackRecord]) -> str:
    """The config that shows the records: one text with labels and a correction per response."""
    labels = sorted({mark.category for record in records for r in record.responses for mark in r.spans})
    count = max((len(record.responses) for record in records), default=1)
    lines = ["<View>", '  <Text name="prompt" value="$prompt"/>', '  <Text name="passages" value="$passages"/>']
    for key in (f"r{k + 1}" for k in range(count)):
        lines += [f'  <Labels name="spans_{key}" toName="{key}">']
        lines += [
            f"    <Label value={quoteattr(name)}" + (f' hotkey="{n + 1}"' if n < 9 and key == "r1" else "") + "/>"
            for n, name in enumerate(labels)
        ]
        lines += ["  </Labels>", f'  <Text name="{key}" value="${key}"/>']
        lines += [f'  <TextArea name="correction_{key}" toName="{key}" editable="true" maxSubmissions="1"/>']
    return "\n".join([*lines, "</View>", ""])


def _task(record: FeedbackRecord) -> dict[str, Any]:
    passages = "\n\n".join(f"{passage.title}\n{passage.text}" for passage in record.passages)
    texts = {f"r{k + 1}": response.text for k, response in enumerate(record.responses)}
    regions = [region for k, r in enumerate(record.responses) for region in _regions(f"r{k + 1}", r)]
    annotation = {**_completed_by(record.annotator), "was_cancelled": False, "result": regions}
    annotated = any(r.marked or r.correction is not None for r in record.responses)
    data = {"id": record.id, "prompt": record.prompt, "passages": passages, **texts, KEY: packed(record)}
    return {"data": data, "annotations": [annotation] if annotated else [], "predictions": []}


def _completed_by(annotator: str | None) -> dict[str, Any]:
    """Who annotated, as Label Studio takes it: a member's id or e-mail; other names travel in the task's data."""
    if annotator is not None and annotator.isascii() and annotator.isdigit():
        return {"completed_by": int(annotator)}
    known = annotator is not None and re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", annotator)
    return {"completed_by": {"email": annotator}} if known else {}


def _regions(key: str, response: Response) -> Iterator[dict[str, Any]]:
    for number, mark in enumerate(response.spans):
        value = {"start": mark.start, "end": mark.end, "text": mark.quote, "labels": [mark.category]}
        yield {"id": f"{key}-{number}", "from_name": f"spans_{key}", "to_name": key, "type": "labels", "value": value}
    if response.correction is not None:
        value = {"text": [response.correction]}
        yield {"id": f"{key}-c", "from_name": f"correction_{key}", "to_name": key, "type": "textarea", "value": value}


def _records(value: Any, place: Place, reading: Reading) -> Iterator[FeedbackRecord]:
    if isinstance(value, dict) and "data" not in value:
        raise FieldError("data", "is missing, as it is in Label Studio's JSON-MIN; export the full JSON and read that.")
    data: dict[str, Any] = value["data"]
    annotations: list[dict[str, Any]] = value.get("annotations", value.get("completions")) or []
    live = [a for a in annotations if not a.get("was_cancelled") and not a.get("skipped")]
    if annotations and not live:
        raise FieldError("annotations", "were all cancelled there, so they say nothing; leave the task out.")
    reading.lost("drafts", len(value.get("drafts") or ()))
    task = _task_read(data, live)
    if not task.names:
        _count_all(live, reading)
        return
    name = str(data.get("id") or value.get("id") or f"{place.line}-{place.item}")
    times = Counter[str]()
    for annotation in live or [dict[str, Any]()]:
        who = annotation.get("completed_by")
        who = who.get("email") or who.get("id") if isinstance(who, dict) else who
        times[str(who)] += 1
        again = f"/{times[str(who)]}" if times[str(who)] > 1 else ""  # one person may annotate a task several times
        said = _said(annotation, task, reading) if annotation else _Said()
        yield unpacked(
            Foreign(
                id=name,
                prompt=next((str(data[key]) for key in _PROMPTS if key in data), ""),
                responses=tuple(data[field] for field in task.names),
                answers=said.answers,
                annotator=None if who is None else str(who),
                among_several=f"{who}{again}" if len(live) > 1 else None,
                provenance={"format": "label-studio"},
                preferences=tuple(said.preferences),
                carried=data.get(KEY),
            ),
            reading.unit,
        )


@dataclass(frozen=True, slots=True)
class _Task:
    """What is annotated."""

    data: dict[str, Any]
    names: list[str]
    """The fields that hold responses."""
    alone: bool
    """Whether the task holds no other text that an annotation might speak of."""
    before: tuple[bool, ...]
    """Which responses had been marked when a task of ours was written."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What one annotation says."""

    answers: dict[int, Answer] = field(default_factory=dict[int, Answer])
    preferences: list[Preference] = field(default_factory=list[Preference])


@dataclass(frozen=True, slots=True)
class _Region:
    """A labelled piece of a response."""

    id: str
    place: tuple[int, int]
    quote: str | None
    labels: list[str]
    note: str


def _task_read(data: dict[str, Any], live: list[dict[str, Any]]) -> _Task:
    """The fields that regions belong to; the first text where their names do not tell, none in tasks without text."""
    fields = [
        name
        for name, text in data.items()
        if isinstance(text, str) and name not in _NO_RESPONSES and not _ADDRESS.fullmatch(text)
    ]
    named = {name for annotation in live for region in _regions_of(annotation) for name in _targets(region)}
    numbered = [name for name in fields if name[:1] == "r" and name[1:].isdigit()]
    names = numbered or [name for name in fields if name in named] or fields[:1]
    if not names and not any(_regions_of(annotation) for annotation in live):
        raise FieldError("data", "holds no text; name a field text.")
    carried = data.get(KEY)
    before = () if carried is None else FeedbackRecord.model_validate_json(carried).responses
    return _Task(data, names, len(fields) == 1, tuple(response.marked for response in before))


def _count_all(live: list[dict[str, Any]], reading: Reading) -> None:
    """Counts what people said of a task that holds no text, an image for example."""
    for annotation in live:
        for region in _regions_of(annotation):
            reading.lost(region["type"])


def _regions_of(annotation: dict[str, Any]) -> list[dict[str, Any]]:
    if "result" not in annotation:
        raise FieldError("annotations.result", "is missing, so what was marked is not known; export the task again.")
    return annotation["result"]


def _targets(region: dict[str, Any]) -> list[str]:
    return str(region.get("to_name", "")).split(",")


def _said(annotation: dict[str, Any], task: _Task, reading: Reading) -> _Said:
    """Reads every region of an annotation or counts it by its type.

    Without a region a response is clean only where the annotation says that it was not cancelled, and nothing of it was
    left unread: a response of ours that had been marked before, or the only text of a task that nobody marked at all.
    """
    result = _regions_of(annotation)
    unread = Counter[str]()
    said = _Said()
    comments = _comments(result)
    marks: dict[int, list[_Region]] = {}
    corrections: dict[int, str] = {}
    for region in result:
        position = _position(region, task)
        if (preference := _preference(region, task.names)) is not None:
            said.preferences.append(preference)
        elif position is not None and (mark := _region(region, task, position, comments, reading)) is not None:
            marks.setdefault(position, []).append(mark)
        elif position is not None and _corrects(region):
            corrections[position] = "".join(region["value"]["text"])
        elif not _is_comment(region):
            unread[region["type"]] += 1
    marked = {mark.id for regions in marks.values() for mark in regions}
    unread["comments"] += len(comments.keys() - marked)
    finished = annotation.get("was_cancelled") is False and not +unread
    for position in range(len(task.names)):
        looked = finished and (task.before[position] if task.before else task.alone and not result)
        spans = _spans(marks.get(position, [])) if looked or position in marks else None
        said.answers[position] = replace(spans or Answer(), correction=corrections.get(position))
    says_nothing = not result and not any(task.before) and not (finished and task.alone)
    unread["annotations without a region"] += says_nothing
    reading.unread.update(+unread)
    return said


def _spans(regions: list[_Region]) -> Answer:
    labelled = [(region, label) for region in regions for label in region.labels]
    return Answer(
        spans=tuple((*region.place, label) for region, label in labelled),
        quotes=tuple(region.quote for region, _ in labelled),
        notes=tuple(region.note for region, _ in labelled),
    )


def _position(region: dict[str, Any], task: _Task) -> int | None:
    """Which response a region lies on; a name that no field has is that of a tag, which shows the only response."""
    (name, *others) = _targets(region)
    if name in task.names and not others:
        return task.names.index(name)
    return 0 if len(task.names) == 1 and name not in task.data and not others else None


def _region(
    region: dict[str, Any], task: _Task, position: int, comments: dict[str, str], reading: Reading
) -> _Region | None:
    """A region with labels and a place; one of hypertext has its place where its words are found there."""
    kind = region["type"]
    if kind not in ("labels", "hypertextlabels"):
        return None
    value: dict[str, Any] = region["value"]
    labels = [str(label) for label in value[kind]]
    quote: str | None = value.get("text")
    borders: dict[str, Any] = value if type(value.get("start")) is int else value.get("globalOffsets") or {}
    if not labels or not borders:
        return None
    place = borders["start"], borders["end"]
    if kind == "hypertextlabels" and not _fits(task.data[task.names[position]], place, quote, reading):
        return None
    name = str(region.get("id", ""))
    return _Region(name, place, quote, labels, comments.get(name, ""))


def _fits(text: str, place: tuple[int, int], quote: str | None, reading: Reading) -> bool:
    try:
        return quote is not None and bool(code_points(text, [place], reading.unit, [quote]))
    except FieldError:
        return False


def _preference(region: dict[str, Any], names: list[str]) -> Preference | None:
    """Which of two responses somebody chose."""
    targets = _targets(region)
    if region["type"] != "pairwise" or len(targets) != 2 or not set(targets) <= set(names):
        return None
    winner = {"left": "first", "right": "second"}.get(region["value"]["selected"])
    first, second = map(names.index, targets)
    return None if winner is None else Preference.model_validate({"first": first, "second": second, "winner": winner})


def _is_comment(region: dict[str, Any]) -> bool:
    """Whether a text area belongs to a region, whose id and borders it then has."""
    return region["type"] == "textarea" and ("start" in region["value"] or "globalOffsets" in region["value"])


def _corrects(region: dict[str, Any]) -> bool:
    """Whether a text area holds the whole answer rewritten; other text areas may hold anything."""
    named = str(region.get("from_name", "")).startswith("correction")
    return region["type"] == "textarea" and named and not _is_comment(region)


def _comments(result: list[dict[str, Any]]) -> dict[str, str]:
    """What people wrote about regions, by the id of the region."""
    comments: dict[str, list[str]] = {}
    for number, region in enumerate(result):
        texts = region["value"]["text"] if _is_comment(region) else (region.get("meta") or {}).get("text")
        if texts:
            comments.setdefault(str(region.get("id", number)), []).append("\n".join(texts))
    return {name: "\n".join(texts) for name, texts in comments.items()}
