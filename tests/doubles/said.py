"""How much people say in a file, counted from the file alone, and how much of it a record holds.

Read, refused and counted must add up to all: for every reader, whatever was removed from a file or added to it.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from spanwise.feedback import FeedbackRecord

Count = Callable[[Any], int]


def _listed(value: Any, *keys: str) -> int:
    return sum(len(value.get(key) or ()) for key in keys)


def _spans(record: FeedbackRecord) -> int:
    return sum(len(response.spans) for response in record.responses)


def _answers(record: FeedbackRecord) -> int:
    return len(record.responses)


def _ratings(record: FeedbackRecord) -> int:
    return sum(len(response.ratings) for response in record.responses)


def _judged(record: FeedbackRecord) -> int:
    """Marks, corrections and preferences."""
    return _spans(record) + sum(r.correction is not None for r in record.responses) + len(record.preferences)


def _one(_: Any) -> int:
    return 1


def _dialogue(row: Any) -> int:
    """A pair, or an answer; and whether one was called good."""
    return 1 + (row.get("kto_tag") is not None)


def _instruction(row: Any) -> int:
    return _dialogue(row) + ({"chosen", "rejected"} <= set(row) and bool(row.get("output")))


def _in_dialogue(record: FeedbackRecord) -> int:
    return 1 + _ratings(record)


def _numbers(row: Any, names: Iterable[str]) -> int:
    return sum(isinstance(row.get(name), int | float) for name in names)


def _helpful(row: Any) -> int:
    if {"response1", "response2"} <= set(row) or {"response_1", "response_2"} <= set(row):
        return 1
    if {"original_response", "edited_response"} <= set(row):
        return 1
    if {"good_edited_response", "bad_edited_response"} <= set(row):
        return 1 + ("original_response" in row)
    if {"principle", "fulfilment"} <= set(row):
        return 1
    return _numbers(row, ("helpfulness", "correctness", "coherence", "complexity", "verbosity"))


def _in_helpful(record: FeedbackRecord) -> int:
    return _judged(record) + _ratings(record)


def _steps(row: Any) -> int:
    """Every step that was shown, and those that people wrote."""
    steps = row["label"]["steps"]
    return sum(_listed(step, "completions") + bool(step.get("human_completion")) for step in steps)


def _in_steps(record: FeedbackRecord) -> int:
    """The steps that led on are in the first response, each other one ends a response of its own."""
    places = record.provenance["steps"]
    shared = {tuple(map(tuple, steps[:-1])) for steps in places}
    first = places[0] if len(places[0]) == max(map(len, places)) and shared else []
    return len(first) + len(places) - bool(first)


def _by_stepwise(record: FeedbackRecord) -> int:
    return sum(map(len, record.provenance["steps"])) if record.responses[0].marked else 0


def _felm(record: FeedbackRecord) -> int:
    return _spans(record)


def _halueval(row: Any) -> int:
    quotes = len(row.get("hallucination_spans") or ())
    return (quotes or int(row["hallucination"] == "yes")) if "hallucination" in row else 1


def _label_studio(value: Any) -> int:
    return sum(len(annotation["result"]) for annotation in value.get("annotations", []))


def _responses(value: Any) -> int:
    return sum(map(len, value.get("responses", {}).values()))


def _argilla(record: FeedbackRecord) -> int:
    return sum(r.marked for r in record.responses) + sum(r.correction is not None for r in record.responses)


def _json_min(row: Any) -> int:
    return sum(len(region.get("labels", [])) for region in row.get("label") or []) + ("correction" in row)


def _structures(value: Any) -> int:
    own = ("segmentation.type.Token", "Sofa")
    listed = [one for one in value["%FEATURE_STRUCTURES"] if {"%TYPE", "@sofa", "begin", "end"} <= set(one)]
    ends = [len({"@Governor", "@Dependent"} & set(one)) % 2 for one in listed]
    return sum(not one["%TYPE"].endswith(own) for one in listed) + sum(ends)


SAID: dict[str, tuple[Count, Count]] = {
    "label-studio": (_label_studio, _judged),
    "doccano": (lambda row: _listed(row, "label", "labels", "entities", "annotations", "relations"), _judged),
    "thresh": (lambda row: _listed(row, "edits"), _judged),
    "argilla": (_responses, _argilla),
    "trl-completion": (_one, _answers),
    "trl-preference": (_one, _judged),
    "trl-unpaired": (_one, _ratings),
    "trl-stepwise": (lambda row: _listed(row, "labels"), _by_stepwise),
    "hh-rlhf": (_one, _judged),
    "sharegpt": (_dialogue, _in_dialogue),
    "alpaca": (_instruction, _in_dialogue),
    "ultrafeedback": (lambda row: _listed(row, "completions"), _answers),
    "helpsteer": (_helpful, _in_helpful),
    "prm800k": (_steps, _in_steps),
    "math-shepherd": (lambda row: row["input"].count("\u043a\u0438"), _by_stepwise),
    "ragtruth": (lambda row: _listed(row, "labels"), _spans),
    "felm": (lambda row: row["labels"].count(False) + row["labels"].count(None), _felm),
    "halueval": (_halueval, _judged),
    "mt-bench": (_one, lambda record: len(record.preferences) + _ratings(record)),
    "prodigy": (lambda row: 1 if row.get("answer") in ("reject", "ignore") else _listed(row, "spans"), _spans),
    "uima-cas": (_structures, _spans),
}
"""By format: what a value says, and what of it a record holds; what is counted as unread is the rest."""


def _rows(text: str) -> int:
    return len(text.rstrip("\n").split("\n")) - 1


def _webanno(text: str) -> int:
    """Cells with something in them, those of one number in one layer once; slots and targets are not in the sample."""
    seen = set[str]()
    for number, line in enumerate(text.split("\n")):
        cells = line.split("\t")[3:]
        for column in (0, 1, 3):
            for value in cells[column].split("|") if len(cells) > column and cells[column] != "_" else ():
                found = re.search(r"\[\d+\]$", value)
                seen.add(f"{column} {found[0] if found else f'{number} {value}'}")
    return len(seen)


TEXTS: dict[str, tuple[Callable[[str], int], Count]] = {
    "mqm": (_rows, lambda record: _spans(record) or int(record.responses[0].marked)),
    "m2": (lambda text: len(re.findall(r"^A (\d+) (?!\1)\d+", text, re.MULTILINE)), _spans),
    "inline": (lambda text: len(re.findall(r"\{==|\{>>(?<!==\}\{>>)", text)), _spans),
    "webanno": (_webanno, _spans),
}
"""The same of files that hold no JSON."""
