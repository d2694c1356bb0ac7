from pathlib import Path

import pytest
from doubles.feedback import qa_file, small_record

from spanwise.feedback.edits import edit_pair
from spanwise.feedback.files import write_records
from spanwise.feedback.formats.registry import read_edits

DATA = Path(__file__).parents[3] / ".." / "shared" / "data"


def data_file(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the real data file {name} is not at hand")
    return path


def test_jsonl_of_pairs_and_of_feedback(tmp_path):
    pairs = [edit_pair("a b", "a c", id="x"), edit_pair("a", "", id="y")]
    write_records(tmp_path / "pairs.jsonl", pairs)
    assert read_edits(tmp_path / "pairs.jsonl").records == pairs
    record = small_record()
    write_records(tmp_path / "feedback.jsonl", [record])
    (pair,) = read_edits(tmp_path / "feedback.jsonl", "feedback").records
    assert pair.edited == record.responses[0].correction


def test_a_bad_line_is_named_and_costs_no_other(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"original": "a", "edited": "b"}\n{"original": "a"}\n{"original": "a", "edited": "c"}\n')
    result = read_edits(path)
    assert [pair.edited for pair in result.records] == ["b", "c"]
    assert [str(problem) for problem in result.problems] == [f"{path}:2: edited: is required; add it."]


def test_all_real_corrections_are_pairs():
    pairs = read_edits(qa_file("dev_feedback.json.gz"), "qa-feedback").records
    assert len(pairs) == 500
    assert sum(pair.original != pair.edited for pair in pairs) == 494


@pytest.mark.parametrize(("language", "split", "count"), [("et", "dev", 1000), ("ro", "train", 7000)])
def test_all_real_post_edits_are_pairs(language, split, count):
    result = read_edits(data_file(f"mlqe_pe/{language}-en-{split}.tar.gz"), "mlqe-pe")
    assert (len(result.records), result.problems) == (count, [])


@pytest.mark.parametrize(
    ("name", "pairs", "refused"),
    [("arxivedits", 50, 0), ("salsa", 50, 0), ("errant", 50, 0), ("scarecrow", 0, 50), ("frank", 0, 50)],
)
def test_thresh_sets_with_edits_are_pairs_and_the_others_say_why_not(name, pairs, refused):
    result = read_edits(data_file(f"thresh/{name}.json.gz"), "thresh")
    assert (len(result.records), len(result.rejected)) == (pairs, refused)
    assert all("no pair" in problem.reason for problem in result.problems)
