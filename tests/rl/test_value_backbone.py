"""A value head on the policy's own states: gradients of both losses in one reading, and a run like any other."""

import pytest
import torch
from doubles.rl_world import batch_of, small_trainer

from spanwise.rl.algorithms import ModelInputs

SHARED = {"value_backbone": "policy", "ppo": {"value_coef": 0.3}}


def test_its_gradient_is_that_of_both_losses_read_one_by_one(tmp_path):
    trainer = small_trainer(tmp_path, update={"micro_batch_size": 8}, **SHARED)
    trainer.step(1)
    batch, policy, values = batch_of(trainer, 2), trainer.parts.policy, trainer.value_model
    metrics = trainer.updater.accumulate(batch)
    found = {name: p.grad.clone() for name, p in policy.model.named_parameters()}
    policy.model.zero_grad()
    inputs, algorithm = batch.inputs, trainer.parts.algorithm
    read = (inputs.prompts, inputs.response_ids, inputs.response_mask)
    logprobs = policy.logprobs(*read, sampling=trainer.config.sampling).logprobs
    of_policy = algorithm.policy_loss(logprobs, batch, tokens=batch.tokens)
    of_values = algorithm.value_loss(values.values(*read), batch, tokens=batch.tokens)
    (of_policy.loss + 0.3 * of_values.loss).backward()
    assert metrics["value/loss"] == pytest.approx(of_values.loss.item(), rel=1e-4)
    for name, parameter in policy.model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-4, atol=1e-6)


def test_while_values_warm_up_only_the_head_learns(tmp_path):
    trainer = small_trainer(tmp_path, steps=2, value_warmup_steps=1, **SHARED)
    policy = {n: p.detach().clone() for n, p in trainer.parts.policy.model.named_parameters()}
    head = trainer.value_model.head.weight.detach().clone()
    trainer.step(1)
    assert all(torch.equal(policy[n], p) for n, p in trainer.parts.policy.model.named_parameters())
    assert not torch.equal(head, trainer.value_model.head.weight)
    trainer.step(2)
    assert not all(torch.equal(policy[n], p) for n, p in trainer.parts.policy.model.named_parameters())


@pytest.mark.parametrize("lora", [None, {"rank": 4, "alpha": 8.0}])
def test_a_run_is_resumed_to_the_same_weights(tmp_path, lora):
    settings = {**SHARED, "lora": lora, "steps": 3, "training_states": {"every": 1}}
    whole = small_trainer(tmp_path / "whole", **settings)
    whole.run()
    broken = small_trainer(tmp_path / "broken", **settings)
    step = broken.step
    broken.step = lambda number: step(number) if number < 3 else 1 / 0
    with pytest.raises(ZeroDivisionError):
        broken.run()
    again = small_trainer(tmp_path / "broken", **settings)
    again.run(resume=True)
    expected, found = whole.updater.tensors(), again.updater.tensors()
    assert {name for name in found if name.startswith("value/weight")} == {
        "value/weight/head.weight",
        "value/weight/head.bias",
    }
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_values_are_read_while_sampling(tmp_path):
    trainer = small_trainer(tmp_path, **SHARED)
    rollout = trainer.rollout(1)
    inputs = ModelInputs.of(rollout.prompts, rollout.responses)
    read = trainer.value_model.values(inputs.prompts, inputs.response_ids, inputs.response_mask)
    calls = []
    trainer.parts.policy.backbone.decoder.register_forward_pre_hook(lambda *_: calls.append(1))
    values = trainer.make_experience(rollout, kl_coef=0.1).values
    assert not calls, "the policy was read once more"
    torch.testing.assert_close(values, read.detach(), rtol=1e-4, atol=1e-6)
    assert values[~rollout.responses.mask].abs().sum() == 0
