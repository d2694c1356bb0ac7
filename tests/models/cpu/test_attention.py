"""Which attention a model on a CPU gets, call by call, and that nothing of it stays in what is saved or copied."""

import copy
import json

import pytest
import torch
from doubles import models as doubles

from spanwise.core.lora import LoraConfig
from spanwise.core.seeding import torch_generator
from spanwise.models import Policy, Sampling, ValueModel
from spanwise.models.adapters import Adapters
from spanwise.models.cpu import attention as module

TEXTS = ["question: who? answer:", "Oslo"]


@pytest.fixture
def calls(monkeypatch):
    """How often either attention was used."""
    counts = {"blocks": 0, "sdpa": 0}
    for name, function in (("blocks", "causal_attention"), ("sdpa", "sdpa_attention_forward")):
        whole = getattr(module, function)

        def spy(*arguments, name=name, whole=whole, **more):
            counts[name] += 1
            return whole(*arguments, **more)

        monkeypatch.setattr(module, function, spy)
    return counts


@pytest.fixture
def every_type(monkeypatch):
    """Blocks in float32, too, where two ways of attending give the same numbers almost exactly."""
    monkeypatch.setattr(module, "QUICKER_IN", (torch.float32, torch.bfloat16))


def tensors(t=5, s=5, *, dtype=torch.bfloat16, d=8, e=8, device="cpu"):
    return [torch.ones(2, heads, n, k, dtype=dtype, device=device) for heads, n, k in ((4, t, d), (2, s, d), (2, s, e))]


class Layer(torch.nn.Module):
    """What an attention function is told of the layer that calls it."""

    num_key_value_groups = 2

    def __init__(self, is_causal=True):
        super().__init__()
        self.is_causal = is_causal


def ask(query, key, value, *, mask=None, layer_is_causal=True, **more):
    return module.attend(Layer(layer_is_causal), query, key, value, mask, **more)[0]


def test_whole_sequences_in_bfloat16_are_read_in_blocks(calls):
    for more in ({}, {"dropout": 0.0, "sliding_window": None, "use_cache": False}, {"is_causal": True}):
        assert ask(*tensors(), **more).shape == (2, 5, 4, 8)
    assert calls == {"blocks": 3, "sdpa": 0}


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        (tensors(dtype=torch.float32), {}),
        (tensors(t=1), {}),
        (tensors(t=1, s=1), {}),
        (tensors(e=4), {}),
        (tensors(device="meta"), {}),
        (tensors(), {"mask": torch.ones(2, 1, 5, 5, dtype=torch.bool)}),
        (tensors(), {"dropout": 0.5}),
        (tensors(), {"is_causal": False}),
        (tensors(), {"layer_is_causal": False}),
        (tensors(), {"position_bias": torch.zeros(1, 4, 5, 5, dtype=torch.bfloat16)}),
        (tensors(), {"sliding_window": 3}),
        (tensors(), {"s_aux": torch.zeros(4)}),
    ],
)
def test_everything_else_is_left_to_transformers(arguments, more, calls):
    ask(*arguments, **more)
    assert calls == {"blocks": 0, "sdpa": 1}


def test_scores_are_scaled_as_asked_and_by_the_size_of_heads_otherwise(every_type):
    generator = torch_generator(0, "tensors")
    q, k, v = (torch.randn(tensor.shape, generator=generator) for tensor in tensors())
    expected = torch.nn.functional.scaled_dot_product_attention
    for scaling in (None, 0.9):
        wanted = expected(q, k, v, is_causal=True, scale=scaling, enable_gqa=True).transpose(1, 2)
        torch.testing.assert_close(ask(q, k, v, scaling=scaling), wanted)


def responses_of(policy):
    ids = torch.randint(len(policy.tokenizer), (2, 5), generator=torch_generator(0, "responses"))
    return policy.encode_prompts(TEXTS), ids, torch.ones_like(ids, dtype=torch.bool)


def logprobs_and_gradients(policy):
    found = policy.logprobs(*responses_of(policy), sampling=Sampling()).logprobs
    parameters = list(policy.trained_parameters().values())
    return found.detach(), torch.autograd.grad(found.sum(), parameters, allow_unused=True)


@pytest.mark.parametrize("make", [doubles.tiny_llama, doubles.tiny_gpt2])
def test_a_policy_says_the_same_with_either_attention(make, every_type, calls, monkeypatch):
    policy = Policy(*make())
    calls.update(blocks=0, sdpa=0)
    found, gradients = logprobs_and_gradients(policy)
    assert calls == {"blocks": 2, "sdpa": 0}
    monkeypatch.setattr(module, "QUICKER_IN", ())
    expected, wanted = logprobs_and_gradients(policy)
    assert calls == {"blocks": 2, "sdpa": 2}
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients, wanted, rtol=1e-4, atol=1e-5)


def test_policies_values_copies_and_adapters_all_attend_in_blocks(calls):
    model, tokenizer = doubles.tiny_llama()
    model = model.to(torch.bfloat16)
    adapters = Adapters(model)
    adapters.add(["policy"], LoraConfig(rank=2), torch_generator(0, "adapters"))
    policy = Policy(model, tokenizer, role=adapters.role("policy"))
    plain = Policy(doubles.tiny_llama()[0].to(torch.bfloat16), tokenizer)
    values = ValueModel.from_policy(plain, torch_generator(0, "values"))
    for reader in (policy, values, copy.deepcopy(plain)):
        before = dict(calls)
        if reader is values:
            reader.values(*responses_of(policy))
        else:
            reader.logprobs(*responses_of(policy), sampling=Sampling())
        assert calls == {"blocks": before["blocks"] + 2, "sdpa": before["sdpa"]}


def test_a_saved_policy_does_not_name_its_attention(tmp_path):
    policy = Policy(*doubles.tiny_llama())
    assert policy.model.config._attn_implementation == module.NAME
    policy.save(tmp_path / "saved")
    assert module.NAME not in (tmp_path / "saved" / "config.json").read_text()
    assert "attn_implementation" not in json.loads((tmp_path / "saved" / "config.json").read_text())
    assert type(policy.model).from_pretrained(tmp_path / "saved").config._attn_implementation == "sdpa"


def test_models_of_another_kind_place_or_choice_stay_as_they_are():
    chosen, _ = doubles.tiny_llama()
    chosen.set_attn_implementation("eager")
    elsewhere = doubles.tiny_llama()[0].to("meta")
    pair, _ = doubles.tiny_t5()
    for model in (chosen, elsewhere, pair):
        before = model.config._attn_implementation
        module.use_on_cpu(model)
        assert model.config._attn_implementation == before
