"""`spanwise evaluate over-optimisation` on a run folder, with a reward model that counts words."""

import json

import pytest
from typer.testing import CliRunner

from spanwise.cli.evaluate import app
from spanwise.core import DataError
from spanwise.feedback import PromptRecord, SegmentScore, SegmentScores, write_records
from spanwise.text import Span


class FewerWords:
    name, category, density, version = "short", "length", "sequence", "123456789"

    def score(self, samples):
        return [
            SegmentScores((SegmentScore(Span(0, len(one.response)), -float(len(one.response.split()))),))
            for one in samples
        ]


@pytest.fixture(name="work")
def folder_with_a_run_and_its_prompts(tmp_path, monkeypatch):
    monkeypatch.setattr("spanwise.rewards.load_sources", lambda path: [FewerWords()])
    write_records(tmp_path / "prompts.jsonl", [PromptRecord(prompt=f"q{n}") for n in range(6)])
    rows = [
        {
            "step": step,
            "prompt": f"q{n}",
            "response": "word " * (1 + step + n),
            "tokens": ["a", "b"],
            "token_scores": [step, n],
            "kl": [0.1 * step, 0.0],
        }
        for step in (0, 5, 10)
        for n in range(6)
    ]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def run(work, *words):
    arguments = ["over-optimisation", work / "run", "--gold", "model", "--prompts", work / "prompts.jsonl", *words]
    return CliRunner().invoke(app, [str(word) for word in arguments], catch_exceptions=False).stdout


def test_where_a_run_should_have_stopped_is_said_drawn_and_kept(work):
    shown = run(work, "--output", work / "page.html", "--save")
    assert "stop there" in " ".join(shown.split())
    assert f"Drawn in {work / 'page.html'}." in " ".join(shown.split())
    assert (work / "page.html").read_text("utf-8").count("<svg") >= 3
    found = json.loads(run(work, "--json"))
    assert found["gold"] == "the mean of short (12345678)"
    assert list(found["runs"]) == ["run"]
    (kept,) = (path for path in (work / "run").iterdir() if path.name != "samples.jsonl")
    assert json.loads(kept.read_text("utf-8"))["gold"] == found["gold"]


def test_a_run_without_an_answer_to_the_prompts_is_refused(work):
    write_records(work / "prompts.jsonl", [PromptRecord(prompt="another")])
    with pytest.raises(DataError, match=r"logged no answer.*logged_samples"):
        run(work)
