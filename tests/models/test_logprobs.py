import pytest
import torch
from torch import nn

from spanwise.models import logprobs as module
from spanwise.models.logprobs import VocabularyHead, token_logprobs, weighted_logprobs

HIDDEN, VOCABULARY = 6, 11


def make(count, *, bias=False, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    head = nn.Linear(HIDDEN, VOCABULARY, bias=bias, dtype=dtype)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    hidden = torch.randn((count, HIDDEN), generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    ids = torch.randint(VOCABULARY, (count,), generator=generator)
    others = torch.stack([torch.randperm(VOCABULARY, generator=generator) for _ in range(count)])
    rest = torch.stack([row[row != id_][:3] for row, id_ in zip(others, ids, strict=True)])
    support = torch.cat([rest[:, :1], ids[:, None], rest[:, 1:]], 1)
    return hidden, head, ids, support


def plain(hidden, head, ids, *, temperature, support):
    """Full logits, torch's own Categorical."""
    logits = head(hidden) / temperature
    if support is not None:
        allowed = torch.zeros_like(logits, dtype=torch.bool).scatter(1, support, value=True)
        logits = logits.masked_fill(~allowed, -1e9)
    distribution = torch.distributions.Categorical(logits=logits)
    return distribution.log_prob(ids), distribution.entropy()


@pytest.mark.parametrize("chunk", [1, 3, 100])
@pytest.mark.parametrize("with_support", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("bias", [False, True])
def test_values_and_gradients_are_those_of_full_logits(chunk, with_support, temperature, bias):
    hidden, head, ids, support = make(7, bias=bias)
    support = support if with_support else None
    weights = torch.linspace(-1, 2, 7, dtype=torch.float64)
    results = {}
    for name in ("ours", "plain"):
        hidden.grad = None
        head.zero_grad()
        if name == "ours":
            logprobs, entropy = token_logprobs(
                hidden, head, ids, temperature=temperature, support=support, entropy=True, chunk=chunk
            )
        else:
            logprobs, entropy = plain(hidden, head, ids, temperature=temperature, support=support)
        (logprobs * weights + entropy * weights.flip(0) ** 2).sum().backward()
        gradients = [hidden.grad.clone(), *(parameter.grad.clone() for parameter in head.parameters())]
        results[name] = [logprobs.detach(), entropy.detach(), *gradients]
    for ours, expected in zip(results["ours"], results["plain"], strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("with_support", [False, True])
def test_backward_passes_gradcheck(with_support):
    hidden, head, ids, support = make(4, bias=True)

    def function(hidden, weight, bias):
        question = module._Question(ids, support if with_support else None, 0.8, True, 3)
        return module._ChunkedLogprobs.apply(hidden, weight, bias, question)

    assert torch.autograd.gradcheck(function, (hidden, head.weight, head.bias))


def gradients_of(loss, hidden, head):
    hidden.grad = None
    head.zero_grad()
    loss.backward()
    return [hidden.grad.clone(), *(p.grad.clone() for p in head.parameters() if p.grad is not None)]


@pytest.mark.parametrize("chunk", [1, 3, 100])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("size", "scale", "softcap"), [(VOCABULARY, 1.0, None), (9, 0.5, 1.5)])
def test_weighted_sums_have_the_gradients_of_autograd(chunk, bias, size, scale, softcap):
    hidden, linear, ids, _ = make(7, bias=bias)
    head, ids = VocabularyHead(linear, size, scale, softcap), ids.clamp(max=size - 1)
    weights = torch.linspace(-1, 2, 7, dtype=torch.float64)
    logits = linear(hidden * scale)[:, :size]
    logits = logits if softcap is None else softcap * (logits / softcap).tanh()
    plain_loss = (weights * logits.log_softmax(1).gather(1, ids[:, None])[:, 0]).sum()
    expected = gradients_of(3 * plain_loss, hidden, linear)
    ours = weighted_logprobs(hidden, head, ids, weights, chunk=chunk)
    torch.testing.assert_close(ours.detach(), plain_loss.detach())
    for mine, theirs in zip(gradients_of(3 * ours, hidden, linear), expected, strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weighted_sums_are_as_exact_as_log_probabilities_that_are_summed(dtype):
    hidden, linear, ids, _ = make(50, dtype=dtype)
    head, weights = VocabularyHead(linear, VOCABULARY), torch.full((50,), -1 / 50)
    summed = -token_logprobs(hidden, head, ids, chunk=8)[0].mean()
    expected = gradients_of(summed, hidden, linear)
    ours = weighted_logprobs(hidden, head, ids, weights, chunk=8)
    torch.testing.assert_close(ours.detach(), summed.detach())
    tolerance = {} if dtype == torch.float32 else {"rtol": 2e-2, "atol": 1e-4}
    for mine, theirs in zip(gradients_of(ours, hidden, linear), expected, strict=True):
        torch.testing.assert_close(mine, theirs, **tolerance)


def test_weighted_sums_without_gradients_or_with_a_frozen_head():
    hidden, linear, ids, _ = make(7)
    head, weights = VocabularyHead(linear, VOCABULARY), torch.ones(7, dtype=torch.float64)
    with torch.no_grad():
        value = weighted_logprobs(hidden, head, ids, weights)
    assert not value.requires_grad
    linear.requires_grad_(requires_grad=False)
    found = weighted_logprobs(hidden, head, ids, weights, chunk=2)
    torch.testing.assert_close(found.detach(), value)
    (mine,) = gradients_of(found, hidden, linear)
    (expected,) = gradients_of(token_logprobs(hidden, head, ids)[0].sum(), hidden, linear)
    torch.testing.assert_close(mine, expected)


def test_frozen_head_gets_no_gradient_and_hidden_still_does():
    hidden, head, ids, _ = make(5)
    head.requires_grad_(requires_grad=False)
    token_logprobs(hidden, head, ids)[0].sum().backward()
    assert head.weight.grad is None
    assert hidden.grad.abs().sum() > 0


def test_bfloat16_states_give_float32_logprobs_near_the_exact_ones():
    hidden, head, ids, _ = make(50)
    exact, _ = token_logprobs(hidden, head, ids)
    small, entropy = token_logprobs(hidden.bfloat16(), head.bfloat16(), ids, entropy=True)
    assert small.dtype == entropy.dtype == torch.float32
    torch.testing.assert_close(small.double(), exact, atol=0.15, rtol=0.05)


def test_softmax_of_bfloat16_logits_is_taken_in_float32():
    head = nn.Linear(1, 1000, bias=False, dtype=torch.bfloat16)
    nn.init.ones_(head.weight)
    logprobs, entropy = token_logprobs(torch.ones(1, 1, dtype=torch.bfloat16), head, torch.tensor([3]), entropy=True)
    expected = torch.tensor([1000.0]).log()
    torch.testing.assert_close(-logprobs, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(entropy, expected, atol=1e-5, rtol=0)


def test_autocast_keeps_float32_weights_and_their_gradients():
    hidden, head, ids, _ = make(9, dtype=torch.float32)
    exact = token_logprobs(hidden, head, ids)[0].detach()
    with torch.autocast("cpu", torch.bfloat16):
        logprobs, _ = token_logprobs(hidden, head, ids)
    logprobs.sum().backward()
    assert logprobs.dtype == head.weight.grad.dtype == torch.float32
    torch.testing.assert_close(logprobs.detach(), exact, atol=0.1, rtol=0.05)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_barred_ids_have_no_share_in_their_rows(temperature):
    hidden, head, ids, _ = make(7)
    barred = torch.tensor([2, 9])
    early = torch.tensor([True, False, True, True, False, False, True])
    ids[early] = 4
    weights = torch.linspace(-1, 2, 7, dtype=torch.float64)
    found = []
    for ours in (True, False):
        hidden.grad = None
        head.zero_grad()
        if ours:
            logprobs, entropy = token_logprobs(
                hidden, head, ids, temperature=temperature, barred=(early, barred), entropy=True, chunk=3
            )
        else:
            logits = head(hidden) / temperature
            allowed = torch.ones_like(logits, dtype=torch.bool)
            allowed[early.nonzero(), barred] = False
            distribution = torch.distributions.Categorical(logits=logits.masked_fill(~allowed, -1e9))
            logprobs, entropy = distribution.log_prob(ids), distribution.entropy()
        (logprobs * weights + entropy * weights.flip(0)).sum().backward()
        found.append([logprobs.detach(), entropy.detach(), hidden.grad.clone(), head.weight.grad.clone()])
    for mine, expected in zip(*found, strict=True):
        torch.testing.assert_close(mine, expected)


def test_logits_of_more_than_a_chunk_are_never_held(monkeypatch):
    rows = []
    whole = module._Room.logits

    def watch(*arguments, **options):
        narrow, logits = whole(*arguments, **options)
        rows.append(len(logits))
        return narrow, logits

    monkeypatch.setattr(module._Room, "logits", watch)
    hidden, head, ids, _ = make(10)
    token_logprobs(hidden, head, ids, chunk=4)[0].sum().backward()
    assert rows == [4, 4, 2, 4, 4, 2]


@pytest.mark.parametrize("together", [1, 2, 4])
def test_gradients_in_half_precision_do_not_depend_on_how_many_parts_are_added_at_once(monkeypatch, together):
    monkeypatch.setattr(module, "HALF_TOGETHER", together)
    hidden, head, ids, _ = make(10)
    token_logprobs(hidden, head, ids)[0].sum().backward()
    half = nn.Linear(HIDDEN, VOCABULARY, bias=False, dtype=torch.bfloat16)
    half.load_state_dict(head.state_dict())
    states = hidden.detach().bfloat16().requires_grad_()
    token_logprobs(states, half, ids, chunk=3)[0].sum().backward()
    torch.testing.assert_close(half.weight.grad.double(), head.weight.grad, rtol=0.05, atol=0.1)
    torch.testing.assert_close(states.grad.double(), hidden.grad, rtol=0.05, atol=0.1)


def test_no_tokens_give_no_logprobs_and_a_gradient_of_zero():
    hidden, head, ids, _ = make(1)
    logprobs, entropy = token_logprobs(hidden[:0], head, ids[:0], entropy=True)
    logprobs.sum().backward()
    assert logprobs.shape == entropy.shape == (0,)
    assert head.weight.grad.abs().sum() == 0
