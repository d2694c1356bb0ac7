"""Every kind of bad feedback file: one clear sentence, exit code 2, nothing half-written, no good record lost."""

import gzip
import json

import pytest
from doubles.feedback import small_item, small_record
from typer.testing import CliRunner

from spanwise.cli.feedback import app
from spanwise.core.errors import SpanwiseError
from spanwise.feedback.files import read_records
from spanwise.feedback.schema import FeedbackRecord


def run(*arguments):
    """(exit code, what a user sees on standard error) of a feedback command, as `spanwise` itself ends."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, SpanwiseError):
        return 2, str(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stderr


GOOD = json.dumps(small_record().model_dump(mode="json")).encode()
GOOD_ITEM = json.dumps(small_item()).encode()
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"

WRONG_FILES = {
    "a picture as records": ("a.jsonl", PNG, "spanwise", "is an image"),
    "a picture as items": ("a.json", PNG, "qa-feedback", "is an image"),
    "a list as records": ("a.jsonl", b"[" + GOOD + b"]", "spanwise", "holds one JSON list, not one record per line"),
    "records as items": ("a.json", GOOD, "qa-feedback", "is a file of feedback records of Spanwise"),
    "nothing as items": ("a.json", b"", "qa-feedback", "a JSON list was expected, the file begins with nothing"),
    "demonstrations": ("a.json", b'[{"answer": ["x"], "text": "t"}]', "qa-feedback", "this file holds demonstrations"),
    "not gzipped": ("a.jsonl.gz", GOOD, "spanwise", "not a gzipped file"),
    "UTF-16": ("a.jsonl", GOOD.decode().encode("utf-16"), "spanwise", "is text in UTF-16"),
    "cut archive of items": ("a.json.gz", gzip.compress(GOOD_ITEM * 99)[:-20], "qa-feedback", "cannot be read"),
}


@pytest.mark.parametrize("case", WRONG_FILES)
@pytest.mark.parametrize("command", ["stats", "validate"])
def test_a_wrong_file_is_one_sentence(tmp_path, case, command):
    name, content, form, sentence = WRONG_FILES[case]
    path = tmp_path / name
    path.write_bytes(content)
    code, told = run(command, path, "--format", form)
    assert code == 2
    assert str(path) in told.splitlines()[0]
    assert sentence in told.splitlines()[0]
    assert "Traceback" not in told


@pytest.mark.parametrize("form", ["spanwise", "qa-feedback"])
def test_a_folder_or_nothing_is_one_sentence(tmp_path, form):
    for path, reason in ((tmp_path, "is a directory"), (tmp_path / "absent", "no such file or directory")):
        told = f"{path}: cannot be read ({reason}); check the path and the file."
        assert run("validate", path, "--format", form) == (2, told)


def altered(**changes):
    return json.dumps(small_record().model_dump(mode="json") | changes).encode()


def with_span(**changes):
    value = json.loads(GOOD)
    value["responses"][0]["spans"][0] |= changes
    return json.dumps(value).encode()


BAD_LINES = {
    "span outside its text": (with_span(end=4000), "responses.0.spans.0: [0, 4000) is no span of a text of 58"),
    "span beside its quote": (with_span(start=1), "responses.0.spans.0.quote: the text there is 'da was"),
    "unknown key": (altered(promt="x"), "promt: unknown key; did you mean prompt?"),
    "unknown version": (altered(schema_version=7), "schema_version: version 7 is not one that this Spanwise reads (1)"),
    "lone surrogate": (altered(prompt="a\ud800"), "prompt: lone surrogate U+D800 at character 1; remove it"),
    "NUL": (altered(prompt="\0"), "prompt: NUL at character 0; remove it"),
    "carriage return": (altered(prompt="a\r\n"), "prompt: carriage return at character 1"),
    "half a line": (GOOD[:50], "not JSON ("),
    "invalid UTF-8": (GOOD.replace(b"Ada", b"\xff\xfe"), "not UTF-8 at byte"),
    "key twice": (GOOD.replace(b"{", b'{"id": "y", ', 1), "the key 'id' appears twice in one object; keep one."),
    "NaN": (altered(provenance={"x": float("nan")}), "NaN is no JSON number; write a number or null."),
    "id twice": (GOOD, "id: 'r0' is the id of line 1 already; make ids unique."),
    "no object": (b'"text"', "a record is a JSON object, this is a string; remove or mend it."),
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_a_bad_line_is_named_and_no_good_one_lost(tmp_path, case):
    line, sentence = BAD_LINES[case]
    source, output = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    last = json.dumps(small_record("last").model_dump(mode="json")).encode()
    source.write_bytes(b"\r\n".join([GOOD, line, last]))
    code, told = run("validate", source)
    assert code == 2
    assert told.startswith(f"{source}:2: {sentence}")
    assert run("convert", source, "--to", "spanwise", "--output", output)[0] == 2
    assert not output.exists()
    assert run("convert", source, "--to", "spanwise", "--output", output, "--skip-bad")[0] == 0
    assert [record.id for record in read_records(output, FeedbackRecord).records] == ["r0", "last"]
    assert len((tmp_path / "b.jsonl.rejected.jsonl").read_text().splitlines()) == 1


def test_an_empty_answer_in_qa_feedback_is_named(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([small_item(), small_item() | {"prediction 2": ""}]))
    code, told = run("validate", path, "--format", "qa-feedback")
    assert code == 2
    assert told.startswith(f"{path}:1: item 1: prediction 2: is empty; ")


def test_a_cut_archive_keeps_the_whole_lines_before_the_cut(tmp_path):
    lines = b"".join(altered(id=f"r{number}", prompt=f"{number:x}" * 40) + b"\n" for number in range(3000))
    path = tmp_path / "a.jsonl.gz"
    packed = gzip.compress(lines)
    path.write_bytes(packed[: len(packed) // 2])
    result = read_records(path, FeedbackRecord)
    assert [record.id for record in result.records] == [f"r{number}" for number in range(len(result.records))]
    assert len(result.records) > 1000
    (problem,) = result.problems
    assert problem.line == len(result.records) + 1
    assert "the file breaks off here" in problem.reason


def test_a_cut_list_keeps_the_items_before_the_cut(tmp_path):
    path, output = tmp_path / "a.json", tmp_path / "b.jsonl"
    path.write_text(json.dumps([small_item()] * 3)[:-100])
    code, told = run("validate", path, "--format", "qa-feedback")
    assert code == 2
    assert told.startswith(f"{path}:1: item 2: not JSON (")
    assert "Nothing behind this place was read." in told
    run("convert", path, "--from", "qa-feedback", "--to", "spanwise", "--output", output, "--skip-bad")
    assert len(read_records(output, FeedbackRecord).records) == 2


@pytest.mark.parametrize("place", ["", "file.jsonl/below.jsonl"])
def test_an_output_that_cannot_be_is_one_sentence(tmp_path, place):
    source = tmp_path / "file.jsonl"
    source.write_bytes(GOOD)
    code, told = run("convert", source, "--to", "spanwise", "--output", tmp_path / place)
    assert code == 2
    assert str(tmp_path / place) in told
    assert [path.name for path in tmp_path.iterdir()] == ["file.jsonl"]
    assert source.read_bytes() == GOOD


def test_a_conversion_that_dies_leaves_the_old_output(tmp_path, monkeypatch):
    source, output = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    source.write_bytes(GOOD)
    output.write_text("old")

    deaths = []

    def broken(self, **_):
        deaths.append(self.id)
        raise KeyboardInterrupt

    monkeypatch.setattr(FeedbackRecord, "model_dump_json", broken)
    CliRunner().invoke(app, ["convert", str(source), "--to", "spanwise", "--output", str(output)])
    assert len(deaths) == 1
    assert output.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "b.jsonl"]
