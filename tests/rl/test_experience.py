"""Experience: token rewards are scores minus weighted KL, and what sampling stored is what a forward pass says."""

import pytest
import torch
from doubles.rl_world import PROMPTS, ScriptedSource, pay_each, pipeline_of, small_trainer

from spanwise.feedback.scores import SegmentScores, Unscored
from spanwise.rl.algorithms.types import ModelInputs
from spanwise.rl.experience import in_passes, token_logprobs, widened
from spanwise.rl.runtime.budget import Budget


@pytest.mark.parametrize("sampling", [{}, {"temperature": 0.7}, {"temperature": 0.7, "top_k": 5}])
def test_log_probabilities_from_sampling_are_those_of_a_forward_pass(tmp_path, sampling):
    trainer = small_trainer(tmp_path, sampling=sampling)
    rollout = trainer.rollout(1)
    inputs = ModelInputs.of(rollout.prompts, rollout.responses)
    again = token_logprobs(trainer.parts.policy, inputs, sampling=trainer.config.sampling, budget=Budget(3))
    torch.testing.assert_close(again, rollout.responses.logprobs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
@pytest.mark.parametrize("sampling", [{}, {"temperature": 0.7, "top_k": 5}])
def test_kl_is_zero_before_the_first_update(tmp_path, sampling, estimator):
    trainer = small_trainer(tmp_path, sampling=sampling, kl={"estimator": estimator})
    experience = trainer.make_experience(trainer.rollout(1), kl_coef=1.0)
    torch.testing.assert_close(experience.kl, torch.zeros_like(experience.kl), rtol=0, atol=1e-5)
    torch.testing.assert_close(experience.token_rewards, experience.token_scores, rtol=0, atol=1e-5)


def test_kl_is_taken_from_the_reward_of_every_token(tmp_path):
    trainer = small_trainer(tmp_path)
    trainer.step(1)
    rollout = trainer.rollout(2)
    experience = trainer.make_experience(rollout, kl_coef=0.25)
    log_ratio = experience.old_logprobs - experience.ref_logprobs
    assert float(log_ratio.abs().max()) > 0.1
    torch.testing.assert_close(experience.token_rewards, rollout.scores.total - 0.25 * log_ratio)


def test_dropped_responses_are_left_out_and_the_rest_is_unchanged(tmp_path):
    def picky(text):
        return pay_each(text) if "bad" not in text else SegmentScores(missing=Unscored("it says bad"))

    trainer = small_trainer(tmp_path, pipeline=pipeline_of(ScriptedSource(picky), missing="mask"))
    rollout = trainer.rollout(1)
    kept = [i for i, sample in enumerate(rollout.samples) if "bad" not in sample.response]
    assert 0 < len(kept) < len(rollout.samples)
    experience = trainer.make_experience(rollout, kl_coef=0.0)
    assert experience.inputs.response_ids.tolist() == rollout.responses.ids[kept].tolist()
    assert experience.token_scores.tolist() == rollout.scores.total[kept].tolist()
    metrics = trainer.learn(rollout, 1)
    assert metrics["reward/dropped"] == pytest.approx(1 - len(kept) / len(rollout.samples))


def test_passes_of_any_size_give_the_same_rows(tmp_path):
    trainer = small_trainer(tmp_path)
    rollout = trainer.rollout(1)
    inputs = ModelInputs.of(rollout.prompts, rollout.responses)
    sums = [in_passes(lambda part: part.response_ids.float(), inputs, Budget(size)) for size in (1, 3, 8, 100)]
    expected = torch.where(inputs.response_mask, inputs.response_ids.float(), 0.0)
    assert all(torch.equal(found, expected) for found in sums)


def test_widened_appends_zeros():
    assert widened(torch.ones(1, 2), 4).tolist() == [[1, 1, 0, 0]]
    assert len(PROMPTS) == 8
