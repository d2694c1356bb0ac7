"""A file that a reader cannot read is named for what it is, in one sentence with the way on."""

import gzip
import io
import json
import tarfile
import zipfile

import pytest

from spanwise.core import DataError
from spanwise.feedback import EditPair, FeedbackRecord, PromptRecord, load_or_raise, read_records
from spanwise.feedback.formats import load_feedback, read_edits, read_feedback, write_feedback
from spanwise.feedback.prompts import DemonstrationRecord, split_dialogue
from spanwise.feedback.recognition import recognised

MESSAGES = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "In Lund."}]
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 829105\n"


def archive(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as files:
        for name in names:
            files.writestr(name, "x")
    return buffer.getvalue()


def tar():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as files:
        files.addfile(tarfile.TarInfo("a"))
    return buffer.getvalue()


@pytest.mark.parametrize(("content", "words"), [
    (POINTER, "a Git LFS pointer: the file itself was not downloaded; get it with `git lfs pull`"),
    (gzip.compress(POINTER), "a Git LFS pointer"),
    (b"/annex/objects/SHA256E-s1--00.jsonl\n", "git-annex pointer"),
    (b"ARROW1\x00\x00\xff\xff", "Arrow file"),
    (archive("word/document.xml"), "Word document"),
    (archive("marks.jsonl"), "a zip archive; unpack it"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook; save it as .xlsx"),
    (tar(), "a tar archive"),
    (gzip.compress(tar()), "a tar archive"),
    (b"\x28\xb5\x2f\xfd\x04\x58\x81", "zstd"),
    (b"SQLite format 3\x00\x10", "SQLite"),
    ('{"id": "ä"}'.encode("utf-16"), "text in UTF-16; convert it with `iconv"),
    (b"%PDF-1.7\n", "a PDF document"),
])  # fmt: skip
@pytest.mark.parametrize("form", ["spanwise", "label-studio", "qa-feedback", "toxic-spans", "pairs"])
def test_what_is_no_text_is_named_by_its_first_bytes(content, words, form, tmp_path):
    (tmp_path / "f.jsonl").write_bytes(content)
    with pytest.raises(DataError) as error:
        read_feedback(tmp_path / "f.jsonl", form)
    assert words in str(error.value)
    assert str(error.value).startswith(f"{tmp_path / 'f.jsonl'}: is ")


@pytest.mark.parametrize(("content", "words"), [
    (b"PAR1\x15\x04\x15\x00\x00", "is a Parquet file; `spanwise feedback convert FILE marks.jsonl` makes feedback"),
    (archive("xl/workbook.xml", "[Content_Types].xml"), "is an Excel workbook; `spanwise feedback convert FILE marks."),
])  # fmt: skip
@pytest.mark.parametrize("form", ["qa-feedback", "toxic-spans"])
def test_tables_are_named_where_another_format_is_asked_for(content, words, form, tmp_path):
    (tmp_path / "f.jsonl").write_bytes(content)
    with pytest.raises(DataError) as error:
        read_feedback(tmp_path / "f.jsonl", form)
    assert words in str(error.value)


@pytest.mark.parametrize("form", ["spanwise", "pairs", "table"])
def test_a_damaged_parquet_file_is_refused_whatever_its_name(form, tmp_path):
    (tmp_path / "f.jsonl").write_bytes(b"PAR1\x15\x04\x15\x00\x00")
    with pytest.raises(DataError, match=r"f.jsonl: cannot be read as Parquet \(.*\); fetch it again"):
        read_edits(tmp_path / "f.jsonl", form) if form == "pairs" else read_feedback(tmp_path / "f.jsonl", form)


def test_gzipped_files_are_read_whatever_their_name(tmp_path):
    record = FeedbackRecord.model_validate({"id": "a", "prompt": "?", "responses": [{"text": "No."}]})
    (tmp_path / "f.jsonl").write_bytes(gzip.compress(record.model_dump_json().encode()))
    assert load_feedback(tmp_path / "f.jsonl") == [record]


RECORDS = [
    ({"chosen": "\n\nHuman: Where?\n\nAssistant: Here.", "rejected": "\n\nHuman: Where?\n\nAssistant: No."}, "hh-rlhf"),
    ({"prompt": "Where?", "chosen": "Here.", "rejected": "No."}, "TRL preference file (chosen, rejected)"),
    ({"prompt": MESSAGES[:1], "chosen": MESSAGES[1:], "rejected": MESSAGES[1:], "score": 1}, "TRL preference file"),
    ({"prompt": "2?", "completions": ["a", "b"], "labels": [True, False]}, "TRL stepwise file"),
    ({"prompt": "2?", "completion": "b", "label": True}, "TRL file of unpaired labels"),
    ({"id": 1, "conversations": [{"from": "human", "value": "Where?"}]}, "ShareGPT"),
    ({"instruction": "Where?", "input": "", "output": "Here."}, "an Alpaca file"),
    ({"custom_id": "1", "method": "POST", "url": "/v1", "body": {}}, "OpenAI's API"),
    ({"text": "Here.", "id": 1, "annotator": 1, "annotation_id": 2, "lead_time": 3.5}, "JSON-MIN"),
    ({"id": 1, "text": "Here.", "label": [{"start": 0, "end": 4, "text": "Here", "labels": ["x"]}]}, "JSON-MIN"),
    ({"id": 1, "data": {"text": "Here."}, "annotations": []}, "--from label-studio --to spanwise"),
    ({"id": "1", "fields": {"response": "Here."}, "responses": {}}, "--from argilla --to spanwise"),
    ({"source": "a", "target": "b", "edits": []}, "--from thresh --to spanwise"),
    ({"id": 1, "text": "Here.", "label": [[0, 4, "x"]]}, "--from doccano --to spanwise"),
    ({"text": "Here.", "spans": [], "_input_hash": 1, "_task_hash": 2}, "Prodigy"),
    ({"instance_id": "a", "user_id": "u", "labels": {}, "spans": {}, "links": {}}, "an export of Potato"),
    ({"%TYPES": {}, "%FEATURE_STRUCTURES": [{"%ID": 1}], "%VIEWS": {}}, "UIMA (CAS JSON)"),
    ({"text": "Here."}, "a file of plain texts"),
]


@pytest.mark.parametrize(("record", "words"), RECORDS)
@pytest.mark.parametrize("layout", ["lines", "list", "rows", "indented list"])
@pytest.mark.parametrize("model", [FeedbackRecord, EditPair, PromptRecord, DemonstrationRecord])
def test_files_of_other_records_are_named_and_not_taken_apart(record, words, layout, model, tmp_path):
    if model in (PromptRecord, DemonstrationRecord) and words in ("ShareGPT", "an Alpaca file"):
        return  # these are read
    path = tmp_path / "f.jsonl"
    texts = {"lines": json.dumps(record) + "\n" + json.dumps(record), "list": json.dumps([record, record]),
             "rows": json.dumps({"version": 1, "data": [record, record]}, indent=1),
             "indented list": json.dumps([record] * 7, indent=2)}  # fmt: skip
    path.write_text(texts[layout])
    with pytest.raises(DataError) as error:
        load_or_raise(path, model)
    sentence = str(error.value)
    assert "unknown key" not in sentence
    assert "under 'data'" in sentence if layout == "rows" else words in sentence


@pytest.mark.parametrize(("text", "words"), [
    ("prompt,response\nWhere?,Here.\n", "a CSV table; `spanwise feedback convert f.jsonl marks.jsonl --from table`"),
    ('prompt,response\n"Where, when?","Here,\nnow."\n', "a CSV table"),
    ("prompt;response\nWhere?;Here.\n", "a CSV table with semicolons"),
    ("prompt\tresponse\nWhere?\tHere.\n", "a TSV table"),
    ("S This are a test\nA 1 2|||R:VERB|||is|||REQUIRED|||-NONE-|||0\n\nS Good\n", "an M2 file"),
    ("#FORMAT=WebAnno TSV 3.3\n#T_SP=x.Span|value\n\n\n#Text=a\n1-1\t0-1\ta\t*\t\n", "WebAnno TSV 3"),
    ("task_dir: .\nannotation_schemes:\n  - {}\n", "the config of a Potato project"),
    ("T1\tWrong 0 4\tHere\nA1\tSure T1\n#1\tNote T1\tno\n", "brat's standoff annotations"),
    ("EU B-ORG\nrejects O\n\nGerman B-MISC\n", "a file of tagged words"),
    ("<!DOCTYPE html>\n<html>", "a web page or XML"),
    ('<?xml version="1.0"?>\n<a/>', "a web page or XML"),
    ('spans,text\n"[0]",Here\n', "--from toxic-spans --to spanwise"),
    ("run_dir: out\nheads:\n  - relevance\n", "a YAML file, as configs are"),
    ('{\n "id": "a",\n "text": "b"\n}\n', "one JSON object over several lines"),
])  # fmt: skip
@pytest.mark.parametrize("form", ["spanwise", "doccano", "thresh"])
def test_tables_and_texts_are_named_by_their_first_lines(text, words, form, tmp_path):
    (tmp_path / "f.jsonl").write_text(text)
    with pytest.raises(DataError) as error:
        read_feedback(tmp_path / "f.jsonl", form)
    assert words in str(error.value)


@pytest.mark.parametrize("model", [FeedbackRecord, EditPair])
def test_chat_messages_are_named_where_they_are_not_read(model, tmp_path):
    (tmp_path / "f").write_text(json.dumps({"messages": MESSAGES}))
    with pytest.raises(DataError, match=r"a file of chat messages .*; `spanwise sft` reads it where the assistant"):
        load_or_raise(tmp_path / "f", model)
    (demonstration,) = load_or_raise(tmp_path / "f", DemonstrationRecord)
    assert (demonstration.prompt, demonstration.completion) == ("Where?", "In Lund.")
    with pytest.raises(DataError, match="end with an answer of the assistant"):
        load_or_raise(tmp_path / "f", PromptRecord)


def test_rows_of_sharegpt_and_alpaca_are_prompts_and_demonstrations(tmp_path):
    talk = [{"from": "human", "value": "Where?"}, {"from": "gpt", "value": "In Lund."}]
    rows = [
        {"id": 1, "conversations": talk, "source": "x"},
        {"instruction": "Where?", "input": "", "output": "In Lund."},
    ]
    (tmp_path / "f").write_text("\n".join(map(json.dumps, rows)))
    first, second = load_or_raise(tmp_path / "f", DemonstrationRecord)
    assert (first.prompt, first.completion, first.id, first.metadata) == ("Where?", "In Lund.", "1", {"source": "x"})
    assert (second.prompt, second.completion) == ("Where?", "In Lund.")
    (tmp_path / "f").write_text(json.dumps(rows[1]) + "\n" + json.dumps({"conversations": talk[:1]}))
    assert [record.prompt for record in load_or_raise(tmp_path / "f", PromptRecord)] == ["Where?", "Where?"]


def test_unknown_columns_are_kept_but_for_slips_and_judgements(tmp_path):
    (tmp_path / "f").write_text(json.dumps({"prompt": "Where?", "completion": "Here.", "source": "x", "id": 3}))
    (record,) = load_or_raise(tmp_path / "f", DemonstrationRecord)
    assert (record.metadata, record.id) == ({"source": "x"}, "3")
    for key in ("pasages", "label", "kto_tag"):
        (tmp_path / "f").write_text(json.dumps({"prompt": "Where?", "completion": "Here.", key: True}))
        with pytest.raises(DataError):
            load_or_raise(tmp_path / "f", DemonstrationRecord)


def test_a_file_with_one_good_record_is_read_line_by_line(tmp_path):
    good = {"id": "a", "prompt": "?", "responses": [{"text": "No."}]}
    rows = [record for record, _ in RECORDS[:3]] + [good]
    (tmp_path / "f").write_text("\n".join(map(json.dumps, rows)))
    result = read_records(tmp_path / "f", FeedbackRecord)
    assert (len(result.records), len(result.rejected)) == (1, 3)


@pytest.mark.parametrize("text", ["", "plain words", "{", "[1, 2]", "{}", '{"id": 1}', "\n", "a\nb,c\n"])
def test_what_is_not_known_is_not_named(text, tmp_path):
    (tmp_path / "f").write_text(text)
    assert recognised(tmp_path / "f", "spanwise") is None
    assert recognised(tmp_path / "absent", "spanwise") is None


def test_a_saved_data_set_is_named(tmp_path):
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(DataError, match=r"a data set of Hugging Face; write it .* datasets.load_from_disk"):
        load_or_raise(tmp_path, PromptRecord)


def test_preferences_of_trl_and_hh_rlhf_are_read_and_come_back(tmp_path):
    talk = "\n\nHuman: Where?\n\nAssistant: {}"
    long = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Where?\n\nAssistant: {}"
    rows = [
        {"prompt": "Where?", "chosen": "Here.", "rejected": "No."},
        {"prompt": MESSAGES[:1], "chosen": MESSAGES[1:], "rejected": [{"role": "assistant", "content": "No."}]},
        {"chosen": MESSAGES, "rejected": [*MESSAGES[:1], {"role": "assistant", "content": "No."}]},
        {"chosen": talk.format("Here."), "rejected": talk.format("No.")},
        {"chosen": long.format("Here."), "rejected": long.format("No.")},
    ]  # fmt: skip
    (tmp_path / "f").write_text("\n".join(map(json.dumps, rows)))
    records = load_feedback(tmp_path / "f", "trl-preference")
    assert [record.prompt for record in records] == ["Where?"] * 4 + ["Human: Hi\n\nAssistant: Hello\n\nHuman: Where?"]
    assert {record.responses[1].text for record in records} == {"No."}
    assert all(record.preferences[0].winner == "first" for record in records)
    assert [[turn.role for turn in record.messages] for record in records[:4]] == [[], ["user"], ["user"], []]
    assert not any(response.marked for record in records for response in record.responses)
    write_feedback(tmp_path / "g", "trl-preference", records)
    again = load_feedback(tmp_path / "g", "trl-preference")
    assert [[r.text for r in record.responses] for record in again] == [
        [r.text for r in rec.responses] for rec in records
    ]


@pytest.mark.parametrize(("row", "words"), [
    ({"prompt": "?", "chosen": "a", "rejected": "a"}, "nothing is preferred"),
    ({"prompt": "?", "chosen": "a"}, "lacks the key 'rejected'"),
    ({"prompt": "?", "chosen": [{"role": "x"}], "rejected": "a"}, "messages with role and content"),
    ({"prompt": 3, "chosen": "b", "rejected": "a"}, "must be a string (got 3)"),
    ({"chosen": [*MESSAGES], "rejected": MESSAGES[1:]}, "answer different prompts"),
    (["a"], "this is a list"),
])  # fmt: skip
def test_rows_that_are_no_preferences_are_problems(row, words, tmp_path):
    (tmp_path / "f").write_text(json.dumps({"prompt": "?", "chosen": "a", "rejected": "b"}) + "\n" + json.dumps(row))
    result = read_feedback(tmp_path / "f", "trl-preference")
    assert len(result.records) == 1
    assert words in result.problems[0].reason


def test_a_dialogue_is_split_before_its_last_answer():
    assert split_dialogue("\n\nHuman: A\n\nAssistant: B\n\nHuman: C\n\nAssistant: D") == (
        "Human: A\n\nAssistant: B\n\nHuman: C", "D",
    )  # fmt: skip
    assert split_dialogue("A human: B") is None
