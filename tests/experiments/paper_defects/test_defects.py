"""The defects W2, W3 and W4 of the code of Wu et al. 2023, reproduced with their published sizes."""

from dataclasses import replace

import pytest
import torch
from doubles.rl_world import small_trainer

from experiments.paper_defects.defects import (
    Defects,
    retokenized_spans,
    unmasked_gae,
    whiten_by_sqrt_std,
    with_defects,
)
from spanwise.core import ConfigError, RunFolder
from spanwise.rl import Trainer
from spanwise.rl.algorithms.advantages import masked_gae, masked_normalize
from spanwise.text.alignment import TokenAligner
from spanwise.text.spans import Span
from spanwise.text.tokens import last_token


def test_w3_leaves_a_standard_deviation_of_1_37_on_1_2_3_6():
    x, mask = torch.tensor([[1.0, 2.0, 3.0, 6.0]]), torch.ones(1, 4, dtype=torch.bool)
    assert float(whiten_by_sqrt_std(x, mask).std(unbiased=False)) == pytest.approx(1.37, abs=0.005)
    assert float(masked_normalize(x, mask).std(unbiased=False)) == pytest.approx(1.0)


def test_w3_scale_only_keeps_the_mean():
    x, mask = torch.tensor([[1.0, 2.0, 3.0, 6.0]]), torch.ones(1, 4, dtype=torch.bool)
    assert float(whiten_by_sqrt_std(x, mask, center=False).mean()) == pytest.approx(3.0)


def test_w4_pays_padding_and_carries_it_into_the_answer():
    # One short and one long answer. Mean 2 and standard deviation 2 over the four counting tokens, so padding is paid
    # 2 * (1 - 1 / sqrt(2)) = 0.5857864 and, with gamma = lambda = 1 and no values, each short token gets twice that.
    rewards = torch.tensor([[0.0, 0.0, 0.0], [4.0, 0.0, 4.0]])
    mask = torch.tensor([[True, False, False], [True, True, True]])
    whitened = whiten_by_sqrt_std(rewards, mask, center=False)
    assert float(whitened[0, 1]) == pytest.approx(0.5857864)
    values = torch.zeros(2, 3)
    leaking = unmasked_gae(whitened, values, mask, gamma=1.0, gae_lambda=1.0).advantages
    tight = masked_gae(whitened, values, mask, gamma=1.0, gae_lambda=1.0).advantages
    assert float((leaking - tight)[0, 0]) == pytest.approx(2 * 0.5857864)
    torch.testing.assert_close(leaking[1], tight[1])


def test_w4_without_rewards_on_padding_is_the_masked_recursion():
    rewards, values = torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[0.5, 0.2, 0.7]])
    mask = torch.tensor([[True, True, False]])
    leaking = unmasked_gae(rewards, values, mask, gamma=0.9, gae_lambda=0.8)
    tight = masked_gae(rewards, values, mask, gamma=0.9, gae_lambda=0.8)
    torch.testing.assert_close(leaking.advantages, tight.advantages)
    torch.testing.assert_close(leaking.returns, tight.returns)


def segments(text):
    """Spans from each sentence's first character to that of the next."""
    starts = [0, *(i + 2 for i in range(len(text)) if text[i : i + 2] == ". ")]
    return [Span(a, b) for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]


TEXT = "Ada Veld was born in Oslo. She worked as a mason. It burned down twice."


def test_w2_pays_the_token_that_the_prefix_rule_names(tiny_llama, tiny_t5):
    for _, tokenizer in (tiny_llama, tiny_t5):
        ids = tokenizer(TEXT, add_special_tokens=False).input_ids
        spans = retokenized_spans(tokenizer, TEXT, len(ids) + 1)
        for segment in segments(TEXT):
            prefix = tokenizer(TEXT[: segment.end], add_special_tokens=False).input_ids
            assert last_token(segment, spans, text=TEXT) == len(prefix) - 1


def test_w2_moves_rewards_to_the_next_segment_where_a_trailing_space_is_a_token(tiny_llama):
    tokenizer = tiny_llama[1]
    ids = tokenizer(TEXT, add_special_tokens=False).input_ids
    true = TokenAligner(tokenizer).align(ids).spans
    wrong = retokenized_spans(tokenizer, TEXT, len(ids))
    moved = [last_token(s, wrong, text=TEXT) - last_token(s, true, text=TEXT) for s in segments(TEXT)]
    assert moved == [1, 1, 0]


def test_w2_drifts_when_the_policy_sampled_other_tokens_than_the_tokenizer_would_write(tiny_llama):
    tokenizer = tiny_llama[1]
    ids = [i for character in TEXT for i in tokenizer(character, add_special_tokens=False).input_ids]
    true = TokenAligner(tokenizer).align(ids)
    assert true.text == TEXT
    wrong = retokenized_spans(tokenizer, TEXT, len(ids))
    first = segments(TEXT)[0]
    assert last_token(first, true.spans, text=TEXT) == TEXT.index(".")
    assert (
        last_token(first, wrong, text=TEXT) == len(tokenizer(TEXT[: first.end], add_special_tokens=False).input_ids) - 1
    )


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("", 2), ("abc", 1), ("one two three four", 2)])
def test_w2_gives_one_span_per_token_whatever_the_text(tiny_llama, text, tokens):
    spans = retokenized_spans(tiny_llama[1], text, tokens)
    assert len(spans) == tokens
    assert sum(len(span) for span in spans) == len(text.strip())


@pytest.mark.parametrize(
    ("settings", "defects", "words"),
    [
        ({}, {"padding_leak": True}, "sqrt_std_whitening"),
        ({"algorithm": "rloo"}, {"sqrt_std_whitening": True}, "are of ppo, not of rloo"),
    ],
)
def test_defects_that_would_not_show_are_refused(tmp_path, settings, defects, words):
    trainer = small_trainer(tmp_path, **settings)
    with pytest.raises(ConfigError, match=words):
        with_defects(trainer.config, trainer.parts, Defects(**defects))


def test_a_run_with_defects_places_and_normalises_by_them(tmp_path):
    trainer = small_trainer(tmp_path, ppo={"scale_rewards": True})
    rollout = trainer.rollout(1)
    experience = trainer.make_experience(rollout, kl_coef=0.0)
    everything = Defects(sqrt_std_whitening=True, padding_leak=True, retokenized_placement=True)
    parts = with_defects(trainer.config, trainer.parts, everything)
    sound = trainer.parts.algorithm.advantages(experience).advantages
    assert not torch.allclose(parts.algorithm.advantages(experience).advantages, sound)
    text, count = rollout.samples[0].response, int(rollout.responses.mask[0].sum())
    assert parts.token_spans(text, [0] * count) == retokenized_spans(parts.policy.tokenizer, text, count)


def test_the_rollout_pays_the_tokens_that_it_is_told_of(tmp_path):
    plain = small_trainer(tmp_path / "plain")

    def first_token_is_the_text(text, ids):
        return (Span(0, len(text)), *[Span(len(text), len(text))] * (len(ids) - 1))

    parts = replace(plain.parts, token_spans=first_token_is_the_text)
    paid = Trainer(plain.config, parts, RunFolder(tmp_path / "first")).rollout(1).scores.total
    torch.testing.assert_close(paid[:, 0], plain.rollout(1).scores.total.sum(1))
    assert float(paid[:, 1:].abs().sum()) == 0
