"""One backbone, several roles: how much memory they take, and that a run with adapters is a run like any other."""

import copy

import pytest
import torch
from doubles.rl_world import _tokenizer, small_trainer
from transformers import LlamaConfig, LlamaForCausalLM

from spanwise.models.policy import Policy

LORA = {"rank": 4, "alpha": 8.0}


def wide_policy():
    """Wide enough for adapters to be small beside the weights."""
    config = LlamaConfig(
        vocab_size=16, hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Policy(LlamaForCausalLM(config), _tokenizer())


def bytes_held(trainer):
    """All different weights, gradients and optimiser moments of the run."""
    models = (trainer.parts.policy.model, trainer.reference.model, trainer.value_model)
    tensors = [parameter for model in models for parameter in model.parameters()]
    tensors += [parameter.grad for parameter in tensors if parameter.grad is not None]
    tensors += trainer.updater.tensors().values()
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


def test_three_roles_with_adapters_take_at_most_1_3_times_the_weights(tmp_path):
    policy = wide_policy()
    weights = sum(p.numel() * p.element_size() for p in policy.model.parameters())
    held = {}
    for name, lora in (("full", None), ("lora", LORA)):
        trainer = small_trainer(
            tmp_path / name, policy=Policy(copy.deepcopy(policy.model), policy.tokenizer), lora=lora
        )
        trainer.step(1)
        held[name] = bytes_held(trainer) / weights
    assert held["lora"] < 1.3
    assert held["full"] > 6.5  # three models, and two moments each for two of them


@pytest.mark.parametrize("algorithm", ["ppo", "rloo"])
def test_a_run_with_adapters_trains_them_and_nothing_else(tmp_path, algorithm):
    trainer = small_trainer(tmp_path, lora=LORA, algorithm=algorithm, steps=2)
    model = trainer.parts.policy.model
    frozen = {n: p.detach().clone() for n, p in model.named_parameters() if ".lora_" not in n}
    experience = trainer.make_experience(trainer.rollout(1), kl_coef=1.0)
    torch.testing.assert_close(experience.kl, torch.zeros_like(experience.kl), rtol=0, atol=1e-5)
    trainer.run()
    assert trainer.make_experience(trainer.rollout(2), kl_coef=1.0).kl.abs().max() > 1e-3
    assert all(torch.equal(frozen[n], p) for n, p in model.named_parameters() if n in frozen)
    assert Policy.load(tmp_path / "checkpoints" / "last").window == 64


def test_a_run_with_adapters_is_resumed_to_the_same_weights(tmp_path):
    whole = small_trainer(tmp_path / "whole", lora=LORA, steps=3, training_states={"every": 1})
    whole.run()
    broken = small_trainer(tmp_path / "broken", lora=LORA, steps=3, training_states={"every": 1})
    step = broken.step
    broken.step = lambda number: step(number) if number < 3 else 1 / 0
    with pytest.raises(ZeroDivisionError):
        broken.run()
    again = small_trainer(tmp_path / "broken", lora=LORA, steps=3, training_states={"every": 1})
    again.run(resume=True)
    expected, found = whole.updater.tensors(), again.updater.tensors()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
