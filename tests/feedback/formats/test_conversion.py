import base64
import gzip
import json

import pytest
from doubles.feedback import small_item, small_record

from spanwise.feedback.files import read_records, write_records
from spanwise.feedback.formats.conversion import convert
from spanwise.feedback.formats.registry import read_feedback, write_feedback
from spanwise.feedback.schema import FeedbackRecord

QA, OURS = "qa-feedback", "spanwise"


@pytest.fixture
def items(tmp_path):
    path = tmp_path / "some_feedback.json"
    path.write_text(json.dumps([small_item(), small_item() | {"gold": 3}, small_item()], indent=2))
    return path


def test_there_and_back_is_the_same_file(tmp_path):
    source = tmp_path / "a.json.gz"
    source.write_bytes(gzip.compress(json.dumps([small_item()] * 3, indent=2).encode()))
    assert convert(source, QA, tmp_path / "b.jsonl.gz", OURS).written == 3
    assert convert(tmp_path / "b.jsonl.gz", OURS, tmp_path / "c.json", QA).written == 3
    assert (tmp_path / "c.json").read_bytes() == gzip.decompress(source.read_bytes())


def test_bad_records_stop_a_conversion(items, tmp_path):
    before = sorted(tmp_path.iterdir())
    done = convert(items, QA, tmp_path / "out.jsonl", OURS)
    assert (done.written, done.rejected, done.rejected_path) == (0, 1, None)
    assert [problem.field for problem in done.problems] == ["gold"]
    assert sorted(tmp_path.iterdir()) == before


def test_skipped_records_lie_beside_the_output_as_they_stood(items, tmp_path):
    done = convert(items, QA, tmp_path / "out.jsonl", OURS, skip_bad=True)
    assert (done.written, done.rejected) == (2, 1)
    assert len(read_records(tmp_path / "out.jsonl", FeedbackRecord).records) == 2
    assert done.rejected_path == tmp_path / "out.jsonl.rejected.jsonl"
    (row,) = [json.loads(line) for line in done.rejected_path.read_text().splitlines()]
    assert json.loads(row["raw"]) == small_item() | {"gold": 3}
    assert (row["item"], row["problems"]) == (1, [{"field": "gold", "reason": "must be a string (got 3)."}])


def test_bytes_that_are_no_text_are_kept_as_well(tmp_path):
    source = tmp_path / "a.jsonl"
    source.write_bytes(b"\xff\xfe\n")
    done = convert(source, OURS, tmp_path / "b.jsonl", OURS, skip_bad=True)
    assert done.rejected_path is not None
    row = json.loads(done.rejected_path.read_text())
    assert base64.b64decode(row["raw_base64"]) == b"\xff\xfe\n"


def test_records_that_the_target_cannot_hold_are_rejected_by_name(tmp_path):
    source = tmp_path / "a.jsonl"
    write_records(source, [small_record("narrow")])
    done = convert(source, OURS, tmp_path / "b.json", QA)
    assert (done.written, done.rejected) == (0, 1)
    assert str(done.problems[0]).startswith(f"{source}:1: narrow: QA-Feedback holds exactly 4 responses")
    assert not (tmp_path / "b.json").exists()


def test_what_a_target_leaves_behind_is_counted(items, tmp_path):
    records = [record.model_copy(update={"annotator": "a"}) for record in read_feedback(items, QA).records]
    write_feedback(tmp_path / "a.jsonl", OURS, records)
    assert convert(tmp_path / "a.jsonl", OURS, tmp_path / "b.json", QA).not_kept == {"annotator": 2}
    assert convert(tmp_path / "a.jsonl", OURS, tmp_path / "c.jsonl", OURS).not_kept == {}
