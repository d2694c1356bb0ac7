import gzip
import json

import pytest
from doubles.feedback import records, small_record, thorough
from hypothesis import given
from hypothesis import strategies as st

from spanwise.core.errors import DataError
from spanwise.feedback.files import iter_records, load_or_raise, read_records, write_records
from spanwise.feedback.prompts import DemonstrationRecord, PromptRecord
from spanwise.feedback.schema import FeedbackRecord


@thorough
@given(records=st.lists(records(), max_size=2, unique_by=lambda record: record.id), suffix=st.sampled_from(["", ".gz"]))
def test_what_is_written_is_read_again(tmp_path, records, suffix):
    path = tmp_path / f"feedback.jsonl{suffix}"
    assert write_records(path, records) == len(records)
    result = read_records(path, FeedbackRecord)
    assert (result.records, result.problems) == (records, [])
    assert result.lines == list(range(1, len(records) + 1))


@pytest.mark.parametrize(
    "record",
    [PromptRecord(prompt="Why?"), DemonstrationRecord(id="d", prompt="Why?", completion="So.", metadata={"k": [1]})],
)
def test_every_model_of_records_has_the_same_files(tmp_path, record):
    path = tmp_path / "records.jsonl"
    write_records(path, [record])
    assert load_or_raise(path, type(record)) == [record]


def line(**changes):
    return json.dumps(small_record().model_dump(mode="json") | changes).encode()


@pytest.mark.parametrize(
    ("bad", "field", "reason"),
    [
        (b"{", "", "not JSON (Expecting property name"),
        (b'{"id": 1} x', "", "more text after the value"),
        (b"[1, 2]", "", "a record is a JSON object, this is a list"),
        (b"null", "", "a record is a JSON object, this is null"),
        (b'{"id": "\xff"}', "", "not UTF-8 at byte 8 of the line"),
        (b'{"id": "a", "id": "b"}', "", "the key 'id' appears twice"),
        (line(provenance={"x": "NAN"}).replace(b'"NAN"', b"NaN"), "", "NaN is no JSON number"),
        (line(provenance={"x": "BIG"}).replace(b'"BIG"', b"1e999"), "", "the number 1e999 is too large"),
        (line(provenance={"x": "BIG"}).replace(b'"BIG"', b"1" * 5000), "", "an integer of more than 4,300 digits"),
        (b"[" * 99999, "", "nested too deeply"),
        (line(prompt="a\0b"), "prompt", "NUL at character 1"),
        (line(prompt="\ud800"), "prompt", "lone surrogate U+D800 at character 0"),
        (line(references=["a\r\n"]), "references.0", "carriage return at character 1"),
        (line(schema_version=2), "schema_version", "version 2 is not one that this Spanwise reads (1)"),
        (line(promt="x"), "promt", "unknown key; did you mean prompt?"),
        (line(zzz="x"), "zzz", "unknown key; remove or rename it."),
        (line(responses=[]), "responses", "at least 1 item"),
        (line(prompt=3), "prompt", "must be a string (got 3)."),
        (b'{"id": "x"}', "prompt", "is required; add it."),
        (line(responses=[{"text": "abc", "marked": "yes"}]), "responses.0.marked", "must be true or false"),
    ],
)
def test_a_bad_line_is_told_with_its_place_and_costs_no_other(tmp_path, bad, field, reason):
    path = tmp_path / "feedback.jsonl"
    path.write_bytes(b"\n".join([line(id="first"), bad, b"", line(id="last")]))
    result = read_records(path, FeedbackRecord)
    assert [record.id for record in result.records] == ["first", "last"]
    assert {(problem.file, problem.line) for problem in result.problems} == {(str(path), 2)}
    assert (field, True) in [(problem.field, reason in problem.reason) for problem in result.problems]
    assert [place.raw.rstrip(b"\n") for place in result.rejected] == [bad]


def test_span_problems_name_the_span(tmp_path):
    value = json.loads(line())
    value["responses"][0]["spans"][1] |= {"end": 999}
    path = tmp_path / "feedback.jsonl"
    path.write_text(json.dumps(value))
    (problem,) = read_records(path, FeedbackRecord).problems
    assert str(problem) == (
        f"{path}:1: responses.0.spans.1: [22, 999) is no span of a text of 58 characters; correct the offsets."
    )


def test_one_broken_line_among_many_costs_one_line(tmp_path):
    path = tmp_path / "prompts.jsonl.gz"
    with gzip.open(path, "wb") as stream:
        for number in range(20000):
            stream.write(b"{]\n" if number == 12345 else b'{"prompt": "Why %d?"}\n' % number)
    result = read_records(path, PromptRecord)
    assert (len(result.records), [problem.line for problem in result.problems]) == (19999, [12346])


def test_reading_is_line_by_line(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(b'{"prompt": "Why?"}\n' * 100000 + b"\xff" * 100)
    reader = iter_records(path, PromptRecord)
    place, record = next(reader)
    assert (place.line, record) == (1, PromptRecord(prompt="Why?"))
    reader.close()


def test_second_use_of_an_id_is_refused_and_the_first_kept(tmp_path):
    path = tmp_path / "feedback.jsonl"
    path.write_bytes(b"\n".join([line(id="a"), line(id="b"), line(id="a", prompt="other")]))
    result = read_records(path, FeedbackRecord)
    assert [record.id for record in result.records] == ["a", "b"]
    assert str(result.problems[0]).endswith(":3: id: 'a' is the id of line 1 already; make ids unique.")


def test_windows_files_are_read(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"prompt": "a"}\r\n\r\n{"prompt": "b"}\r\n')
    assert [record.prompt for record in load_or_raise(path, PromptRecord)] == ["a", "b"]


def test_load_or_raise_names_the_first_problem_and_counts_the_others(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": ""}\n{"prompt": "Why?"}\n{}\n{"prompt": 1}\n')
    with pytest.raises(DataError, match=r"prompts.jsonl:1: prompt: .* \(2 more problems in this file\)"):
        load_or_raise(path, PromptRecord)


def test_load_or_raise_refuses_an_empty_file(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n \n")
    assert read_records(path, PromptRecord).records == []
    with pytest.raises(DataError, match="holds no records"):
        load_or_raise(path, PromptRecord)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "feedback.jsonl"
    write_records(path, [small_record()])
    before = path.read_bytes()

    def breaks():
        yield small_record("next")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_records(path, breaks())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
