"""Logged figures against their documented formulas, worked by hand on three responses."""

import math
from dataclasses import replace

import pytest
import torch
from doubles.rl_world import small_trainer

from spanwise.feedback.scores import Sample
from spanwise.models.batches import PromptBatch, ResponseBatch
from spanwise.rewards.pipeline import TokenScores
from spanwise.rl.algorithms.types import Experience, ModelInputs, Rollout, TrainingBatch
from spanwise.rl.metrics import experience_metrics, response_metrics, reward_metrics, value_metrics

MASK = torch.tensor([[True, True, True], [True, False, False], [True, True, False]])


def rollout(dropped):
    shares = {
        "a": torch.tensor([[1.0, 0, 2], [0, 0, 0], [0, 4, 0]]),
        "b": torch.tensor([[0, -1.0, 0], [-2, 0, 0], [0, 0, 0]]),
    }
    prompts = PromptBatch(torch.ones(3, 1, dtype=torch.long), torch.ones(3, 1, dtype=torch.bool))
    responses = ResponseBatch(MASK.long(), MASK, torch.where(MASK, -0.5, 0.0), torch.tensor([True, False, False]))
    samples = [Sample("q", text) for text in ("x y z", "", "x y")]
    scores = TokenScores(shares["a"] + shares["b"], shares, [{}, {}, {}], torch.tensor(dropped))
    return Rollout(prompts, responses, samples, [["x"] * 3, ["</s>"], ["x"] * 2], scores)


def test_rewards_are_means_over_the_responses_that_were_scored():
    found = reward_metrics(rollout([False, False, True]))
    assert found == pytest.approx(
        {"reward/total": (2 - 2) / 2, "reward/a": 3 / 2, "reward/b": -3 / 2, "reward/dropped": 1 / 3}
    )


def test_rewards_of_nothing_are_not_a_number():
    assert math.isnan(reward_metrics(rollout([True, True, True]))["reward/total"])


def test_responses_are_described_dropped_or_not():
    found = response_metrics(rollout([False, False, True]))
    assert found.pop("response/repetition") == 0.0
    assert found == pytest.approx({"response/length": 2.0, "response/truncated": 1 / 3, "response/empty": 1 / 3})


def test_repetition_counts_word_4_grams_that_were_there_before():
    made = rollout([False, False, False])
    # "a b c d e" five times has 22 4-grams, 5 of them new; the two others repeat nothing
    samples = [Sample("q", "a b c d e " * 5), Sample("q", "a b c"), Sample("q", "a b c d e f")]
    found = response_metrics(replace(made, samples=samples))
    assert found["response/repetition"] == pytest.approx((1 - 5 / 22) / 3)


def test_kl_and_values():
    inputs = ModelInputs(rollout([False] * 3).prompts, MASK.long(), MASK)
    kl = torch.tensor([[0.1, 0.2, 0.3], [0.6, 0, 0], [0, 0, 0]])
    rewards = torch.tensor([[1.0, 0, 0], [0, 0, 0], [0, 2.0, 0]])
    old = torch.where(MASK, -0.5, 0.0)
    values = torch.tensor([[1.0, 1, 1], [1, 0, 0], [1, 1, 0]])
    experience = Experience(inputs, old, old, values, kl, rewards, rewards - kl)
    found = experience_metrics(experience, kl_coef=0.3)
    assert found == pytest.approx(
        {"response/entropy": 0.5, "kl/response": 0.4, "kl/token": 0.2, "kl/coef": 0.3, "reward/after_kl": 0.6}
    )
    # returns 0 2 0, 2, 0 2: mean 1, variance 1; what values of 1 everywhere leave is variance 1
    returns = torch.tensor([[0.0, 2, 0], [2, 9, 9], [0, 2, 9]])
    measured = value_metrics(TrainingBatch(inputs, old, values, returns, returns))
    assert measured == pytest.approx({"value/mean": 1.0, "value/return": 1.0, "value/explained_variance": 0.0})
    exact = value_metrics(TrainingBatch(inputs, old, returns, returns, returns))
    assert exact["value/explained_variance"] == pytest.approx(1.0)


def test_entropy_estimate_agrees_with_the_entropy_of_the_distribution(tmp_path):
    trainer = small_trainer(tmp_path, rollout={"prompts_per_step": 8, "samples_per_prompt": 40})
    drawn = trainer.rollout(1)
    experience = trainer.make_experience(drawn, kl_coef=0.0)
    estimated = experience_metrics(experience, kl_coef=0.0)["response/entropy"]
    true = trainer.reference.logprobs(
        drawn.prompts, drawn.responses.ids, drawn.responses.mask, sampling=trainer.config.sampling, entropy=True
    ).entropy
    assert estimated == pytest.approx(true[drawn.responses.mask].mean().item(), rel=0.05)
