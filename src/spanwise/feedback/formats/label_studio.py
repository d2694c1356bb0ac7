"""Label Studio: tasks with annotations as its JSON export and import hold them, and a labeling config beside them.

Regions carry their words, so that offsets can be tried as code points and as UTF-16 units, and are believed only where
the words are found. What regions cannot say travels in the task's data.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from spanwise.core import write_text
from spanwise.feedback.formats.carried import KEY, Answer, Foreign, packed, unpacked
from spanwise.feedback.formats.contract import Outcome, Unit, Written
from spanwise.feedback.formats.json_values import converted
from spanwise.feedback.problems import FieldError, Place
from spanwise.feedback.schema import FeedbackRecord, Response

_PROMPTS = ("prompt", "question", "instruction")
_NO_RESPONSES = (*_PROMPTS, "passages", "context", KEY, "id")


def read(path: Path, unit: Unit) -> Iterator[Outcome[FeedbackRecord]]:
    """One record per annotation; one without feedback per task that has none. Cancelled ones are reported."""
    return converted(path, _records, unit)


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
    annotation = {"completed_by": record.annotator, "was_cancelled": False, "result": regions}
    annotated = any(r.marked or r.correction is not None for r in record.responses)
    data = {"id": record.id, "prompt": record.prompt, "passages": passages, **texts, KEY: packed(record)}
    return {"data": data, "annotations": [annotation] if annotated else [], "predictions": []}


def _regions(key: str, response: Response) -> Iterator[dict[str, Any]]:
    for number, mark in enumerate(response.spans):
        value = {"start": mark.start, "end": mark.end, "text": mark.quote, "labels": [mark.category]}
        yield {"id": f"{key}-{number}", "from_name": f"spans_{key}", "to_name": key, "type": "labels", "value": value}
    if response.correction is not None:
        value = {"text": [response.correction]}
        yield {"id": f"{key}-c", "from_name": f"correction_{key}", "to_name": key, "type": "textarea", "value": value}


def _records(value: Any, place: Place, unit: Unit) -> Iterator[FeedbackRecord]:
    data: dict[str, Any] = value["data"]
    annotations: list[dict[str, Any]] = value.get("annotations", value.get("completions")) or []
    live = [a for a in annotations if not a.get("was_cancelled") and not a.get("skipped")]
    if annotations and not live:
        raise FieldError("annotations", "were all cancelled there, so they say nothing; leave the task out.")
    fields = [name for name, text in data.items() if isinstance(text, str) and name not in _NO_RESPONSES]
    names = [name for name in fields if name[:1] == "r" and name[1:].isdigit()] or _spoken_of(live, fields)
    name = str(data.get("id") or value.get("id") or f"{place.line}-{place.item}")
    for annotation in live or [dict[str, Any]()]:
        who = annotation.get("completed_by")
        who = who.get("email") or who.get("id") if isinstance(who, dict) else who
        yield unpacked(
            Foreign(
                id=name,
                prompt=next((str(data[key]) for key in _PROMPTS if key in data), ""),
                responses=tuple(data[field] for field in names),
                answers=_answers(annotation, names, _marked_before(data.get(KEY))) if annotation else {},
                annotator=None if who is None else str(who),
                among_several=str(who) if len(live) > 1 else None,
                provenance={"format": "label-studio"},
                carried=data.get(KEY),
            ),
            unit,
        )


def _spoken_of(annotations: list[dict[str, Any]], fields: list[str]) -> list[str]:
    """The fields that regions belong to; the first text where their names do not tell."""
    named = {region.get("to_name") for annotation in annotations for region in annotation.get("result", [])}
    text_fields = [name for name in fields if name in named] or fields[:1]
    if not text_fields:
        raise FieldError("data", "holds no text; name a field text.")
    return text_fields


def _marked_before(carried: str | None) -> tuple[bool, ...]:
    """Which responses had been marked when the task was written."""
    return () if carried is None else tuple(r.marked for r in FeedbackRecord.model_validate_json(carried).responses)


def _answers(annotation: dict[str, Any], names: list[str], before: tuple[bool, ...]) -> dict[int, Answer]:
    """No region on the only text says that it has no errors; on one of several it says nothing."""
    answers: dict[int, Answer] = {}
    for k, name in enumerate(names):
        regions = [r for r in annotation.get("result", []) if len(names) == 1 or r.get("to_name") == name]
        labels = [(r["value"], label) for r in regions if r["type"] == "labels" for label in r["value"]["labels"]]
        written = [r["value"]["text"] for r in regions if r["type"] == "textarea"]
        asked = bool(labels) or (before[k] if before else len(names) == 1)
        answers[k] = Answer(
            spans=tuple((value["start"], value["end"], str(label)) for value, label in labels) if asked else None,
            quotes=tuple(value["text"] for value, _ in labels) if all("text" in value for value, _ in labels) else None,
            correction="".join(written[-1]) if written else None,
        )
    return answers
