"""The closed form against brute force, and the ends of its dial."""

import pytest
import torch
from doubles.models import tiny_gpt2, tiny_llama

from spanwise.core import ConfigError
from spanwise.evals.rivals import aligned_logits, aligned_responses
from spanwise.models import Policy, Sampling


@pytest.mark.parametrize("strength", [0.5, 1.0, 2.5])
def test_no_distribution_gains_more_for_its_kl(strength):
    """max E_p[strength log(guide / policy)] - KL(p, policy), by gradient ascent over all distributions of 5 tokens."""
    generator = torch.Generator().manual_seed(0)
    policy, guide = torch.randn(1, 5, generator=generator), torch.randn(1, 5, generator=generator)
    reward = guide.log_softmax(1) - policy.log_softmax(1)

    def gain(logits):
        logp = logits.log_softmax(1)
        return (logp.exp() * (strength * reward - logp + policy.log_softmax(1))).sum()

    free = torch.zeros(1, 5, requires_grad=True)
    optimizer = torch.optim.Adam([free], lr=0.05)
    for _ in range(1500):
        optimizer.zero_grad()
        (-gain(free)).backward()
        optimizer.step()
    closed = aligned_logits(policy, guide, strength)
    assert torch.allclose(closed.softmax(1), free.softmax(1).detach(), atol=2e-3)
    assert gain(closed).item() >= gain(free).item() - 1e-6


def answers(policy, guide, strength):
    prompts = policy.encode_prompts(["where was Ada Veld born?", "who?"])
    generator = torch.Generator().manual_seed(3)
    sampling = Sampling(max_new_tokens=12)
    if guide is None:
        return policy.generate(prompts, sampling=sampling, generator=generator)
    return aligned_responses(policy, guide, prompts, strength=strength, sampling=sampling, generator=generator)


def test_strength_0_is_the_policy_and_1_the_guide():
    policy, guide = Policy(*tiny_llama(0)), Policy(*tiny_llama(1))
    for strength, plain in ((0.0, policy), (1.0, guide)):
        aligned, expected = answers(policy, guide, strength), answers(plain, None, 0)
        assert torch.equal(aligned.ids, expected.ids)
        assert torch.allclose(aligned.logprobs, expected.logprobs, atol=1e-3)


def test_a_guide_of_other_tokens_is_refused():
    with pytest.raises(ConfigError, match="its tokenizer is not the policy's"):
        answers(Policy(*tiny_llama()), Policy(*tiny_gpt2()), 1.0)
