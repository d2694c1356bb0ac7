"""Tokens that were nearly certain teach nothing, and the others what they taught before."""

import math
from dataclasses import replace

import pytest
import torch
from doubles.rl_world import batch_of, small_trainer

from spanwise.rl.algorithms.clipped import clipped_loss
from spanwise.rl.config import PPOConfig


def batch(tmp_path):
    made = batch_of(small_trainer(tmp_path))
    probabilities = torch.linspace(0.05, 0.999, made.old_logprobs.numel()).reshape(made.old_logprobs.shape)
    return made, probabilities.log().masked_fill(~made.response_mask, 0.0)


def test_the_gradient_of_the_others_is_what_it_was(tmp_path):
    made, old = batch(tmp_path)
    made = replace(made, old_logprobs=old, advantages=torch.ones_like(old))
    gradients = {}
    for limit in (None, 0.5):
        logprobs = old.clone().requires_grad_()
        outputs = clipped_loss(PPOConfig(max_probability=limit), logprobs, made, tokens=made.tokens)
        outputs.loss.backward()
        gradients[limit] = logprobs.grad
    teaches = (old <= math.log(0.5)) & made.response_mask
    assert torch.equal(gradients[0.5][teaches], gradients[None][teaches])
    assert not gradients[0.5][~teaches].any()
    assert gradients[None][made.response_mask].all()
    share = float(teaches.sum()) / made.tokens
    assert float(outputs.metrics["policy/teaching_share"]) == pytest.approx(share)
    assert 0 < share < 1


def test_without_a_limit_nothing_is_counted(tmp_path):
    made, _ = batch(tmp_path)
    outputs = clipped_loss(PPOConfig(), made.old_logprobs, made, tokens=made.tokens)
    assert "policy/teaching_share" not in outputs.metrics
