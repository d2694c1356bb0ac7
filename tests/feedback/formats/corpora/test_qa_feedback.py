import copy
import gzip
import json

import pytest
from doubles.feedback import items, qa_file, real_records, small_item, thorough
from hypothesis import given

from spanwise.core.errors import DataError
from spanwise.feedback.formats.corpora.qa_feedback import import_demonstrations, item_from_record, record_from_item
from spanwise.feedback.formats.registry import read_feedback
from spanwise.feedback.schema import Evidence, FeedbackRecord


def test_fields_are_mapped():
    record = record_from_item(small_item(), record_id="x")
    first = record.responses[0]
    assert (record.id, record.prompt, record.references) == ("x", "Where was Ada born?", ("Rome. ",))
    assert (record.passages[0].title, record.passages[0].sentences[1]) == ("Ada", "She died in Bonn.")
    assert [(mark.quote, mark.category) for mark in first.spans] == [
        ("Ada was born in Oslo.", "Redundant"),
        ("Ada was born in Oslo.", "Wrong-Grounding"),
        ("She had a cat.", "Irrelevant"),
    ]
    assert first.spans[0].antecedent == "Ada was born in Oslo. "
    assert first.spans[1].evidence == (Evidence(passage=0, sentences=(0,)),)
    assert record.passages[0].sentences[first.spans[1].evidence[0].sentences[0]] == "Ada was born in Rome."
    assert first.missing[0].evidence == Evidence(passage=0, sentences=(1,), title=True)
    assert first.correction == "Ada was born in Rome."
    assert [response.marked for response in record.responses] == [True, False, False, False]
    assert [(p.first, p.second, p.winner) for p in record.preferences] == [
        (0, 1, "second"), (0, 2, "first"), (0, 3, "tie"), (1, 2, "first"), (1, 3, "first"), (2, 3, "tie"),
    ]  # fmt: skip
    assert record.provenance == {"format": "qa-feedback"}


@thorough
@given(items())
def test_any_item_comes_back_as_it_was(item):
    record = record_from_item(item, record_id="x")
    stored = FeedbackRecord.model_validate_json(record.model_dump_json())
    assert stored == record
    assert json.dumps(item_from_record(stored)) == json.dumps(item)
    assert "\r" not in "".join(response.text for response in record.responses)


def test_offsets_follow_the_text_when_carriage_returns_go():
    item = small_item()
    item["prediction 1"] = "Ada\r\nwas born.\r\nTwice.\rYes."
    item["feedback"]["errors"] = [{"error type": "Irrelevant", "explanation": "", "start": 16, "end": 22}]
    assert item["prediction 1"][16:22] == "Twice."
    record = record_from_item(item, record_id="x")
    assert record.responses[0].text == "Ada\nwas born.\nTwice.\nYes."
    assert record.responses[0].spans[0].quote == "Twice."
    assert item_from_record(record) == item


@pytest.mark.parametrize(
    "explanation",
    [
        '{"passage_id": 1, "sentence_id": [1]}',
        '{"sentence_id":[1],"passage_id":1}',
        '{"passage_id":1,"sentence_id":[2,0]}',
        "see the first passage",
        '{"passage_id":1}',
        "",
    ],
)
def test_odd_explanations_come_back_to_the_byte(explanation):
    item = small_item()
    item["feedback"]["errors"][1]["explanation"] = explanation
    assert item_from_record(record_from_item(item, record_id="x")) == item


def test_after_a_change_the_record_counts_and_not_the_old_spelling():
    item = small_item()
    item["prediction 1"] = "Ada\r\nwas born in Oslo. She had a cat."
    item["feedback"]["errors"] = [{"error type": "Irrelevant", "explanation": "", "start": 23, "end": 37}]
    record = record_from_item(item, record_id="x")
    first = record.responses[0].model_copy(update={"spans": ()})
    exported = item_from_record(record.model_copy(update={"responses": (first, *record.responses[1:])}))
    assert exported["feedback"]["errors"] == []
    assert exported["prediction 1"] == "Ada\nwas born in Oslo. She had a cat."


def test_damaged_deviations_are_told():
    record = record_from_item(small_item(), record_id="x")
    for damage in ("x", {"canonical_sha256": "x"}, {"canonical_sha256": 3, "changes": []}):
        with pytest.raises(DataError, match=r"x: provenance.deviations is damaged"):
            item_from_record(record.model_copy(update={"provenance": {"deviations": damage}}))


def bad_items():
    """(change, field, part of the reason) of every kind of malformed item."""

    def put(*path, value):
        def change(item):
            for key in path[:-1]:
                item = item[key]
            item[path[-1]] = value

        return change

    def drop(*path):
        def change(item):
            for key in path[:-1]:
                item = item[key]
            del item[path[-1]]

        return change

    error = ("feedback", "errors", 0)
    gap = ("feedback", "missing-info", 0)
    return [
        (put(*error, "end", value=59), "feedback.errors.0", "[22, 59) is no span of prediction 1 of 58 characters"),
        (put(*error, "start", value=-1), "feedback.errors.0", "is no span"),
        (put(*error, "start", value=43), "feedback.errors.0", "is no span"),
        (put(*error, "start", value="22"), "feedback.errors.0.start", "must be a whole number (got '22')"),
        (put(*error, "start", value=True), "feedback.errors.0.start", "must be a whole number"),
        (put(*error, "error type", value="Repetitive"), "feedback.errors.0.error type", "it is one of Irrelevant, "),
        (put(*gap, "error type", value="Irrelevant"), "feedback.missing-info.0.error type", "is no error type here"),
        (put(*gap, "passage_id", value=2), "feedback.missing-info.0", "names passage 2 of 1 (counted from 1)"),
        (put(*gap, "sentence_id", value=[3]), "feedback.missing-info.0", "names sentence 3 of 2 (0 is the title)"),
        (put(*gap, "sentence_id", value=1), "feedback.missing-info.0.sentence_id", "must be a list"),
        (
            put("feedback", "errors", 1, "explanation", value='{"passage_id":9,"sentence_id":[1]}'),
            "feedback.errors.1.explanation",
            "names passage 9 of 1",
        ),
        (put(*error, "note", value="x"), "feedback.errors.0.note", "unknown key"),
        (put("predictoin 1", value="x"), "predictoin 1", "did you mean prediction 1?"),
        (drop("gold"), "gold", "is required"),
        (drop("feedback", "corrected-prediction"), "feedback.corrected-prediction", "is required"),
        (put("prediction 3", value=""), "prediction 3", "is empty"),
        (put("prediction 1", value=" \n"), "prediction 1", "is empty"),
        (put("question", value=None), "question", "must be a string (got None)"),
        (put("gold", value="a\0"), "gold", "NUL at character 1"),
        (put("passages", 0, 2, value="\ud800"), "passages.0.2", "lone surrogate U+D800"),
        (put("passages", 0, value=[]), "passages.0", "at least 1 item"),
        (put("preference", value=[1, 1, 1, 1, 1]), "preference", "at least 6 items"),
        (put("preference", 2, value=3), "preference.2", "less than or equal to 2"),
    ]


@pytest.mark.parametrize(("change", "field", "reason"), bad_items())
def test_malformed_items_are_named_and_the_others_kept(tmp_path, change, field, reason):
    bad = small_item()
    change(bad)
    path = tmp_path / "some_feedback.json"
    path.write_text(json.dumps([small_item(), bad, small_item()], indent=2))
    result = read_feedback(path, "qa-feedback")
    assert [record.id for record in result.records] == ["some_feedback-000000", "some_feedback-000002"]
    start = 2 + len(json.dumps([small_item()], indent=2).splitlines()[1:-1])
    assert {(problem.file, problem.line, problem.place.item) for problem in result.problems} == {(str(path), start, 1)}
    assert [(p.field, reason in p.reason) for p in result.problems if p.field == field] == [(field, True)]
    (place,) = result.rejected
    assert json.loads(place.raw) == bad


def test_the_wrong_kind_of_file_is_one_sentence(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps([{"question": "q", "answer": ["a"], "text": "t", "passages": []}] * 3))
    with pytest.raises(DataError, match=r"this file holds demonstrations .*, not feedback"):
        read_feedback(path, "qa-feedback")
    path.write_text(json.dumps([small_item()]))
    with pytest.raises(DataError, match=r"this file holds feedback .*, not demonstrations"):
        import_demonstrations(path)


def test_real_feedback_comes_back_byte_for_byte(tmp_path):
    path = qa_file("dev_feedback.json.gz")
    original = json.loads(gzip.decompress(path.read_bytes()))
    result = read_feedback(path, "qa-feedback")
    assert (len(result.records), result.problems) == (500, [])
    exported = [item_from_record(record) for record in result.records]
    assert exported == original
    assert json.dumps(exported, indent=2).encode() == gzip.decompress(path.read_bytes())


def test_real_evidence_points_at_the_sentence_that_the_annotator_saw():
    records = real_records()
    raw = json.loads(gzip.decompress(qa_file("dev_feedback.json.gz").read_bytes()))
    seen = 0
    for record, item in zip(records, raw, strict=True):
        for missing, theirs in zip(record.responses[0].missing, item["feedback"]["missing-info"], strict=True):
            passage = record.passages[missing.evidence.passage]
            ours = [passage.title] * missing.evidence.title + [passage.sentences[k] for k in missing.evidence.sentences]
            assert ours == [item["passages"][theirs["passage_id"] - 1][k] for k in theirs["sentence_id"]]
            seen += 1
    assert seen == 842


def demonstration() -> dict:
    text = "question: Why? context: wikipage: A text: One. Two. | wikipage: B &amp; C text: Three. text: four"
    pages = [{"wikipage": "A", "content": "One. Two."}, {"wikipage": "B &amp; C", "content": "Three. text: four"}]
    return {"text": text, "answer": ["So.", "Thus."], "passages": pages, "question": "Why?"}


@pytest.mark.parametrize("with_passages", [True, False])
def test_demonstrations_are_read_with_or_without_the_field_passages(tmp_path, with_passages):
    item = demonstration()
    if not with_passages:
        del item["passages"]
    path = tmp_path / "train.json"
    path.write_text(json.dumps([item]))
    ((record,), problems) = (import_demonstrations(path).records, import_demonstrations(path).problems)
    assert problems == []
    assert (record.id, record.prompt, record.completion) == ("train-000000", "Why?", "So.")
    assert record.references == ("So.", "Thus.")
    assert [(passage.title, passage.text) for passage in record.passages] == [
        ("A", "One. Two."),
        ("B &amp; C", "Three. text: four"),
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"answer": []}, "answer"),
        ({"answer": [""]}, "answer.0"),
        ({"question": ""}, "question"),
        ({"passages": [{"wikipage": "A"}]}, "passages.0.content"),
        ({"passages": None, "text": "something else"}, "text"),
    ],
)
def test_bad_demonstrations_are_named(tmp_path, changes, field):
    path = tmp_path / "train.json"
    path.write_text(json.dumps([demonstration(), demonstration() | changes]))
    result = import_demonstrations(path)
    assert (len(result.records), [(p.place.item, p.field) for p in result.problems]) == (1, [(1, field)])


@pytest.mark.parametrize("name", ["dev.json.gz", "train_1k_sft.json.gz", "train_1k_rl.json.gz"])
def test_real_demonstrations_are_read_and_their_text_holds_the_same_passages(tmp_path, name):
    path = qa_file(name)
    result = import_demonstrations(path)
    assert (len(result.records), result.problems) == (500, [])
    bare = copy.deepcopy(json.loads(gzip.decompress(path.read_bytes())))
    for item in bare:
        del item["passages"]
    without = tmp_path / path.name.removesuffix(".gz")
    without.write_text(json.dumps(bare))
    read = import_demonstrations(without).records
    assert [record.passages for record in read] == [record.passages for record in result.records]
