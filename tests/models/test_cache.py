"""The growing cache gives what transformers' own gives, bit for bit, also when it grows and when rows leave."""

import pytest
import torch
from transformers import DynamicCache

from spanwise.models import backbone
from spanwise.models import backbone as cache
from spanwise.models.config import Sampling
from spanwise.models.policy import Policy


def answers(policy):
    prompts = policy.encode_prompts(["where was Ada born?", "who founded the Harbour Society?", "Ada"])
    return policy.generate(
        prompts,
        sampling=Sampling(max_new_tokens=24),
        samples_per_prompt=3,
        generator=torch.Generator().manual_seed(3),
    )


@pytest.mark.parametrize("family", ["tiny_llama", "tiny_gpt2", "tiny_t5"])
def test_it_is_transformers_cache_to_the_last_bit(family, request, monkeypatch):
    policy = Policy(*request.getfixturevalue(family))
    monkeypatch.setattr(cache, "ROOM", 5)
    ours = answers(policy)
    monkeypatch.setattr(backbone, "growing_cache", lambda config: DynamicCache(config=config))
    theirs = answers(policy)
    assert len(set(ours.lengths.tolist())) > 1  # rows left on the way
    assert torch.equal(ours.ids, theirs.ids)
    assert torch.equal(ours.logprobs, theirs.logprobs)


def test_a_token_is_not_a_copy_of_all_before_it(tiny_llama):
    model, _ = tiny_llama
    held = cache.growing_cache(model.config)
    places = set()
    with torch.inference_mode():
        for _ in range(20):
            held.update(torch.ones(2, 2, 1, 8), torch.ones(2, 2, 1, 8), 0)
            places.add(held.layers[0].keys.data_ptr())
    assert held.get_seq_length() == 20
    assert len(places) == 2  # the first token's own tensor, and the room
    assert bool((held.layers[0].keys == 1).all())
