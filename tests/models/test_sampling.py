import pytest
import torch
from pydantic import ValidationError
from transformers import TopKLogitsWarper, TopPLogitsWarper

from spanwise.core.seeding import torch_generator
from spanwise.models.config import Sampling
from spanwise.models.sampling import BLOCK, draw, inverted, pick_likeliest

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, -torch.inf, 1.5])


@pytest.mark.parametrize("top_k", [0, 3, 6])
def test_draws_have_the_frequencies_of_the_restricted_softmax(top_k):
    count = 20_000
    drawn = draw(LOGITS.expand(count, -1), top_k, torch_generator(0, "draw"))
    kept = LOGITS if top_k == 0 else LOGITS.masked_fill(LOGITS.topk(top_k).values[-1] > LOGITS, -torch.inf)
    expected = kept.softmax(0)
    found = torch.bincount(drawn.tokens, minlength=6) / count
    # Five standard deviations of a share.
    assert ((found - expected).abs() <= 5 * (expected * (1 - expected) / count).sqrt()).all()
    torch.testing.assert_close(drawn.logprobs, kept.log_softmax(0)[drawn.tokens])


def test_support_holds_the_largest_logits_and_the_drawn_token():
    drawn = draw(LOGITS.expand(200, -1), 3, torch_generator(1, "draw"))
    assert {tuple(sorted(row)) for row in drawn.support.tolist()} == {(0, 1, 5)}
    assert (drawn.support == drawn.tokens[:, None]).any(1).all()


@pytest.mark.parametrize("top_p", [1e-6, 0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("top_k", [0, 4])
def test_top_p_keeps_what_transformers_keeps(top_p, top_k):
    rows = torch.cat([LOGITS[None], torch.randn(40, 6, generator=torch.Generator().manual_seed(0))])
    kept = TopPLogitsWarper(top_p)(None, TopKLogitsWarper(top_k)(None, rows) if top_k else rows)
    seen = torch.zeros(rows.shape, dtype=torch.bool)
    for seed in range(200):
        drawn = draw(rows, top_k, torch_generator(seed, "draw"), top_p)
        seen[torch.arange(len(rows)), drawn.tokens] = True
        expected = kept.log_softmax(1).gather(1, drawn.tokens[:, None])[:, 0]
        torch.testing.assert_close(drawn.logprobs, expected, rtol=1e-4, atol=1e-5)
    assert not (seen & kept.isneginf()).any()
    assert (seen | (kept.softmax(1) < 0.05)).all()


@pytest.mark.parametrize("top_k", [0, 6, 100])
def test_no_restriction_means_no_support(top_k):
    assert draw(LOGITS.expand(3, -1), top_k, torch_generator(1, "draw")).support is None


@pytest.mark.parametrize("size", [1, 7, BLOCK, BLOCK + 1, 10 * BLOCK, 4001, 32_000])
def test_blocks_find_the_places_that_one_sum_over_all_tokens_finds(size):
    generator = torch.Generator().manual_seed(size)
    logits = 3 * torch.randn(64, size, generator=generator)
    logits[:, ::3] = -1e9 if size > 1 else 0.0  # barred: a probability of 0 to the last bit
    weights = logits.softmax(1)
    sums = weights.cumsum(1, dtype=torch.float64)
    for _ in range(20):
        level = torch.rand((64, 1), generator=generator, dtype=torch.float64)
        expected = torch.searchsorted(sums, level * sums[:, -1:], right=True)
        assert torch.equal(inverted(weights, level), expected)


def test_no_level_finds_a_place_without_weight():
    weights = torch.zeros(3, 2 * BLOCK + 9)
    weights[0, 5], weights[1, BLOCK - 1], weights[2, BLOCK] = 1e-30, 0.1, 3.0
    for level in (0.0, 0.5, 1 - 2**-53):
        found = inverted(weights, torch.full((3, 1), level, dtype=torch.float64))
        assert found[:, 0].tolist() == [5, BLOCK - 1, BLOCK]


def test_what_is_no_number_gets_some_token():
    drawn = draw(torch.full((2, BLOCK + 9), torch.nan), 0, torch_generator(0, "draw"))
    assert ((drawn.tokens >= 0) & (drawn.tokens < BLOCK + 9)).all()


def test_a_certain_token_is_always_drawn_with_logprob_zero():
    logits = torch.full((500, 4), -torch.inf)
    logits[:, 2] = 7.0
    drawn = draw(logits, 0, torch_generator(2, "draw"))
    assert drawn.tokens.tolist() == [2] * 500
    assert drawn.logprobs.tolist() == [0.0] * 500


def test_drawing_depends_on_its_generator_alone():
    state = torch.get_rng_state()
    logits = torch.zeros(64, 50)
    first, again, other = (draw(logits, 0, torch_generator(seed, "draw")).tokens for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_likeliest_token_comes_with_its_logprob():
    picked = pick_likeliest(LOGITS[None])
    assert picked.tokens.tolist() == [0]
    torch.testing.assert_close(picked.logprobs, LOGITS.log_softmax(0)[:1])


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"top_k": -1}, {"max_new_tokens": 0}, {"top_p": 0.9}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValidationError):
        Sampling(**wrong)
