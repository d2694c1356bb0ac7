"""A KL that weighs nothing needs no reference: the same updates, no copy of the policy, no KL in the log."""

import json

import pytest
import torch
from doubles.rl_world import small_trainer

from spanwise.core import LoraConfig
from spanwise.evals.runs import read_run

UNMEASURED = {"kl/response", "kl/token"}


def weights(trainer):
    return {name: tensor.clone() for name, tensor in trainer.updater.tensors().items()}


def same(first, second, **tolerance):
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, **tolerance)


@pytest.mark.parametrize("where", ["reward", "loss"])
@pytest.mark.parametrize("algorithm", ["ppo", "grpo", "rloo"])
def test_updates_are_those_of_a_kl_that_weighs_next_to_nothing(tmp_path, algorithm, where):
    found = []
    for coef in (0.0, 1e-30):
        trainer = small_trainer(tmp_path / str(coef), algorithm=algorithm, kl={"coef": coef, "where": where})
        metrics = [trainer.step(step) for step in (1, 2)]
        found.append((weights(trainer), metrics))
    (without, logged), (tiny, measured) = found
    same(tiny, without, rtol=1e-5, atol=1e-6)
    for mine, theirs in zip(logged, measured, strict=True):
        assert theirs.keys() - mine.keys() - {"policy/kl_loss"} == UNMEASURED
        assert mine["reward/after_kl"] == pytest.approx(theirs["reward/after_kl"])


@pytest.mark.parametrize("lora", [None, LoraConfig(rank=2)])
def test_nothing_is_held_or_asked(tmp_path, lora):
    trainer = small_trainer(tmp_path, algorithm="grpo", lora=lora, kl={"coef": 0})
    assert trainer.reference is None
    experience = trainer.make_experience(trainer.rollout(1), kl_coef=0.0)
    assert experience.ref_logprobs is None
    assert experience.kl is None
    assert torch.equal(experience.token_rewards, experience.token_scores)


def test_logs_and_samples_have_no_kl_and_are_read(tmp_path):
    small_trainer(tmp_path, algorithm="grpo", kl={"coef": 0}).run()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert not any(key.removeprefix("eval/") in UNMEASURED for line in lines for key in line)
    assert {line["kl/coef"] for line in lines if "kl/coef" in line} == {0.0}
    samples = read_run(tmp_path, "run").samples
    assert samples
    assert all(sample.kl == () for sample in samples)


def test_a_run_without_a_reference_is_resumed_to_the_same_weights(tmp_path):
    settings = {"algorithm": "rloo", "kl": {"coef": 0}, "steps": 3, "training_states": {"every": 1}}
    whole = small_trainer(tmp_path / "whole", **settings)
    whole.run()
    broken = small_trainer(tmp_path / "broken", **settings)
    step = broken.step
    broken.step = lambda number: step(number) if number < 3 else 1 / 0
    with pytest.raises(ZeroDivisionError):
        broken.run()
    again = small_trainer(tmp_path / "broken", **settings)
    again.run(resume=True)
    same(weights(whole), weights(again), rtol=0, atol=0)
