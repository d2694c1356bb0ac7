"""No reader turns what it did not read, or what nobody judged, into an answer that was checked and has no errors."""

import copy
import json

import pytest
from doubles import foreign, said
from doubles.feedback import small_item, small_record
from typer.testing import CliRunner

from spanwise.cli import app
from spanwise.core import DataError
from spanwise.feedback.edits import edit_pair
from spanwise.feedback.formats.offsets import code_points
from spanwise.feedback.formats.registry import load_feedback, names_of_formats, read_feedback, write_feedback
from spanwise.feedback.problems import FieldError
from spanwise.feedback.schema import FeedbackRecord, Preference, Response, mark

TEXT = "The dam of Lund was closed in 1931 for a year."


def read(folder, form, *values):
    path = folder / "file"
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return read_feedback(path, form)


def task(*regions, data=None, **more):
    annotation = {"completed_by": 1, "was_cancelled": False, "result": list(regions)} | more
    return {"id": 1, "data": data or {"text": TEXT}, "annotations": [annotation]}


def region(kind, to_name="text", name="r", **value):
    return {"id": name, "from_name": kind, "to_name": to_name, "type": kind, "value": value}


def label(quote="1931", **more):
    start = TEXT.index(quote)
    return region("labels", start=start, end=start + len(quote), text=quote, labels=["Wrong"]) | more


def line(*labels, **more):
    return {"id": 1, "text": TEXT, "label": list(labels)} | more


def entry(*edits, **more):
    return {"context": "When?", "source": "src", "target": TEXT, "edits": list(edits)} | more


def questions(fields=None, **answers):
    given = {name: [{"value": value, "user_id": "u"}] for name, value in answers.items()}
    return {"id": "q", "fields": fields or {"prompt": "?", "response": TEXT}, "metadata": {}, "responses": given}


PLACELESS = {"category": "Omitted", "annotation": None}


@pytest.mark.parametrize(("form", "value", "unread"), [
    ("label-studio", task(region("choices", choices=["Bad"])), {"choices": 1}),
    ("label-studio", task(region("taxonomy", taxonomy=[["a"]])), {"taxonomy": 1}),
    ("label-studio", task(region("hypertextlabels", hypertextlabels=["x"], text="1931")), {"hypertextlabels": 1}),
    ("label-studio", task(region("hypertextlabels", hypertextlabels=["x"], text="1932",
                                 globalOffsets={"start": 30, "end": 34})), {"hypertextlabels": 1}),
    ("label-studio", task(region("textarea", text=["too long"])), {"textarea": 1}),
    ("label-studio", task(region("textarea", start=0, end=3, text=["why?"])), {"comments": 1}),
    ("label-studio", task(region("pairwise", "a,b", selected="left")), {"pairwise": 1}),
    ("label-studio", task(region("labels", start=0, end=3, text="The", labels=[])), {"labels": 1}),
    ("label-studio", task(label(to_name="prompt"), data={"prompt": TEXT, "text": TEXT}), {"labels": 1}),
    ("label-studio", task(data={"answer1": TEXT, "answer2": TEXT}), {"annotations without a region": 1}),
    ("label-studio", task(was_cancelled=None), {"annotations without a region": 1}),
    ("doccano", line(), {}),
    ("doccano", line("negative", "The dam"), {"labels without a place": 2}),
    ("doccano", {"text": TEXT, "annotations": [{"label": 3, "user": 1}]}, {"labels without a place": 1}),
    ("doccano", line(relations=[{"id": 1}], Comments=["hm"]), {"relations": 1, "comments": 1}),
    ("thresh", entry(PLACELESS, PLACELESS), {"errors without a place": 2}),
    ("thresh", entry({"category": "x", "output_idx": [[3, 3]]}), {"errors without a place": 1}),
    ("thresh", entry(), {}),
    ("argilla", questions(topics=[]), {"answers to topics": 1}),
    ("argilla", questions(stars=4, ranking=["b", "a"]), {"answers to stars": 1, "answers to ranking": 1}),
    ("argilla", questions(correct="yes", correction="no"), {"answers to correct": 1, "answers to correction": 1}),
])  # fmt: skip
def test_what_is_not_read_is_counted_and_makes_no_answer_clean(form, value, unread, tmp_path):
    result = read(tmp_path, form, value)
    assert (result.unread, result.problems) == (unread, [])
    assert not any(response.marked for record in result.records for response in record.responses)


def test_tasks_without_a_text_are_counted_and_become_no_record(tmp_path):
    value = task(region("rectanglelabels", "image", x=1), data={"image": "https://example.org/b.png"})
    result = read(tmp_path, "label-studio", value)
    assert (result.records, result.problems, result.unread) == ([], [], {"rectanglelabels": 1})


def test_a_submitted_annotation_without_regions_is_clean_and_a_draft_of_argilla_is_not(tmp_path):
    (record,) = read(tmp_path, "label-studio", task()).records
    assert (record.responses[0].marked, record.responses[0].spans) == (True, ())
    value = questions(spans_response=[])
    (record,) = read(tmp_path, "argilla", value).records
    assert record.responses[0].marked
    value["responses"]["spans_response"][0]["status"] = "draft"
    result = read(tmp_path, "argilla", value)
    assert (result.records[0].responses[0].marked, result.unread) == (False, {"drafts of spans_response": 1})


def test_two_annotations_of_one_person_are_two_records(tmp_path):
    value = task(label())
    value["annotations"].append({"completed_by": 1, "was_cancelled": False, "result": [label("dam")]})
    result = read(tmp_path, "label-studio", value)
    assert [record.id for record in result.records] == ["1#1", "1#1/2"]
    assert [record.responses[0].spans[0].quote for record in result.records] == ["1931", "dam"]
    assert {record.annotator for record in result.records} == {"1"}
    assert (result.problems, result.unread) == ([], {})


def test_hypertext_is_read_where_its_words_are(tmp_path):
    offsets = {"start": 30, "end": 34}
    labels = {"hypertextlabels": ["x"], "text": "1931", "start": "/text()[1]", "globalOffsets": offsets}
    (record,) = read(tmp_path, "label-studio", task(region("hypertextlabels", **labels))).records
    assert [span.quote for span in record.responses[0].spans] == ["1931"]


def test_a_choice_between_two_answers_is_a_preference(tmp_path):
    data = {"prompt": "Where?", "first_one": "In Lund.", "second_one": "In Rome."}
    value = task(region("pairwise", "first_one,second_one", selected="right"), data=data)
    result = read(tmp_path, "label-studio", value)
    (record,) = result.records
    assert [(response.text, response.marked) for response in record.responses] == [
        ("In Lund.", False), ("In Rome.", False),
    ]  # fmt: skip
    assert (record.preferences, result.unread) == ((Preference(first=0, second=1, winner="second"),), {})


def test_the_short_export_of_label_studio_is_named(tmp_path):
    (problem,) = read(tmp_path, "label-studio", {"id": 1, "text": TEXT, "label": []}).problems
    assert "JSON-MIN; export the full JSON" in problem.reason


def test_text_areas_are_corrections_by_name_and_notes_by_region(tmp_path):
    whole = region("textarea", text=["Better."]) | {"from_name": "correction"}
    note = region("textarea", start=30, end=34, text=["No, 1932."])
    (record,) = read(tmp_path, "label-studio", task(label(), whole, note)).records
    (response,) = record.responses
    assert (response.correction, [span.note for span in response.spans]) == ("Better.", ["No, 1932."])


def test_older_lines_of_doccano_are_read_and_only_rewritten_texts_are_corrections(tmp_path):
    older = {"text": TEXT, "annotations": [{"label": 7, "start_offset": 30, "end_offset": 34, "user": 1}]}
    changed = TEXT.replace("1931", "1932")
    records = read(tmp_path, "doccano", older | {"id": 1}, line(changed, id=2)).records
    assert [(span.quote, span.category) for span in records[0].responses[0].spans] == [("1931", "7")]
    assert (records[1].responses[0].correction, records[1].responses[0].marked) == (changed, False)


@pytest.mark.parametrize("form", ["spanwise", "argilla", "label-studio", "doccano", "thresh"])
def test_unmarked_answers_come_back_unmarked(form, tmp_path):
    span = mark("In Lund.", 3, 7, "Wrong")
    cases = {
        "unmarked": (Response(text="In Lund."), Response(text="No.")),
        "second": (Response(text="No."), Response(text="In Lund.", marked=True, spans=(span,))),
        "corrected": (Response(text="In Lund.", correction="In Rome."),),
        "both": (Response(text="In Lund.", marked=True, spans=(span,), correction="In Rome."),),
        "clean": (Response(text="In Lund.", marked=True, correction="In Rome."),),
        "emptied": (Response(text="In Lund.", marked=True, correction=""),),
    }
    records = [FeedbackRecord(id=name, prompt="?", responses=responses) for name, responses in cases.items()]
    write_feedback(tmp_path / "f", form, records)
    result = read_feedback(tmp_path / "f", form)
    assert (result.records, result.problems, result.unread) == (records, [], {})


def test_offsets_are_of_the_tools_unit_and_doubt_is_refused(tmp_path):
    text = "我😀喜欢喝热的绿茶和咖啡"
    (record,) = read(tmp_path, "doccano", {"text": text, "label": [[8, 10, "T"]]}).records
    assert [span.quote for span in record.responses[0].spans] == ["绿茶"]
    result = read(tmp_path, "thresh", entry({"category": "T", "output_idx": [[8, 10]]}, target=text))
    assert "--offsets code-points, utf-16 or graphemes" in result.problems[0].reason
    assert code_points(text, [(8, 10)], "code-points") == [(8, 10)]
    assert code_points(text, [(8, 10)], "auto", ["茶和"]) == [(8, 10)]
    assert code_points("👨‍👩‍👧 ab", [(2, 4)], "graphemes") == [(6, 8)]
    with pytest.raises(FieldError, match="not at their offsets"):
        code_points(text, [(8, 10)], "utf-16", ["茶和"])


def test_lost_feedback_stops_programs_and_commands_unless_allowed(tmp_path):
    path = tmp_path / "f"
    path.write_text(json.dumps([task(label(), region("choices", choices=["Bad"]))]))
    with pytest.raises(DataError, match=r"not read: choices \(1\)"):
        load_feedback(path, "label-studio")
    assert len(load_feedback(path, "label-studio", allow_loss=["choices"])) == 1
    form, output = ("label-studio",), tmp_path / "o"
    commands = [
        ("feedback", "stats", path, "--format", *form), ("feedback", "validate", path, "--format", *form),
        ("feedback", "validate", path, "--json", "--format", *form), ("edits", "stats", path, "--format", *form),
        ("edits", "validate", path, "--format", *form),
        ("feedback", "convert", path, "--to", "spanwise", "-o", output, "--from", *form),
        ("annotate", "import", tmp_path / "p", path, "--preset", "toxicity", "--from", *form),
    ]  # fmt: skip
    for command in commands:
        refused = CliRunner().invoke(app, [*map(str, command)])
        assert (refused.exit_code, "not read  choices: 1" in refused.stderr or "--json" in command) == (2, True)
        assert not output.exists()
        assert CliRunner().invoke(app, [*map(str, command), "--allow-loss", "choices"]).exit_code == 0
        output.unlink(missing_ok=True)


WHOLE = {
    "label-studio": task(
        label(), region("hypertextlabels", hypertextlabels=["x"], text="dam", globalOffsets={"start": 4, "end": 7}),
        region("choices", choices=["Bad"]), region("pairwise", "a,b", selected="left"),
        region("textarea", text=["Better."]) | {"from_name": "correction"},
    ),
    "doccano": line([4, 7, "x"], "negative", entities=[{"label": "y", "start_offset": 0, "end_offset": 3}]),
    "thresh": entry({"category": "x", "output_idx": [[4, 7]]}, PLACELESS),
    "argilla": questions(spans_response=[{"start": 4, "end": 7, "label": "x"}], correction_response=TEXT, stars=4),
    "spanwise": small_record().model_dump(mode="json"),
    "qa-feedback": small_item(),
    "pairs": edit_pair("a b", "a c").model_dump(mode="json"),
    "trl-preference": {"prompt": "?", "chosen": "a b", "rejected": [{"role": "assistant", "content": "a"}]},
}  # fmt: skip
EMPTY = {
    "label-studio": task(region("choices", choices=["Bad"])),
    "doccano": line("negative"),
    "thresh": entry(PLACELESS),
    "argilla": questions(topics=[], stars=4),
}
ADDED = {"annotations": [], "label": [], "labels": [], "edits": [], "entities": [], "result": [], "spans": [],
         "meta": {}, "was_cancelled": False, "marked": True, "choices": ["a"], "x": "y", "kto_tag": True, "output": "x",
         "hallucination_spans": ["a"], "human_completion": {"text": "x", "rating": 1}}  # fmt: skip


def paths_of(value, path=()):
    """The way to every object in a value."""
    if isinstance(value, dict):
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths_of(inner, (*path, key))


def changed(value):
    """The value with one key less, or with one more."""
    for path in paths_of(value):
        keys = value
        for step in path:
            keys = keys[step]
        for key in [*keys, *ADDED]:
            other = keys_of = copy.deepcopy(value)
            for step in path:
                keys_of = keys_of[step]
            if key in keys:
                del keys_of[key]
            else:
                keys_of[key] = ADDED[key]
            yield other


def clean(record):
    return sum(response.marked and not response.spans for response in record.responses)


def test_every_reader_of_keys_is_tried():
    others = {"table", "toxic-spans", "mlqe-pe", *foreign.ROWS, *foreign.TEXTS, *foreign.DOCUMENTS, *foreign.FOLDERS}
    assert set(WHOLE) | others == set(names_of_formats("read"))


FOREIGN = [(form, row) for form, rows in foreign.ROWS.items() for row in rows] + [*foreign.DOCUMENTS.items()]


@pytest.mark.parametrize(("form", "value"), [*WHOLE.items(), *EMPTY.items(), *FOREIGN])
def test_no_key_less_or_more_makes_an_answer_clean_or_loses_what_was_said(form, value, tmp_path):
    for other in changed(value):
        finished = json.dumps(other).count('"marked": true') if form == "spanwise" else foreign.finished(form, other)
        try:
            result = read(tmp_path, form, [other] if form == "qa-feedback" else other)
        except DataError:  # without that key it is a file of another kind, and refused as such
            continue
        assert sum(map(clean, result.records)) <= finished, other
        if form in said.SAID and not result.problems:
            said_in, held_by = said.SAID[form]
            assert sum(map(held_by, result.records)) + sum(result.unread.values()) == said_in(other), other


@pytest.mark.parametrize(("form", "text"), foreign.TEXTS.items())
def test_no_line_less_makes_an_answer_of_a_text_file_clean(form, text, tmp_path):
    """Only what says that a person finished makes one: No-error, noop, or an expert's row of two answers."""
    lines = text.split("\n")
    for number in range(len(lines)):
        left = lines[:number] + lines[number + 1 :]
        (tmp_path / "f").write_text("\n".join(left))
        try:
            result = read_feedback(tmp_path / "f", form)
        except DataError:
            continue
        finished = sum("No-error" in line or "|||noop|||" in line for line in left) + 2 * (form == "haluquestqa")
        assert sum(map(clean, result.records)) <= finished, left
        if form in said.TEXTS and not result.problems:
            said_in, held_by = said.TEXTS[form]
            assert sum(map(held_by, result.records)) + sum(result.unread.values()) == said_in("\n".join(left)), left
