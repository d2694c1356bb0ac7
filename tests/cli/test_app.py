"""The front door: one sentence and exit code 2 for what the user can mend, no traceback, a helpful list of commands."""

import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = ("quickstart", "text", "feedback", "sft", "reward", "rl", "generate", "evaluate", "report")


def _run(*words: str, cwd: Path | None = None, code: str = "") -> subprocess.CompletedProcess[str]:
    program = f"{code}\nfrom spanwise.cli import main\nmain()"
    return subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False, cwd=cwd, timeout=120
    )


def test_help_lists_every_command_without_loading_torch() -> None:
    done = _run("--help", code="import sys; sys.modules['torch'] = None")
    assert done.returncode == 0, done.stderr
    for command in COMMANDS:
        assert command in done.stdout


def test_a_missing_training_package_is_named_with_the_remedy(tmp_path: Path) -> None:
    done = _run("quickstart", "--output", str(tmp_path / "out"), code="import sys; sys.modules['torch'] = None")
    assert done.returncode == 2
    assert "spanwise[train]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("sft",), ("rl",), ("generate",), ("evaluate",), ("reward", "train")])
def test_a_missing_config_is_one_sentence_and_exit_code_2(command: tuple[str, ...], tmp_path: Path) -> None:
    done = _run(*command, "no-such.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "no-such.yaml" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == [], "nothing is written"


@pytest.mark.parametrize("command", [("sft",), ("rl",), ("generate",), ("evaluate",), ("reward", "train")])
def test_an_unknown_key_is_named_with_its_neighbour(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("sed: 1\n")
    done = _run(*command, "c.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "sed" in done.stderr
    assert "c.yaml" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("chosen", "command", "shown"), [("", "text", False), ("0", "text", True), ("", "push", True)])
def test_transformers_draws_no_bars_of_its_own(chosen: str, command: str, shown: bool, tmp_path: Path) -> None:
    program = (
        f"import os; os.environ.pop('HF_HUB_DISABLE_PROGRESS_BARS', None); chosen = {chosen!r}\n"
        "if chosen: os.environ['HF_HUB_DISABLE_PROGRESS_BARS'] = chosen\n"
        "from spanwise.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "from transformers.utils import logging\n"
        "print('bars', logging.is_progress_bar_enabled())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, command, "--help"], capture_output=True, text=True, check=False, timeout=120
    )
    assert f"bars {shown}" in done.stdout, done.stderr


def test_quickstart_refuses_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    done = _run("quickstart", "--output", str(tmp_path))
    assert done.returncode == 2
    assert (tmp_path / "mine.txt").read_text() == "keep me"


def test_quickstart_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    done = _run("quickstart", "--output", str(tmp_path / "notes.txt"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "notes.txt: is a file" in done.stderr


def test_a_command_imports_no_other_commands_file() -> None:
    code = "import sys; sys.modules['spanwise.cli.annotate'] = sys.modules['spanwise.cli.policies'] = None"
    done = _run("text", "segment", "--help", code=code)
    assert done.returncode == 0, done.stderr


def test_help_breaks_lines_where_the_terminal_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    for command, sentence in ((("report",), "what each run's folder"), (("text", "segment"), "left out: whitespace")):
        assert sentence in _run(*command, "--help").stdout


@pytest.mark.parametrize(
    ("command", "override", "sentence"),
    [
        ("sft", "precision=bfloat16", "c.yaml: precision was renamed to dtype."),
        ("dpo", "heldout_pairs=pairs.jsonl", "c.yaml: heldout_pairs was renamed to heldout."),
        ("rl", "rollout.server.url=http://a:1", "c.yaml: rollout.server: url was renamed to base_url."),
        ("sweep", "examples=3", "c.yaml: examples was renamed to example_prompts."),
    ],
)
def test_an_old_key_is_one_sentence_and_exit_code_2(command: str, override: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("run_dir: run\n")
    done = _run(command, "c.yaml", override, cwd=tmp_path)
    assert done.returncode == 2
    assert sentence in " ".join(done.stderr.split())
    assert [path.name for path in tmp_path.iterdir()] == ["c.yaml"], "nothing is written"
