"""Evaluation answers the same prompts with the same random numbers and measures the policy as it is."""

import pytest
import torch
from doubles.rl_world import small_trainer

from spanwise.models.config import Sampling
from spanwise.rl.evaluation import sample_rows


@pytest.mark.parametrize("decoding", ["greedy", "sample"])
def test_an_unchanged_policy_measures_the_same_and_has_no_kl(tmp_path, decoding):
    trainer = small_trainer(tmp_path, evaluation={"decoding": decoding}, sampling={"temperature": 0.8, "top_k": 5})
    first, rows = trainer._evaluate(0)
    again, rows_again = trainer._evaluate(7)
    assert first == again
    assert rows == rows_again
    assert first["eval/kl/response"] == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("decoding", ["greedy", "sample"])
def test_kl_is_the_log_ratio_of_the_answers_summed(tmp_path, decoding):
    trainer = small_trainer(tmp_path, evaluation={"decoding": decoding}, sampling={"temperature": 0.8})
    trainer.step(1)
    metrics, rows = trainer._evaluate(1)
    assert metrics["eval/kl/response"] > 0.1
    rollout = trainer._evaluate._answer(1)
    sampling = Sampling() if decoding == "greedy" else trainer.config.sampling
    new, old = (
        policy.logprobs(rollout.prompts, rollout.responses.ids, rollout.responses.mask, sampling=sampling).logprobs
        for policy in (trainer.parts.policy, trainer.reference)
    )
    assert metrics["eval/kl/response"] == pytest.approx((new - old).sum(1).mean().item(), rel=1e-3)
    assert sum(rows[0]["kl"]) == pytest.approx((new - old)[0].sum().item(), rel=1e-3)


def test_rows_are_as_many_as_asked_for_or_as_there_are(tmp_path):
    trainer = small_trainer(tmp_path)
    rollout = trainer.rollout(1)
    kl = torch.zeros(rollout.responses.ids.shape)
    assert [len(list(sample_rows(rollout, kl, n))) for n in (0, 2, 100)] == [0, 2, 8]
