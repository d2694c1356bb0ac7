"""`spanwise evaluate` with policies that answer: arms, what they are held against, and what lies on disk."""

import json

import pytest
import torch

from spanwise.core.errors import DataError
from spanwise.evals.metrics.answer_table import evaluate
from spanwise.evals.metrics.config import EvaluateConfig
from spanwise.evals.metrics.policies import mean_rouge
from spanwise.feedback.prompts import PromptRecord
from spanwise.feedback.scores import SegmentScore, SegmentScores
from spanwise.models import Answer, Policy
from spanwise.text.spans import Span


class Length:
    """Pays characters."""

    name, category, density, version = "length", "facts", "sequence", "1"

    def score(self, samples):
        return [SegmentScores((SegmentScore(Span(0, 1), float(len(sample.response))),)) for sample in samples]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture
def settings(tmp_path, tiny_llama):
    """A trained policy and the one that it began from, which differ in their noise."""
    policy = Policy(*tiny_llama)
    policy.save(tmp_path / "sft")
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    policy.save(tmp_path / "rl")
    rows = [{"id": f"q{i}", "prompt": f"Who was born {i}?", "references": ["Ada was born in Oslo."]} for i in range(6)]
    demonstrations = [{"prompt": f"Who is {i}?", "completion": "Ada Veld. " * (1 + i % 3)} for i in range(12)]
    return {
        "prompts": write(tmp_path / "prompts.jsonl", rows),
        "policy": str(tmp_path / "rl"),
        "reward_models": ("length",),
        "answering": {"sampling": {"max_new_tokens": 6}, "samples_per_prompt": 4},
        "free_rivals": {
            "policy": str(tmp_path / "sft"),
            "validation": write(tmp_path / "validation.jsonl", rows[:2]),
            "temperatures": [0.5],
            "best_of": 2,
            "demonstrations": write(tmp_path / "demonstrations.jsonl", demonstrations),
            "sft": {"epochs": 1},
            "run_dir": tmp_path / "liked",
        },
        "output": tmp_path / "out",
        "device": "cpu",
        "resamples": 100,
    }


def test_a_policy_stands_beside_every_free_rival_under_both_decodings(settings):
    said = []
    results = evaluate(EvaluateConfig(**settings), [Length()], say=said.append)
    decodings = {name: arm.decoding for name, arm in results.arms.items()}
    assert decodings == {
        "baseline-policy@greedy": "greedy",
        "baseline-policy@temperature-1": "temperature 1",
        "baseline-policy@temperature-1+best-of-2": "temperature 1, best of 2",
        "baseline-policy@temperature-0.5": "temperature 0.5",
        "baseline-policy@temperature-1+top-p-0.9": "temperature 1, top-p 0.9",
        "sft-on-liked@greedy": "greedy",
        "sft-on-liked@temperature-1": "temperature 1",
        "policy@greedy": "greedy",
        "policy@temperature-1": "temperature 1",
    }
    assert results.free == set(list(decodings)[:-2])
    pairs = list(dict.fromkeys((one.arm, one.baseline) for one in results.comparisons))
    assert pairs == [
        ("policy@greedy", "baseline-policy@greedy"), ("policy@temperature-1", "baseline-policy@temperature-1"),
    ]  # fmt: skip
    assert all(one.verdict != "not held" for one in results.comparisons)
    pool, best = (results.arms[name].metrics["reward/length"].mean for name in list(decodings)[1:3])
    assert best >= pool
    assert any("liked best" in line for line in said)
    lines = (settings["output"] / "answers" / "policy@temperature-1.jsonl").read_text().splitlines()
    stored = [json.loads(line) for line in lines]
    assert [row["id"] for row in stored] == [f"q{i}" for i in range(6) for _ in range(4)]


def test_a_file_of_responses_is_held_against_the_free_rivals_too(settings, tmp_path):
    answers = write(tmp_path / "r.jsonl", [{"id": f"q{i}", "response": "Ada was born in Oslo."} for i in range(6)])
    rivals = settings["free_rivals"] | {"demonstrations": None, "run_dir": None}
    changes = {"policy": None, "responses": answers, "reward_models": (), "free_rivals": rivals, "output": None}
    results = evaluate(EvaluateConfig(**settings | changes))
    (rouge,) = [one for one in results.comparisons if one.metric == "rouge_lsum"]
    assert (rouge.arm, rouge.baseline, rouge.verdict) == ("responses", "baseline-policy@greedy", "better")
    assert not any("best-of" in name for name in results.arms), "without reward models there is no best of n"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"policy": None}, "either responses"),
        ({"reward_models": ()}, "chosen by reward"),
        ({"answering": {"samples_per_prompt": 3}}, "no multiple"),
        ({"answering": {"decoding": "greedy", "samples_per_prompt": 1}}, "greedily in any case"),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_any_work(settings, changes, words):
    with pytest.raises(ValueError, match=words):
        EvaluateConfig(**settings | changes)


def test_rouge_chooses_only_where_there_are_references():
    answers = [Answer(id="0", sample=0, prompt="q", response="Ada sang.", truncated=False, tokens=2)]
    assert mean_rouge([PromptRecord(prompt="q", references=("Ada sang.",))], answers) == 1.0
    with pytest.raises(DataError, match="no prompt has a reference"):
        mean_rouge([PromptRecord(prompt="q")], answers)


def test_prompts_count_alike_however_often_they_were_answered(tmp_path):
    prompts = write(tmp_path / "p.jsonl", [{"id": key, "prompt": key} for key in "ab"])
    rows = [{"id": "a", "response": "one"}, *({"id": "b", "response": "one two three"} for _ in range(7))]
    found = evaluate(EvaluateConfig(prompts=prompts, responses=write(tmp_path / "r.jsonl", rows), resamples=100))
    assert found.arms["responses"].metrics["words"].mean == 2.0
