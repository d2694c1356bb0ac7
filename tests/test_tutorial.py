"""The tutorial, followed word for word: its commands are taken from the page."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from doubles.tutorial_marks import tutorial_csv

START = Path(__file__).parents[1] / "docs" / "start"
COMMANDS = re.findall(r"```sh\n(.*?)```", (START / "first_marks.md").read_text(encoding="utf-8"), flags=re.DOTALL)
SPANWISE = "from spanwise.cli import main; main()"


@pytest.fixture(name="follow")
def the_reader(tmp_path):
    """Types commands in a new folder with the page's spreadsheet, as one shell."""
    shutil.copy(START / "marks.csv", tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, start in {"python": "", "spanwise": f" -c '{SPANWISE}'"}.items():
        (tools / name).write_text(f'#!/bin/sh\nexec {sys.executable}{start} "$@"\n')
        (tools / name).chmod(0o755)
    paths = os.pathsep.join([str(tools), os.environ["PATH"]])

    def follow(*commands):
        script = "set -e\n" + "\n".join(commands)
        settings = {"cwd": tmp_path, "env": os.environ | {"PATH": paths}}
        done = subprocess.run(["bash", "-c", script], **settings, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return tmp_path, done.stdout

    return follow


def test_the_marks_of_the_spreadsheet_are_those_of_an_exact_annotator():
    with (START / "marks.csv").open(encoding="utf-8", newline="") as stream:
        answers = {row["context"]: row["answer"] for row in csv.DictReader(stream)}
    assert len(answers) == 257
    assert (START / "marks.csv").read_text(encoding="utf-8") == tutorial_csv(answers)


def test_the_page_makes_a_project_of_the_spreadsheet(follow):
    folder, said = follow(*COMMANDS[:2])
    assert "257 records; heads: wrong, off_topic." in said
    assert f"bash {COMMANDS[2].split()[1]}" in said
    steps = {path.stem for path in (folder / "my-project").glob("*.yaml")}
    assert steps == {"sft", "reward", "rl", "evaluate"}
    assert all(yaml.safe_load((folder / "my-project" / f"{step}.yaml").read_text()) for step in steps)


@pytest.mark.slow
def test_the_whole_page_ends_with_a_report(follow):
    folder, _ = follow(*COMMANDS)
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "wrong" in report
    assert "off_topic" in report
