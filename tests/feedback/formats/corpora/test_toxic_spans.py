"""The shared task's CSV: offsets become marks, and what cannot be read is said and not dropped."""

import gzip
from pathlib import Path

import pytest

from spanwise.core.errors import DataError
from spanwise.feedback.formats.corpora.toxic_spans import runs_of
from spanwise.feedback.formats.registry import read_feedback
from spanwise.text.spans import Span

SHARED = Path(__file__).parents[4] / ".." / "shared" / "data" / "toxic_spans"


def write(path, *rows):
    path.write_text("spans,text\n" + "".join(f'"{spans}","{text}"\n' for spans, text in rows), newline="")
    return path


def test_neighbouring_offsets_become_one_mark(tmp_path):
    path = write(tmp_path / "a.csv", ("[0, 1, 2, 3, 9, 10, 11, 12]", "Damn, an idio"), ("[]", "fine"))
    marked, clean = read_feedback(path, "toxic-spans").records
    assert [(m.quote, m.category) for m in marked.responses[0].spans] == [("Damn", "toxic"), ("idio", "toxic")]
    assert clean.responses[0].marked
    assert clean.responses[0].spans == ()
    assert (marked.id, marked.prompt) == ("a-000000", "")


def test_offsets_follow_their_characters_when_line_breaks_change(tmp_path):
    path = write(tmp_path / "a.csv", ("[4, 5, 6]", "a\r\n\r\nfo"), ("[2, 3, 4]", "ab\r\nc"))
    first, second = read_feedback(path, "toxic-spans").records
    assert (first.responses[0].text, [m.quote for m in first.responses[0].spans]) == ("a\n\nfo", ["\nfo"])
    assert [m.quote for m in second.responses[0].spans] == ["\nc"]


@pytest.mark.parametrize(
    ("spans", "reason"),
    [
        ("[0, 99]", "names character 99 of a text of 4"),
        ("[-1, 0]", "names character -1"),
        ("[1, 0]", "must ascend"),
        ("[1, 1]", "must ascend"),
        ("[0.5]", "whole numbers"),
        ("[true]", "whole numbers"),
        ("0, 1", "must be a list"),
        ("__import__('os')", "must be a list"),
    ],
)
def test_a_bad_row_is_a_problem_with_its_place(tmp_path, spans, reason):
    result = read_feedback(write(tmp_path / "a.csv", ("[0]", "good"), (spans, "text")), "toxic-spans")
    assert len(result.records) == 1
    (problem,) = result.problems
    assert reason in str(problem)
    assert problem.line == 3


def test_another_csv_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="columns spans and text"):
        read_feedback(tmp_path / "a.csv", "toxic-spans")


def test_gzipped_files_are_read(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b'spans,text\n"[0]",x\n'))
    assert read_feedback(path, "toxic-spans").records[0].responses[0].spans[0].quote == "x"


def test_runs():
    assert runs_of([]) == []
    assert runs_of([3, 4, 7]) == [Span(3, 5), Span(7, 8)]


@pytest.mark.skipif(not SHARED.exists(), reason="the toxic-spans files are not beside the checkout")
@pytest.mark.parametrize(("name", "records", "without"), [("tsd_train.csv.gz", 7939, 485), ("tsd_trial.csv", 690, 43)])
def test_the_real_files_are_read_whole(name, records, without):
    result = read_feedback(SHARED / name, "toxic-spans")
    assert not result.problems
    assert len(result.records) == records
    assert sum(not record.responses[0].spans for record in result.records) == without
