"""Causal attention in blocks: the written-out softmax's values and gradients, causality, memory, and compiled code."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.profiler import ProfilerActivity, profile

from spanwise.models.cpu import blocked_attention as module
from spanwise.models.cpu.blocked_attention import causal_attention


def inputs(b, h, kv, t, d, *, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(b, t, heads, d) for heads in (h, kv, kv)]
    return [torch.randn(s, generator=generator, dtype=torch.float64).to(dtype).transpose(1, 2) for s in shapes]


def written_out(query, key, value, scale):
    """Softmax attention as in its definition, one matrix for each query head."""
    share = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(share, 1), value.repeat_interleave(share, 1)
    scores = scale * query @ key.transpose(2, 3)
    future = torch.ones(scores.shape[2:], dtype=torch.bool).triu(1)
    return (scores.masked_fill(future, -math.inf).softmax(3) @ value).transpose(1, 2)


def states_and_gradients(attention, tensors, scale):
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    states = attention(*leaves, scale)
    weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    states.backward(weights.to(states.dtype))
    return [states.detach(), *(leaf.grad for leaf in leaves)]


@settings(max_examples=60, deadline=None)
@given(
    b=st.integers(1, 3), kv=st.integers(1, 3), share=st.integers(1, 3), t=st.integers(1, 21), d=st.integers(1, 5),
    rows=st.integers(1, 23), scores=st.integers(1, 2000), scale=st.floats(0.1, 3.0), seed=st.integers(0, 9),
)  # fmt: skip
def test_values_and_gradients_are_those_of_the_definition(b, kv, share, t, d, rows, scores, scale, seed):
    tensors = inputs(b, kv * share, kv, t, d, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_ROWS", rows)
        patch.setattr(module, "BLOCK_SCORES", scores)
        found = states_and_gradients(causal_attention, tensors, scale)
    expected = states_and_gradients(written_out, tensors, scale)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_the_gradient_is_the_difference_quotient(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_ROWS", 2)
    monkeypatch.setattr(module, "BLOCK_SCORES", 20)
    leaves = [tensor.requires_grad_() for tensor in inputs(2, 4, 2, 5, 3)]
    assert torch.autograd.gradcheck(lambda q, k, v: causal_attention(q, k, v, 0.6), leaves)


@pytest.mark.parametrize(("heads", "key_heads", "t", "d"), [(6, 6, 255, 48), (6, 2, 100, 64), (4, 4, 20, 48)])
def test_bfloat16_is_off_by_its_rounding_only(heads, key_heads, t, d):
    tensors = inputs(3, heads, key_heads, t, d, dtype=torch.bfloat16)
    found = states_and_gradients(causal_attention, tensors, d**-0.5)
    exact = states_and_gradients(written_out, [tensor.double() for tensor in tensors], d**-0.5)
    for one, other in zip(found, exact, strict=True):
        # A few roundings of 2^-9 each, on the way to every number.
        assert one.dtype is torch.bfloat16
        assert float((one.double() - other).norm() / other.norm()) < 0.006


def test_scores_far_beyond_what_an_exponential_can_hold_do_no_harm():
    query, key, value = inputs(1, 1, 1, 70, 4, dtype=torch.float32)
    found = states_and_gradients(causal_attention, (query * 1e3, key, value), 1.0)
    expected = states_and_gradients(written_out, [x.double() for x in (query * 1e3, key, value)], 1.0)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-2, atol=1e-3)


def test_what_follows_a_token_changes_nothing_before_it():
    query, key, value = inputs(2, 4, 2, 150, 8)
    states = causal_attention(query, key, value, 0.35)
    for tensor in (query, key, value):
        tensor[:, :, 100:] = 7.0
    again = causal_attention(query, key, value, 0.35)
    assert torch.equal(states[:, :100], again[:, :100])
    assert not torch.equal(states[:, 100:], again[:, 100:])


def test_a_sequence_gets_the_same_numbers_in_every_company():
    tensors = inputs(40, 4, 2, 90, 16, dtype=torch.bfloat16)
    together = states_and_gradients(causal_attention, tensors, 0.25)[0]
    for row in (0, 17, 39):
        alone = causal_attention(*(tensor[row : row + 1] for tensor in tensors), 0.25)
        assert torch.equal(alone[0], together[row])


def test_memory_grows_with_tokens_and_not_with_their_square():
    t = 2048
    leaves = [tensor.requires_grad_() for tensor in inputs(1, 4, 2, t, 8, dtype=torch.bfloat16)]
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        causal_attention(*leaves, 0.3).sum().backward()
    largest = max(event.self_cpu_memory_usage for event in record.events())
    assert 0 < largest <= 4 * module.BLOCK_SCORES < t * t * 2


def test_compiled_code_calls_it_and_gives_the_same_numbers():
    def whole(query, key, value, scale):
        # The operator itself, since compiled code cannot look into the tests' checks of shapes.
        return torch.ops.spanwise.causal_attention(query * 2.0, key, value, scale)[0] + 1.0

    tensors = inputs(2, 4, 2, 70, 8, dtype=torch.bfloat16)
    compiled = torch.compile(whole, backend="aot_eager", fullgraph=True, dynamic=True)
    for length in (70, 33):
        parts = [tensor[:, :, :length] for tensor in tensors]
        found, expected = (states_and_gradients(f, parts, 0.35) for f in (compiled, whole))
        for one, other in zip(found, expected, strict=True):
            assert torch.equal(one, other)


def test_the_operators_keep_the_rules_of_operators():
    query, key, value = (tensor.requires_grad_() for tensor in inputs(2, 4, 2, 9, 3))
    torch.library.opcheck(torch.ops.spanwise.causal_attention.default, (query, key, value, 0.5))
