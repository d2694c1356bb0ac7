"""What commands print: JSON that every reader takes, and text that cannot steer a terminal."""

import json
import math
from pathlib import Path

import pytest

from spanwise.cli.render import bounds, count, show, visible


def test_json_has_null_for_what_is_no_number_and_text_for_paths(capsys: pytest.CaptureFixture[str]) -> None:
    summary = {"mean": math.nan, "ends": (-math.inf, 0.5), "page": Path("a/b.html"), "name": "é"}
    show(summary, [], as_json=True)
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"mean": None, "ends": [None, 0.5], "page": "a/b.html", "name": "é"}
    assert "NaN" not in shown
    assert "Infinity" not in shown


def test_lines_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    show({}, ["one", "[two]"], as_json=False)
    assert capsys.readouterr().out == "one\n[two]\n"


def test_words_and_numbers() -> None:
    assert (count(1, "record"), count(1200, "record")) == ("1 record", "1,200 records")
    assert (bounds(0.1, 0.25), bounds(None, 1.0)) == (" [0.1, 0.25]", "")
    assert visible("a\x1b[2Jb") == "a\\x1b[2Jb"
