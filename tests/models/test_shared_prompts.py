"""Responses to one prompt that share its reading: the same states and the same gradients as each by itself."""

import pytest
import torch
from doubles import models as doubles
from transformers import MistralConfig, MistralForCausalLM

from spanwise.core.seeding import torch_generator
from spanwise.models import Policy, Sampling, ValueModel, backbone
from spanwise.models.batches import pad

TEXTS = ["Ada Veld was born in Oslo in 1912, and she worked as a mason.", "question: who founded the Harbour Society?"]


def forgetful_mistral():
    """A window of attention that is shorter than prompt and response."""
    _, tokenizer = doubles.tiny_llama()
    config = MistralConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, sliding_window=8, initializer_range=0.3, eos_token_id=1, pad_token_id=2, bos_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MistralForCausalLM(config), tokenizer


FAMILIES = {
    "llama": doubles.tiny_llama, "gpt2": doubles.tiny_gpt2, "mistral": forgetful_mistral, "t5": doubles.tiny_t5
}  # fmt: skip


@pytest.mark.parametrize("lengths", [(5, 3, 4, 2, 1), (1, 1, 1, 1, 1)])
@pytest.mark.parametrize("family", FAMILIES)
def test_states_and_gradients_are_those_of_separate_reading(family, lengths, monkeypatch):
    policy = Policy(*FAMILIES[family]())
    value = ValueModel.from_policy(policy, torch_generator(0, "head"))
    prompts = policy.encode_prompts([TEXTS[i] for i in (0, 1, 0, 0, 1)])
    generator = torch_generator(0, "responses")
    drawn = [torch.randint(len(policy.tokenizer), (length,), generator=generator).tolist() for length in lengths]
    ids, mask = pad(drawn, value=policy.pad_id, side="right")
    found = {}
    for name, share_below in (("apart", 0.0), ("shared", 1.0)):
        monkeypatch.setattr(backbone, "SHARE_BELOW", share_below)
        outputs = policy.logprobs(prompts, ids, mask, sampling=Sampling()).logprobs
        values = value.values(prompts, ids, mask)
        parameters = [*policy.model.parameters(), *value.parameters()]
        weights = torch.linspace(0.5, 1.5, outputs.numel()).view_as(outputs)
        gradients = torch.autograd.grad(((outputs + values) * weights).sum(), parameters, allow_unused=True)
        found[name] = (outputs.detach(), values.detach(), [g for g in gradients if g is not None])
    for apart, shared in zip(found["apart"][:2], found["shared"][:2], strict=True):
        torch.testing.assert_close(shared, apart, rtol=1e-4, atol=5e-5)
    for apart, shared in zip(found["apart"][2], found["shared"][2], strict=True):
        torch.testing.assert_close(shared, apart, rtol=1e-3, atol=5e-4)


def test_every_prompt_is_read_once(monkeypatch):
    policy = Policy(*doubles.tiny_llama())
    seen = []
    policy.backbone.decoder.register_forward_pre_hook(
        lambda _module, _args, options: seen.append(options["input_ids"].shape), with_kwargs=True
    )
    prompts = policy.encode_prompts([TEXTS[0]] * 4)
    ids = torch.randint(5, 50, (4, 6), generator=torch_generator(0, "responses"))
    policy.logprobs(prompts, ids, torch.ones_like(ids, dtype=torch.bool), sampling=Sampling())
    assert seen == [(1, prompts.ids.shape[1]), (4, 5)]
