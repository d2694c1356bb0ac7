"""`spanwise text segment` on files, standard input and input that is no text."""

import gzip
import json

import pytest
from typer.testing import CliRunner

from spanwise.cli.text import app
from spanwise.core.errors import ConfigError, DataError

TEXT = "Café one. It rained, so all of us stayed in bed [all] day.\r\n\r\nThe end 😀.\n"


def run(*arguments, stdin=b""):
    result = CliRunner().invoke(app, ["segment", *map(str, arguments)], input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(params=["plain", "gz", "stdin"])
def source(request, tmp_path):
    """(arguments, standard input) that hold TEXT."""
    if request.param == "stdin":
        return [], TEXT.encode()
    path = tmp_path / ("text.txt.gz" if request.param == "gz" else "text.txt")
    path.write_bytes(gzip.compress(TEXT.encode()) if request.param == "gz" else TEXT.encode())
    return [path], b""


def test_json_holds_every_segment_in_code_points(source):
    arguments, stdin = source
    found = json.loads(run(*arguments, "--segmenter", "sentence", "--json", stdin=stdin).stdout)
    text = TEXT.replace("\r\n", "\n")
    assert (found["segmenter"], found["characters"]) == ("sentence", len(text))
    assert [row["text"] for row in found["segments"]] == [
        "Café one. ",
        "It rained, so all of us stayed in bed [all] day.\n\n",
        "The end 😀.\n",
    ]
    assert all(text[row["start"] : row["end"]] == row["text"] for row in found["segments"])


def test_the_table_shows_offsets_and_keeps_brackets(source, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    arguments, stdin = source
    shown = run(*arguments, "--segmenter", "paragraph", stdin=stdin).stdout
    lines = [line.rstrip() for line in shown.splitlines()]
    assert lines[0].split() == ["start", "end", "text"]
    assert lines[1].split(maxsplit=2) == ["0", "60", "Café one. It rained, so all of us stayed in bed [all] day."]
    assert lines[2].split(maxsplit=2) == ["60", "71", "The end 😀."]


def test_the_empty_text_has_no_segments():
    assert json.loads(run("--json").stdout)["segments"] == []
    shown = run()
    assert (shown.stdout, shown.stderr) == ("", "The text is empty: it has no segments.\n")


@pytest.mark.parametrize(
    ("arguments", "stdin", "error", "message"),
    [
        (["nowhere.txt"], b"", DataError, "nowhere.txt: cannot be read"),
        ([], b"ab\xff", DataError, "standard input: not UTF-8 at byte 2"),
        ([], b"a\xed\xa0\x80", DataError, "standard input: not UTF-8 at byte 1"),  # a lone surrogate
        ([], b"ab\0c", DataError, "standard input: NUL at character 2"),
        (["--segmenter", "word"], b"ab", ConfigError, "Unknown segmenter 'word'"),
    ],
)
def test_what_is_no_text_or_no_segmenter_is_one_of_our_errors(arguments, stdin, error, message):
    with pytest.raises(error, match=message):
        run(*arguments, stdin=stdin)
