"""Damaged records of every format: no traceback, no good record lost beside them, no clean answer made of them."""

import csv
import functools
import gzip
import io
import json
import os
import random
from collections import Counter
from pathlib import Path

import pytest
from doubles import foreign
from doubles.feedback import small_item, small_record
from doubles.mutations import Mutator, attempt, dumped, told

from spanwise.core import SpanwiseError
from spanwise.feedback import FeedbackRecord, Preference, Response, edit_pair, mark
from spanwise.feedback.formats import names_of_formats, read_feedback, write_feedback

pytestmark = pytest.mark.slow
SHARED = Path(__file__).parents[2] / ".." / "shared"
INPUTS, TABLES = 88_000, 4_000
"""Of all formats that hold JSON together, and of those that are tables or texts."""
FIRST = random.randrange(10**9) if os.environ.get("SPANWISE_TEST_EXAMPLES") == "exploring" else 0
"""The first seed: another one each time that new examples are wanted."""
LISTS = ("qa-feedback", "label-studio", "argilla", "thresh")
TEXT = "The dam of Lund was closed in 1931 for a year."
RECORDS = (
    small_record(),
    FeedbackRecord(id="u", prompt="Where?", responses=(Response(text="In Lund."), Response(text="No."))),
    FeedbackRecord(
        id="m", prompt="我😀?", responses=(Response(text=TEXT, marked=True, spans=(mark(TEXT, 30, 34, "Wrong"),)),)
    ),
    FeedbackRecord(id="c", prompt="?", responses=(Response(text="我喜欢苹果。", correction="我喜欢香蕉。"),)),
    FeedbackRecord(
        id="p", prompt="?", responses=(Response(text="a"), Response(text="b")),
        preferences=(Preference(first=0, second=1, winner="second"),),
    ),
)  # fmt: skip
REGIONS = [
    {"id": "a", "from_name": "l", "to_name": "text", "type": "labels",
     "value": {"start": 30, "end": 34, "text": "1931", "labels": ["Wrong"]}},
    {"id": "b", "from_name": "l", "to_name": "text", "type": "hypertextlabels",
     "value": {"globalOffsets": {"start": 4, "end": 7}, "text": "dam", "hypertextlabels": ["x"]}},
    {"id": "c", "from_name": "q", "to_name": "text", "type": "choices", "value": {"choices": ["Bad"]}},
    {"id": "d", "from_name": "correction", "to_name": "text", "type": "textarea", "value": {"text": ["Better."]}},
    {"id": "a", "from_name": "n", "to_name": "text", "type": "textarea",
     "value": {"start": 30, "end": 34, "text": ["?"]}},
]  # fmt: skip
OWN = {
    "label-studio": [
        {"id": 1, "data": {"text": TEXT}, "annotations": [
            {"completed_by": 1, "was_cancelled": False, "result": REGIONS}]},
        {"id": 2, "data": {"text": TEXT}, "annotations": [{"completed_by": 1, "was_cancelled": False, "result": []}]},
        {"id": 3, "data": {"prompt": "?", "a": "x", "b": "y"}, "annotations": [{"completed_by": 1, "result": [
            {"id": "p", "from_name": "p", "to_name": "a,b", "type": "pairwise", "value": {"selected": "left"}}]}]},
    ],
    "doccano": [
        {"id": 1, "text": TEXT, "label": [[30, 34, "Wrong"]]},
        {"id": 2, "text": TEXT, "entities": [{"label": "x", "start_offset": 4, "end_offset": 7}], "relations": [{}]},
        {"id": 3, "text": TEXT, "annotations": [{"label": 7, "start_offset": 30, "end_offset": 34, "user": 1}]},
        {"id": 4, "text": TEXT, "label": ["negative"]},
    ],
    "thresh": [
        {"context": "When?", "source": "s", "target": TEXT, "edits": [
            {"category": "x", "output_idx": [[30, 34]]}, {"category": "y", "annotation": None}]},
        {"source": "a b c", "target": "a d c", "edits": [{"category": "substitution", "output_idx": [[2, 3]]}]},
    ],
    "argilla": [
        {"id": "q", "fields": {"prompt": "?", "response": TEXT}, "metadata": {}, "responses": {
            "spans_response": [
                {"value": [{"start": 30, "end": 34, "label": "x"}], "user_id": "u", "status": "submitted"}],
            "correction_response": [{"value": TEXT.replace("1931", "1932"), "user_id": "u"}],
            "stars": [{"value": 4, "user_id": "v"}]}},
    ],
    "trl-preference": [
        {"prompt": "?", "chosen": "a b", "rejected": "a"},
        {"chosen": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "a"}],
         "rejected": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "b"}]},
        {"chosen": "\n\nHuman: ?\n\nAssistant: a", "rejected": "\n\nHuman: ?\n\nAssistant: b"},
    ],
    "pairs": [edit_pair(TEXT, TEXT.replace("1931", "1932"), id="e").model_dump(mode="json")],
    "qa-feedback": [small_item()],
    "spanwise": [record.model_dump(mode="json") for record in RECORDS],
    **foreign.ROWS,
}  # fmt: skip
REAL = {
    "qa-feedback": "data/qa_feedback/dev_feedback.json.gz",
    "label-studio": "cases/ls_hypertextlabels.json",
    "argilla": "cases/argilla_ranking_rating.json",
    "thresh": "cases/thresh_errors_without_place.json",
}


@functools.cache
def seeds(form, folder):
    """Values of a format: written by hand, by our writer, and real ones where they are at hand."""
    values = list(OWN[form])
    if form in names_of_formats("written") and form not in ("pairs", "qa-feedback", "spanwise"):
        write_feedback(folder / "written", form, RECORDS)
        text = (folder / "written").read_text()
        values += json.loads(text) if text.startswith("[") else map(json.loads, text.splitlines())
    path = SHARED / REAL.get(form, "absent")
    if path.is_file():
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        values += json.loads(content)[:20]
    return tuple(values)


def finished(form, value):
    """How many answers the source says that a person finished without a mark; more clean ones are invented."""
    if form in ("spanwise", "toxic-spans"):
        return dumped(value).count('"marked": true')
    if form == "label-studio":
        listed = value.get("annotations", value.get("completions")) if isinstance(value, dict) else None
        carried = dumped(value).count('\\"marked\\":true')
        return carried + sum(
            isinstance(a, dict) and a.get("was_cancelled") is False
            for a in (listed if isinstance(listed, list) else ())
        )
    if form == "argilla":
        spans = value.get("responses") if isinstance(value, dict) else None
        carried = dumped(value).count('\\"marked\\":true')
        return carried + dumped(spans).count('"user_id"') if spans else carried
    if form == "qa-feedback":
        return 1
    if form in foreign.FINISHED:
        return foreign.finished(form, value) + dumped(value).count('\\"marked\\":true')
    return dumped(value).count('\\"marked\\":true')


def plain(record):
    return record.model_dump_json(exclude={"id", "provenance", "annotator"})


def clean(records):
    """How many answers count as looked at and without an error or a gap."""
    responses = [response for record in records for response in record.responses]
    return sum(r.marked and not r.spans and not r.missing for r in responses)


class Case:
    """One format: its file, its values, and what each of them holds when nothing is wrong."""

    def __init__(self, form, folder):
        self.form, self.path, self.as_list = form, folder / "file", form in LISTS
        self.values = seeds(form, folder)
        self.figures = Counter(inputs=0, refused=0, read=0, lost=0, invented=0)
        self.alone = [[plain(record) for record in self.read([value]).records] for value in self.values]
        self.good = [index for index, records in enumerate(self.alone) if records]

    def content(self, rows):
        return (dumped(rows) if self.as_list else "".join(f"{dumped(row)}\n" for row in rows)).encode()

    def read(self, rows, place="", damage=lambda content: content):
        """What was read, or the sentence with which the whole file was refused."""
        self.path.write_bytes(damage(self.content(rows)))
        found = attempt(place, lambda: read_feedback(self.path, self.form))
        assert not isinstance(found, SpanwiseError) or "\n" not in str(found).strip(), (place, found)
        return found

    def try_value(self, seed):
        """A damaged value by itself, or between two good ones."""
        mutator = Mutator(seed)
        damaged = mutator.value(mutator.random.choice(self.values))
        first, last = mutator.random.choice(self.good), mutator.random.choice(self.good)
        rows = [self.values[first], damaged, self.values[last]] if seed % 2 else [damaged]
        place = f"{self.form} seed {seed}: {dumped(damaged)[:2000]}"
        result = self.read(rows, place)
        self.count(result)
        if isinstance(result, SpanwiseError):
            assert len(rows) == 1, f"{place}: good records were refused with it"
            return
        if clean(result.records) > sum(finished(self.form, row) for row in rows):
            self.figures["invented"] += 1
            pytest.fail(f"{place}: became a clean answer")
        known = {problem.place.item if self.as_list else problem.line - 1 for problem in result.problems}
        held = Counter(map(plain, result.records))
        for position, source in ((0, first), (2, last)) if len(rows) == 3 else ():
            if Counter(self.alone[source]) - held and position not in known:
                self.figures["lost"] += 1
                pytest.fail(f"{place}: a good record beside it is lost")

    def try_bytes(self, seed):
        """A good value with bytes that are damaged."""
        mutator = Mutator(seed)
        value = mutator.random.choice(self.values)
        self.count(self.read([value], f"{self.form} seed {seed}: bytes of {dumped(value)[:500]}", mutator.raw))

    def count(self, result):
        self.figures["inputs"] += 1
        self.figures["refused" if isinstance(result, SpanwiseError) or not result.records else "read"] += 1


@pytest.mark.parametrize("form", OWN)
def test_damaged_values(form, tmp_path, capsys):
    case = Case(form, tmp_path)
    for seed in range(FIRST, FIRST + INPUTS // len(OWN)):
        if seed % 5 == 4:
            case.try_bytes(seed)
        else:
            case.try_value(seed)
    with capsys.disabled():
        told(f"{form} from {FIRST}", case.figures)


def test_damaged_rows_of_a_table(tmp_path, capsys):
    rows = [("[4, 5, 6]", "The mill."), ("[]", "In Lund."), ("[0, 1]", 'A "b", c.\nd')]
    path = tmp_path / "file"
    figures = Counter(inputs=0, refused=0)
    for seed in range(FIRST, FIRST + TABLES):
        mutator = Mutator(seed)
        row = list(mutator.random.choice(rows))
        at = mutator.random.randrange(2)
        row[at] = mutator.text(row[at])
        buffer = io.StringIO(newline="")
        csv.writer(buffer).writerows([("spans", "text"), rows[0], row, rows[0]])
        content = buffer.getvalue().encode(errors="surrogatepass")
        path.write_bytes(mutator.raw(content) if seed % 3 == 2 else content)
        result = attempt(f"seed {seed}: {row}", lambda: read_feedback(path, "toxic-spans"))
        figures["inputs"] += 1
        figures["refused"] += isinstance(result, SpanwiseError)
        if not isinstance(result, SpanwiseError) and seed % 3 != 2:
            assert sum(record.responses[0].text == "The mill." for record in result.records) >= 2, (seed, row)
    with capsys.disabled():
        told(f"toxic-spans from {FIRST}", figures)


@pytest.mark.parametrize("form", foreign.TEXTS)
def test_damaged_texts(form, tmp_path, capsys):
    """Lines are dropped, doubled, cut and changed: no traceback, and no clean answer that no line says."""
    lines = foreign.TEXTS[form].splitlines()
    figures = Counter(inputs=0, refused=0, invented=0)
    for seed in range(FIRST, FIRST + TABLES // len(foreign.TEXTS)):
        mutator = Mutator(seed)
        rows = list(lines)
        at = mutator.random.randrange(len(rows))
        rows[at : at + 1] = mutator.random.choice(([], [rows[at]] * 2, [mutator.text(rows[at])]))
        content = ("\n".join(rows) + "\n").encode(errors="surrogatepass")
        (tmp_path / "f").write_bytes(mutator.raw(content) if seed % 3 == 2 else content)
        result = attempt(f"seed {seed}: {rows}", lambda: read_feedback(tmp_path / "f", form))
        figures["inputs"] += 1
        figures["refused"] += isinstance(result, SpanwiseError)
        if not isinstance(result, SpanwiseError) and seed % 3 != 2 and form != "haluquestqa":
            said = sum("no-error" in row.lower() or "noop" in row for row in rows)
            figures["invented"] += max(0, clean(result.records) - said)
    assert not figures["invented"]
    with capsys.disabled():
        told(f"{form} from {FIRST}", figures)


@pytest.mark.parametrize("form", [*foreign.DOCUMENTS, *foreign.FOLDERS])
def test_damaged_documents(form, tmp_path, capsys):
    """One file of a document or a folder is damaged: no traceback, nothing clean, and the other files are read."""
    path = foreign.written(form, tmp_path)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    good = len(read_feedback(path, form).records)
    figures = Counter(inputs=0, refused=0, invented=0)
    for seed in range(FIRST, FIRST + TABLES // 8):
        mutator = Mutator(seed)
        file = mutator.random.choice(files)
        before = file.read_bytes()
        if seed % 3 == 0 and file.suffix in (".json", f".{form}"):
            file.write_text(dumped(mutator.value(json.loads(before))), errors="surrogatepass")
        else:
            text = mutator.text(before.decode()).encode(errors="surrogatepass")
            file.write_bytes(mutator.raw(before) if seed % 2 else text)
        result = attempt(f"seed {seed}: {file.name}: {file.read_bytes()[:2000]}", lambda: read_feedback(path, form))
        file.write_bytes(before)
        figures["inputs"] += 1
        figures["refused"] += isinstance(result, SpanwiseError)
        if not isinstance(result, SpanwiseError):
            figures["invented"] += clean(result.records)
    assert len(read_feedback(path, form).records) == good
    assert not figures["invented"]
    with capsys.disabled():
        told(f"{form} from {FIRST}", figures)
