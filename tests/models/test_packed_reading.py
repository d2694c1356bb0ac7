"""Responses read one behind the other, without padding: the same states and gradients as row by row."""

import pytest
import torch
from doubles import models as doubles

from spanwise.core.seeding import torch_generator
from spanwise.models import Policy, Sampling, ValueModel
from spanwise.models.backbone import Backbone
from spanwise.models.batches import pad

TEXTS = ["Ada Veld was born in Oslo in 1912, and she worked as a mason.", "who?", "question: who founded the Society?"]


def _read(policy, value, rows, drawn):
    prompts = policy.encode_prompts([TEXTS[i] for i in rows])
    ids, mask = pad([drawn[i] for i in rows], value=policy.pad_id, side="right")
    logprobs = policy.logprobs(prompts, ids, mask, sampling=Sampling()).logprobs
    values = value.values(prompts, ids, mask)
    weights = torch.linspace(0.5, 1.5, 3)[rows][:, None]
    parameters = [*policy.model.parameters(), *value.parameters()]
    gradients = torch.autograd.grad(((logprobs + values) * weights * mask).sum(), parameters, allow_unused=True)
    return logprobs.detach(), values.detach(), [g for g in gradients if g is not None]


def _models(family):
    policy = Policy(*family())
    return policy, ValueModel.from_policy(policy, torch_generator(0, "head"))


@pytest.mark.parametrize("lengths", [(5, 3, 4), (1, 1, 1), (6, 0, 2)])
@pytest.mark.parametrize("family", [doubles.tiny_llama, doubles.tiny_gpt2])
def test_states_and_gradients_are_those_of_padded_rows(family, lengths):
    policy, value = _models(family)
    generator = torch_generator(0, "responses")
    drawn = [torch.randint(len(policy.tokenizer), (length,), generator=generator).tolist() for length in lengths]
    padded = _read(policy, value, [0, 1, 2], drawn)
    policy.backbone.packs = value.backbone.packs = True
    packed = _read(policy, value, [0, 1, 2], drawn)
    for one, other in zip((*packed[:2], *packed[2]), (*padded[:2], *padded[2]), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=5e-4)


def test_every_packing_gives_the_same_gradients():
    policy, value = _models(doubles.tiny_llama)
    policy.backbone.packs = value.backbone.packs = True
    drawn = [[5, 6, 7, 8], [9], [10, 11]]
    together = _read(policy, value, [0, 1, 2], drawn)[2]
    for split in ([[2, 0], [1]], [[1], [0], [2]], [[1, 2, 0]]):
        apart = [sum(parts) for parts in zip(*(_read(policy, value, rows, drawn)[2] for rows in split), strict=True)]
        for one, other in zip(apart, together, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=5e-4)


def test_nothing_but_tokens_is_read():
    policy, _ = _models(doubles.tiny_llama)
    policy.backbone.packs = True
    shapes = []
    policy.backbone.decoder.register_forward_pre_hook(
        lambda _module, _args, options: shapes.append(tuple(options["input_ids"].shape)), with_kwargs=True
    )
    prompts = policy.encode_prompts(TEXTS)
    ids, mask = pad([[5, 6, 7, 8], [9], [10, 11]], value=policy.pad_id, side="right")
    policy.logprobs(prompts, ids, mask, sampling=Sampling())
    assert shapes == [(1, int(prompts.lengths.sum()) + 4 + 1 + 2 - 3)]


@pytest.mark.parametrize(("attention", "packs"), [("flex_attention", True), ("sdpa", False), ("eager", False)])
def test_backends_that_hide_other_rows_for_nothing_pack_by_themselves(attention, packs):
    model, _ = doubles.tiny_llama()
    model.set_attn_implementation(attention)
    assert Backbone(model).packs is packs
