"""Cards say what the run folder says, and what it does not."""

import json

import pytest
import yaml
from doubles.experiment import write_experiment, write_run
from huggingface_hub import DatasetCard, ModelCard

from spanwise.core.errors import DataError
from spanwise.evals.report.cards import data_card, model_card, write_cards

CONFIG = {
    "policy": "gpt2",
    "algorithm": "ppo",
    "steps": 5,
    "seed": 3,
    "prompts": "prompts.jsonl",
    "heldout": "absent.jsonl",
    "mixture": {"sources": {"relevance": {"weight": 0.3}, "factuality": {"weight": 0.5}}},
}


@pytest.fixture(name="run")
def rl_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my-run"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    rows = [
        {"step": 0, "eval/reward/total": 0.25, "eval/kl/response": 0.0},
        {"step": 5, "eval/reward/total": 1.75, "eval/kl/response": 2.5, "alarm/length_drift": 1.0},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    records = [{"id": "a", "prompt": "one two three"}, {"id": "b", "prompt": "one", "references": ["x"]}]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in records) + "no json\n")
    return folder


def test_a_model_card_of_a_run(run):
    text = model_card(run)
    data = ModelCard(text).data
    assert data.base_model == "gpt2"
    assert data.library_name == "transformers"
    assert {"spanwise", "rlhf"} <= set(data.tags)
    assert "relevance, factuality" in text
    assert "| weight of factuality | `0.5` |" in text
    assert "| `eval/reward/total` | 0.25 (step 0) | 1.75 (step 5) |" in text
    assert "Alarms that rang: alarm/length_drift" in text
    assert "no intervals" in text
    assert "spanwise rl config.yaml" in text


def test_a_local_start_is_no_hub_name(run):
    (run / "config.yaml").write_text(yaml.safe_dump({**CONFIG, "policy": "runs/sft/checkpoints/best"}))
    assert ModelCard(model_card(run)).data.base_model is None


def test_a_data_card_counts_and_says_what_is_not_there(run):
    text = data_card(run)
    assert DatasetCard(text).data.tags == ["spanwise"]
    assert "names 2 data files, of which 1 can be read" in text
    assert "2 records, SHA-256" in text
    assert "1 lines are no JSON" in text
    assert "| `prompt` | 2 | 2.0 |" in text
    assert "| `references` | 1 | - |" in text
    assert "Not at hand: absent.jsonl" in text


def test_an_experiment_has_its_table_with_intervals(tmp_path):
    write_experiment(tmp_path / "study", prompts=20, steps=2)
    text = model_card(tmp_path / "study")
    assert "Fine-grained RLHF" in text
    assert "95 % intervals" in text
    assert "[" in next(line for line in text.splitlines() if line.startswith("| Fine-grained RLHF"))


def test_both_cards_are_written_and_no_run_is_refused(tmp_path):
    write_run(tmp_path / "run", steps=2)
    assert [path.name for path in write_cards(tmp_path / "run", tmp_path / "cards")] == [
        "model_card.md",
        "data_card.md",
    ]
    assert (tmp_path / "cards" / "data_card.md").exists()
    with pytest.raises(DataError, match="give a run folder"):
        model_card(tmp_path / "cards")
