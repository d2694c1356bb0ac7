"""The files that we write for other tools, read by those tools' own packages, each in an environment of its own.

A package that cannot be installed here is said and skipped. Environments stay below `.venv/tools` for the next run.
"""

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from spanwise.feedback import FeedbackRecord, Preference, Response, mark
from spanwise.feedback.formats import read_feedback, write_feedback

pytestmark = pytest.mark.tools
ENVIRONMENTS = Path(sys.prefix) / "tools"
CHECKS = Path(__file__).parent / "checks"
PACKAGES = {
    "argilla": ("argilla==2.8.0", "requests"),  # which it imports and does not name
    "label-studio": ("label-studio-sdk==2.1.2",),
    "doccano": ("doccano-client==1.2.8", "urllib3<2"),  # what it imports is gone from urllib3 2
    "thresh": ("thresh==1.1.1",),
    "uima-cas": ("dkpro-cassis==0.12.0",),
    "potato": ("potato-annotation==2.12.1",),
}
TEXT = "\U0001f600 The dam of Lund was closed in 1931, 我喜欢苹果。"
RECORDS = [
    FeedbackRecord(
        id="marked", prompt="When?", annotator="ann",
        responses=(Response(text=TEXT, marked=True, correction=TEXT.replace("1931", "1932"), spans=(
            mark(TEXT, TEXT.index("1931"), TEXT.index("1931") + 4, "Wrong", note="It was 1932."),
            mark(TEXT, TEXT.index("苹果"), TEXT.index("苹果") + 2, "Odd/Style"))),
            Response(text="In 1932.", marked=True)),
        preferences=(Preference(first=0, second=1, winner="second"),),
    ),
    FeedbackRecord(id="by-mail", prompt="?", annotator="a@b.example", responses=(Response(text="No.", marked=True),)),
    FeedbackRecord(id="by-number", prompt="?", annotator="7", responses=(Response(text="No.", marked=True),)),
    FeedbackRecord(id="by-nobody", prompt="?", responses=(Response(text="No.", correction="Yes."),)),
    FeedbackRecord(id="unmarked", prompt="?", responses=(Response(text="No."), Response(text="Yes."))),
]  # fmt: skip
MARKS = [["1931", "Wrong"], ["苹果", "Odd/Style"]]


def python_with(*packages: str) -> Path:
    """The interpreter of an environment that holds the packages; skips where there can be none."""
    package = packages[0]
    folder = ENVIRONMENTS / package.replace("==", "-")
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        done = subprocess.run(list(map(str, install)), capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"{package} cannot be installed here ({(done.stderr.strip().splitlines() or ['?'])[-1]})")
        (folder / "ready").touch()
    return python


@pytest.fixture
def seen(tmp_path):
    def by_tool(tool):
        python = python_with(*PACKAGES[tool])
        path = tmp_path / "export"
        write_feedback(path, tool, RECORDS)
        check = CHECKS / f"{tool.replace('-', '_')}_check.py"
        done = subprocess.run([str(python), str(check), str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return {row["id"]: row for row in json.loads(done.stdout.splitlines()[-1])}

    return by_tool


def test_argilla_takes_every_record_and_cuts_the_same_words(seen):
    rows = seen("argilla")
    assert set(rows) == {record.id for record in RECORDS}
    assert rows["marked"]["status"] == ["submitted"]
    units = TEXT.encode("utf-16-le")
    cut = [
        [units[2 * span["start"] : 2 * span["end"]].decode("utf-16-le"), span["label"]]
        for span in rows["marked"]["marks"]["spans_r1"]
    ]
    assert cut == MARKS
    assert (rows["marked"]["marks"]["spans_r2"], rows["unmarked"]["status"]) == ([], [])


def test_label_studio_accepts_every_annotation_under_the_config_beside_it(seen):
    rows = seen("label-studio")
    assert set(rows) == {record.id for record in RECORDS}
    assert rows["marked"]["marks"] == [["r1", *marked] for marked in MARKS]


@pytest.mark.parametrize("tool", ["doccano", "thresh"])
def test_doccano_and_thresh_cut_the_same_words(tool, seen):
    rows = seen(tool)
    assert set(rows) == {record.id for record in RECORDS}
    assert rows["marked"]["marks"] == MARKS
    assert rows["unmarked"]["marks"] == []


@pytest.mark.parametrize("tool", ["uima-cas", "potato"])
def test_files_that_a_tool_writes_are_read_with_the_words_that_it_sees(tool, tmp_path):
    check, path = CHECKS / f"{tool.replace('-', '_')}_write.py", tmp_path / "written"
    command = [str(python_with(*PACKAGES[tool])), str(check), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    records = read_feedback(path, tool).records
    words = sorted(m.quote for record in records for response in record.responses for m in response.spans)
    assert words == json.loads(done.stdout.splitlines()[-1])
