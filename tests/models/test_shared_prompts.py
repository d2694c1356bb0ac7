"""Responses to one prompt that share its reading: the same states and the same gradients as each by itself."""

import pytest
import torch
from doubles import models as doubles
from transformers import MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM

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


def grouped_qwen():
    """Two heads of queries to one of keys."""
    _, tokenizer = doubles.tiny_llama()
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, initializer_range=0.3, eos_token_id=1, pad_token_id=2, bos_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Qwen2ForCausalLM(config), tokenizer


FAMILIES = {
    "llama": doubles.tiny_llama, "gpt2": doubles.tiny_gpt2, "mistral": forgetful_mistral, "qwen2": grouped_qwen,
    "t5": doubles.tiny_t5,
}  # fmt: skip
READ_IN_BRANCHES = {"llama": True, "gpt2": True, "mistral": False, "qwen2": True}


@pytest.mark.parametrize("family", READ_IN_BRANCHES)
def test_models_that_need_causality_alone_are_read_in_branches(family):
    assert Policy(*FAMILIES[family]()).backbone.branches is READ_IN_BRANCHES[family]


def test_a_model_that_another_reading_changes_is_not_read_in_branches():
    policy = Policy(*doubles.tiny_llama())
    policy.backbone.decoder.register_forward_pre_hook(
        lambda _module, args, options: (args, options | {"position_ids": None}), with_kwargs=True
    )
    assert not policy.backbone.branches


@pytest.mark.parametrize("lengths", [(5, 3, 4, 2, 1), (1, 1, 1, 1, 1), (6, 0, 2, 1, 0), (0, 2, 0, 0, 0)])
@pytest.mark.parametrize("branches", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_states_and_gradients_are_those_of_separate_reading(family, branches, lengths, monkeypatch):
    policy = Policy(*FAMILIES[family]())
    if not branches:
        monkeypatch.setattr(policy.backbone, "_branches", False)
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


@pytest.mark.parametrize("branches", [True, False])
def test_every_prompt_is_read_once(branches, monkeypatch):
    policy = Policy(*doubles.tiny_llama())
    monkeypatch.setattr(policy.backbone, "_branches", branches)
    seen = []
    policy.backbone.decoder.register_forward_pre_hook(
        lambda _module, _args, options: seen.append(options["input_ids"].shape), with_kwargs=True
    )
    prompts = policy.encode_prompts([TEXTS[0]] * 4)
    ids, mask = pad([[5, 6, 7, 8, 9, 10], [5], [6, 7], [7, 8, 9]], value=policy.pad_id, side="right")
    policy.logprobs(prompts, ids, mask, sampling=Sampling())
    width = prompts.ids.shape[1]
    assert seen == ([(1, width + 5 + 0 + 1 + 2)] if branches else [(1, width), (4, 5)])


@pytest.mark.parametrize("family", READ_IN_BRANCHES)
def test_responses_drawn_after_a_shared_prompt_are_those_drawn_with_a_copy_each(family, monkeypatch):
    policy = Policy(*FAMILIES[family]())
    value = ValueModel.on_states_of(policy, torch_generator(0, "head"))
    prompts = policy.encode_prompts([*TEXTS, "who?"])
    found = []
    for branches in (READ_IN_BRANCHES[family], False):
        monkeypatch.setattr(policy.backbone, "_branches", branches)
        sampling = Sampling(max_new_tokens=30, top_k=0)
        generator = torch_generator(3, "responses")
        found.append(
            policy.generate(prompts, sampling=sampling, samples_per_prompt=5, generator=generator, values=value.of_each)
        )
    one, other = found
    assert family != "llama" or len(set(one.lengths.tolist())) > 3, "rows must end at different times"
    assert torch.equal(one.ids, other.ids)
    torch.testing.assert_close(one.logprobs, other.logprobs, rtol=1e-4, atol=1e-4)
    read = value.values(prompts.repeat(5), one.ids, one.mask)
    torch.testing.assert_close(one.values, read, rtol=1e-3, atol=1e-5)
