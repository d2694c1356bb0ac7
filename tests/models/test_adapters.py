"""Adapters: at first nothing changes, roles do not touch each other, and nothing stays switched on."""

import copy

import pytest
import torch
from doubles import models as doubles
from peft.tuners.lora import Linear

from spanwise.core.lora import LoraConfig
from spanwise.core.seeding import torch_generator
from spanwise.models import Policy, Sampling, ValueModel
from spanwise.models.adapters import Adapters

FAMILIES = {"llama": doubles.tiny_llama, "gpt2": doubles.tiny_gpt2, "t5": doubles.tiny_t5}
TEXTS = ["question: who? answer:", "Oslo"]


def responses_of(policy):
    ids = torch.randint(len(policy.tokenizer), (2, 5), generator=torch_generator(0, "responses"))
    return policy.encode_prompts(TEXTS), ids, torch.ones_like(ids, dtype=torch.bool)


def logprobs(policy):
    with torch.no_grad():
        return policy.logprobs(*responses_of(policy), sampling=Sampling()).logprobs


def adapted(make, *, trained=True):
    """A policy and a reference on one model, and the model as it was; `trained` moves the policy's adapter."""
    model, tokenizer = make()
    before = Policy(copy.deepcopy(model), tokenizer)
    adapters = Adapters(model)
    adapters.add(["policy", "value"], LoraConfig(rank=4, alpha=8.0), torch_generator(0, "adapters"))
    policy = Policy(model, tokenizer, role=adapters.role("policy"))
    reference = Policy(model, tokenizer, role=adapters.role(None))
    if trained:
        with torch.no_grad():
            for name, parameter in policy.trained_parameters().items():
                if ".lora_B." in name:
                    parameter.normal_(generator=torch_generator(1, name)).mul_(0.3)
    return before, policy, reference, adapters


@pytest.mark.parametrize("family", FAMILIES)
def test_fresh_adapters_change_nothing_and_trained_ones_only_their_role(family):
    before, policy, _, _ = adapted(FAMILIES[family], trained=False)
    assert torch.equal(logprobs(policy), logprobs(before))
    before, policy, reference, _ = adapted(FAMILIES[family])
    assert float((logprobs(policy) - logprobs(before)).abs().max()) > 0.1
    assert torch.equal(logprobs(reference), logprobs(before))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_policy_is_a_plain_model_that_says_the_same(family, tmp_path):
    before, policy, reference, _ = adapted(FAMILIES[family])
    policy.save(tmp_path / "policy")
    plain = Policy.load(tmp_path / "policy")
    assert not any(isinstance(module, Linear) for module in plain.model.modules())
    torch.testing.assert_close(logprobs(plain), logprobs(policy), rtol=1e-4, atol=1e-4)
    assert torch.equal(logprobs(reference), logprobs(before))


def test_each_role_has_gradients_of_its_own():
    _, policy, _, adapters = adapted(doubles.tiny_llama)
    value = ValueModel.sharing(policy, adapters.role("value"), torch_generator(0, "head"))
    policy.logprobs(*responses_of(policy), sampling=Sampling()).logprobs.sum().backward()
    mine, theirs = policy.trained_parameters(), value.trained_parameters()
    assert not mine.keys() & theirs.keys()
    assert all(p.grad is not None for p in mine.values())
    assert all(p.grad is None for p in theirs.values())
    policy.model.zero_grad()
    value.values(*responses_of(policy)).sum().backward()
    assert all(p.grad is None for p in mine.values())
    assert all(p.grad is not None for p in theirs.values())
    assert not [name for name, p in policy.model.named_parameters() if p.grad is not None and "lora" not in name]


def test_adapters_are_off_again_after_an_exception_inside_and_outside():
    before, policy, reference, adapters = adapted(doubles.tiny_llama)
    policy.backbone.decoder.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        policy.logprobs(*responses_of(policy), sampling=Sampling())
    policy.backbone.decoder._forward_hooks.clear()
    assert torch.equal(logprobs(reference), logprobs(before))
    whole = policy.model(torch.tensor([[5, 6, 7]])).logits
    assert torch.equal(whole, before.model(torch.tensor([[5, 6, 7]])).logits)
    with pytest.raises(KeyError), adapters.using("policy"), adapters.using("value"):
        raise KeyError
    assert torch.equal(logprobs(reference), logprobs(before))


def test_the_same_seed_draws_the_same_adapters_and_the_global_generator_is_left_alone():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = adapted(doubles.tiny_llama, trained=False)[1].trained_parameters()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(4)
    second = adapted(doubles.tiny_llama, trained=False)[1].trained_parameters()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert float(next(p for n, p in first.items() if ".lora_A." in n).detach().abs().max()) > 0
