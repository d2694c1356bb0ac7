"""Commands of `spanwise evaluate` that load models: perplexity, and reward models on benchmark files."""

import json

import pytest
from doubles.models import tiny_llama
from typer.testing import CliRunner

from spanwise.cli.evaluate import app
from spanwise.feedback.scores import SegmentScore, SegmentScores
from spanwise.text.spans import Span


class LongerSource:
    name, category, density, version = "longer", "preference", "sequence", "1"

    def score(self, samples):
        return [SegmentScores((SegmentScore(Span(0, 1), float(len(one.response))),)) for one in samples]


def told(*words):
    return json.loads(CliRunner().invoke(app, [str(word) for word in (*words, "--json")]).stdout)


def test_a_language_model_adds_perplexity_to_the_metrics(tmp_path):
    for part in tiny_llama():
        part.save_pretrained(tmp_path / "model")
    prompts = [{"id": str(number), "prompt": "where?"} for number in range(4)]
    answers = [{"id": str(number), "response": "in Oslo" if number else ""} for number in range(4)]
    for name, rows in (("prompts", prompts), ("answers", answers)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    settings = f"prompts: {tmp_path}/prompts.jsonl\nresponses: {tmp_path}/answers.jsonl\nresamples: 100\n"
    (tmp_path / "e.yaml").write_text(settings + f"perplexity_model: {tmp_path}/model\n", "utf-8")
    found = told("answers", tmp_path / "e.yaml")["metrics"]
    assert found["perplexity"]["mean"] > 1
    assert (found["perplexity"]["n"], found["perplexity"]["unscored"]) == (3, 1)


def test_a_reward_model_is_measured_on_a_benchmark_file(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr("spanwise.rewards.load_sources", lambda path, device: [LongerSource()])
    rows = [{"prompt": "p", "chosen": "long one", "rejected": "short", "subset": "hep-go"}] * 3
    rows.append({"prompt": "p", "chosen": "a", "rejected": "a b", "subset": "own"})
    (tmp_path / "bench.json").write_text(json.dumps(rows), "utf-8")
    found = told("reward-bench", tmp_path / "bench.json", "model")["longer"]
    assert found["all"]["accuracy"]["mean"] == 0.75
    assert (found["own"]["accuracy"]["mean"], found["own"]["longer_wins"]) == (0.0, 0.0)
    shown = CliRunner().invoke(app, ["reward-bench", str(tmp_path / "bench.json"), "model"]).stdout
    assert "reasoning: 1.000" in shown
