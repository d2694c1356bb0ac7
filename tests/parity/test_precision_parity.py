"""bfloat16 and compiled code against plain float32: the same losses and gradients within what their rounding allows."""

import pytest
import torch
from doubles.rl_world import batch_of, small_trainer, word_policy

from spanwise.models.policy import Policy


def in_bfloat16(seed=0):
    policy = word_policy(seed)
    return Policy(policy.model.to(torch.bfloat16), policy.tokenizer)


def gathered(trainer, batch):
    metrics = trainer.updater.accumulate(batch)
    found = [g.float().flatten() for optimizer in trainer.updater._optimizers.values() for g in optimizer.gradients()]
    return metrics, torch.cat(found)


def test_bfloat16_gives_the_losses_and_gradients_of_float32_within_its_rounding(tmp_path):
    plain = small_trainer(tmp_path / "plain")
    plain.step(1)
    batch = batch_of(plain, 2)
    half = small_trainer(tmp_path / "half", policy=in_bfloat16())
    for one, other in ((half.parts.policy.model, plain.parts.policy.model), (half.value_model, plain.value_model)):
        one.load_state_dict(other.state_dict())
    half.reference.model.load_state_dict(plain.reference.model.state_dict())
    logprobs = half.make_experience(plain.rollout(2), kl_coef=0.1)
    reference = plain.make_experience(plain.rollout(2), kl_coef=0.1)
    # bfloat16 keeps 8 bits: logits of a few units are off by a few hundredths.
    torch.testing.assert_close(logprobs.ref_logprobs, reference.ref_logprobs, rtol=0.02, atol=0.1)
    torch.testing.assert_close(logprobs.values, reference.values, rtol=0.05, atol=0.05)
    expected, wanted = gathered(plain, batch)
    metrics, found = gathered(half, batch)
    assert metrics["policy/loss"] == pytest.approx(expected["policy/loss"], abs=0.05)
    assert metrics["value/loss"] == pytest.approx(expected["value/loss"], rel=0.05)
    assert float(torch.cosine_similarity(found, wanted, 0)) > 0.99
    assert float(found.norm()) == pytest.approx(float(wanted.norm()), rel=0.05)


def test_a_run_in_bfloat16_learns_keeps_its_precision_and_is_resumed_to_the_same_weights(tmp_path):
    settings = {"steps": 3, "training_states": {"every": 1}}
    whole = small_trainer(tmp_path / "whole", policy=in_bfloat16(), **settings)
    before = {n: p.detach().clone() for n, p in whole.parts.policy.model.named_parameters()}
    whole.run()
    after = dict(whole.parts.policy.model.named_parameters())
    assert all(p.dtype is torch.bfloat16 for p in after.values())
    assert not all(torch.equal(before[n], p) for n, p in after.items())
    broken = small_trainer(tmp_path / "broken", policy=in_bfloat16(), **settings)
    step = broken.step
    broken.step = lambda number: step(number) if number < 3 else 1 / 0
    with pytest.raises(ZeroDivisionError):
        broken.run()
    again = small_trainer(tmp_path / "broken", policy=in_bfloat16(), **settings)
    again.run(resume=True)
    expected, found = whole.updater.tensors(), again.updater.tensors()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert all(torch.equal(p, after[n]) for n, p in again.parts.policy.model.named_parameters())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "settings", [{}, {"sampling": {"top_k": 5, "temperature": 0.7}}, {"lora": {"rank": 4}, "value_backbone": "policy"}]
)
def test_compiled_code_gives_the_losses_and_gradients_of_plain_code(tmp_path, settings):
    plain = small_trainer(tmp_path / "plain", **settings)
    compiled = small_trainer(tmp_path / "compiled", compile=True, **settings)
    assert compiled.parts.policy.backbone.compiled
    rollout = plain.rollout(1)
    experiences = [trainer.make_experience(rollout, kl_coef=0.1) for trainer in (plain, compiled)]
    torch.testing.assert_close(experiences[1].ref_logprobs, experiences[0].ref_logprobs, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(experiences[1].values, experiences[0].values, rtol=1e-4, atol=1e-5)
    batch = batch_of(plain)
    expected, wanted = gathered(plain, batch)
    metrics, found = gathered(compiled, batch)
    assert metrics == pytest.approx(expected, rel=1e-3, abs=1e-5)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-5)
