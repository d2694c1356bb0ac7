"""Files of other tools: what goes in comes back, offsets are understood, and what is no such file is a problem."""

import json

import pytest
from doubles.feedback import small_record

from spanwise.feedback.formats.offsets import code_points, utf16
from spanwise.feedback.formats.registry import iter_feedback, read_feedback, write_feedback
from spanwise.feedback.problems import FieldError
from spanwise.feedback.schema import FeedbackRecord, Response, mark


def _write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("form", ["spanwise", "argilla", "label-studio", "doccano", "thresh"])
def test_each_format_gives_back_what_it_was_given(form, tmp_path):
    given_records = [small_record(), *_emoji_records()]
    path = tmp_path / "file"
    assert write_feedback(path, form, given_records).rows == len(given_records)
    assert [outcome for _, outcome in iter_feedback(path, form)] == given_records


def _emoji_records():
    """Texts on which UTF-16 units and code points part ways."""

    for number, text in enumerate(
        ["👨🏻‍🚒 firemen drive firetrucks", "a🍎b c🇪🇺d efg", "e\u0301 \U0001d49c مرحبا 漢字"]
    ):
        spans = (mark(text, text.rfind(" ") + 1, len(text), "Incoherent"),)
        response = Response(text=text, marked=True, spans=spans, correction=text.upper())
        yield FeedbackRecord(id=f"emoji-{number}", prompt="?", responses=(response,))


ARGILLA = {
    "id": "7", "fields": {"prompt": "?", "response": "👨🏻‍🚒 firemen drive firetrucks"},
    "metadata": {}, "suggestions": {},
    "responses": {"errors": [{"value": [{"label": "x", "start": 22, "end": 32}], "user_id": "u1"}]},
}  # fmt: skip
LABEL_STUDIO = {
    "id": 3, "data": {"text": "💩 a\r\nfire truck"},
    "annotations": [{"completed_by": 5, "result": [
        {"type": "labels", "from_name": "l", "to_name": "text",
         "value": {"start": 6, "end": 10, "text": "fire", "labels": ["x"]}},
        {"type": "textarea", "from_name": "t", "to_name": "text", "value": {"text": ["better"]}},
    ]}],
}  # fmt: skip
DOCCANO = {"id": 4, "text": "💩 fire truck", "label": [[3, 7, "x"]]}
THRESH = {
    "source": "src",
    "target": "💩 fire",
    "edits": [{"category": "x", "output_idx": [[3, 7]]}, {"category": "gone", "input_idx": [[0, 1]]}],
}


@pytest.mark.parametrize(("form", "value", "quote"), [
    ("argilla", ARGILLA, "firetrucks"), ("label-studio", LABEL_STUDIO, "fire"), ("doccano", DOCCANO, "fire"),
    ("thresh", THRESH, "fire"),
])  # fmt: skip
def test_utf16_offsets_of_other_tools_are_found_out(form, value, quote, tmp_path):
    ((_, record),) = iter_feedback(_write(tmp_path / "f", [value]), form)
    assert [mark.quote for response in record.responses for mark in response.spans] == [quote]


def test_words_that_are_nowhere_are_refused(tmp_path):
    value = json.loads(json.dumps(LABEL_STUDIO))
    value["annotations"][0]["result"][0]["value"]["text"] = "water"
    ((_, problems),) = iter_feedback(_write(tmp_path / "f", [value]), "label-studio")
    assert "not at their offsets" in problems[0].reason


@pytest.mark.parametrize("form", ["argilla", "label-studio"])
def test_several_people_on_a_record_of_ours_are_several_records_of_one_item(form, tmp_path):
    path = tmp_path / "f"
    write_feedback(path, form, [small_record()])
    (row,) = json.loads(path.read_text())
    if form == "argilla":
        row["responses"] = {
            "spans_r1": [{"value": [], "user_id": person} for person in ("ann", "bob")],
        }
    else:
        row["annotations"] = [row["annotations"][0] | {"completed_by": person} for person in ("ann", "bob")]
    result = read_feedback(_write(path, [row]), form)
    assert [(record.id, record.annotator) for record in result.records] == [("r0#ann", "ann"), ("r0#bob", "bob")]
    assert {record.provenance["annotation"]["item"] for record in result.records} == {"r0"}
    assert result.problems == []


@pytest.mark.parametrize("form", ["argilla", "label-studio", "doccano", "thresh"])
@pytest.mark.parametrize("value", [{}, "x", 3, {"fields": 1, "data": [], "text": 5, "target": None}])
def test_what_is_laid_out_otherwise_is_a_problem_not_a_crash(form, value, tmp_path):
    outcomes = [outcome for _, outcome in iter_feedback(_write(tmp_path / "f", [value]), form)]
    assert outcomes
    assert all(isinstance(outcome, list) for outcome in outcomes)


def test_code_points_and_utf16_units_are_each_others_inverse():
    text = "a🍎b 👨‍👩‍👧 漢"
    for start in range(len(text)):
        span = (utf16(text, start), utf16(text, start + 1))
        assert code_points(text, [span], "utf-16") == [(start, start + 1)]
    with pytest.raises(FieldError):
        code_points(text, [(2, 3)], "utf-16")  # the middle of a pair


def test_trl_rows_say_what_the_records_say(tmp_path):
    record = small_record()
    done = write_feedback(tmp_path / "p", "trl-preference", [record])
    rows = [json.loads(line) for line in (tmp_path / "p").read_text().splitlines()]
    assert [(row["chosen"], row["source"]) for row in rows] == [
        ("In Rome.", "preference"),
        ("Ada was born in Rome.", "correction"),
    ]
    assert done.left_out == {}
    write_feedback(tmp_path / "s", "trl-stepwise", [record])
    (steps,) = [json.loads(line) for line in (tmp_path / "s").read_text().splitlines()]
    assert "".join(steps["completions"]) == record.responses[0].text
    assert len(steps["labels"]) == len(steps["completions"])
    assert False in steps["labels"]
    done = write_feedback(tmp_path / "u", "trl-unpaired", [record])
    assert [json.loads(line)["label"] for line in (tmp_path / "u").read_text().splitlines()] == [False]
    assert done.left_out == {"responses that nobody marked": 1}
