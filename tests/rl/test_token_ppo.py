"""Token-level PPO (Xu et al. 2024): the reward vector that the paper prints, the same less KL, and the hybrid."""

import pytest
import torch
from doubles.rl_world import ScriptedSource, small_trainer, words_of

from spanwise.feedback.scores import SegmentScore, SegmentScores
from spanwise.rewards.config import MixtureConfig
from spanwise.rewards.pipeline import RewardPipeline
from spanwise.text.spans import Span


def worth(number):
    """What the token at place `number` of any response is worth; large ones are cut off by the clip."""
    return 0.5 - number


def token_rewards(text):
    """One reward per word, and one for the closing token."""
    spans = [*words_of(text), Span(len(text), len(text))]
    return SegmentScores(tuple(SegmentScore(span, worth(number)) for number, span in enumerate(spans)))


def whole(text):
    return SegmentScores((SegmentScore(Span(0, len(text)), 3.0),))


def trainer_with(folder, *, hybrid=False, **rule):
    sources = [ScriptedSource(token_rewards, name="token")]
    mixture = {"token": rule}
    if hybrid:
        sources.append(ScriptedSource(whole, name="sequence", density="sequence"))
        mixture["sequence"] = {"weight": 2.0}
    return small_trainer(folder, pipeline=RewardPipeline(sources, MixtureConfig.model_validate({"sources": mixture})))


def ended(rollout):
    """Rows whose response has an end of its own and a token for each word, with their lengths."""
    lengths = rollout.responses.lengths.tolist()
    rows = [row for row, cut in enumerate(rollout.responses.truncated.tolist()) if not cut]
    return [(r, lengths[r]) for r in rows if len(rollout.samples[r].response.split()) == lengths[r] - 1]


@pytest.mark.parametrize(
    ("rule", "paid"),
    [
        ({}, lambda score, length: score),
        ({"center": 0.25, "scale": 0.5}, lambda score, length: (score - 0.25) / 0.5),
        ({"clip": 1.0}, lambda score, length: max(-1.0, min(1.0, score))),
        ({"aggregate": "mean"}, lambda score, length: score / length),
        ({"aggregate": "fixed", "length": 5.0}, lambda score, length: score / 5.0),
    ],
)
def test_without_kl_the_rewards_are_the_printed_vector(tmp_path, rule, paid):
    trainer = trainer_with(tmp_path, **rule)
    rollout = trainer.rollout(1)
    rewards = trainer.make_experience(rollout, kl_coef=0.0).token_rewards
    seen = ended(rollout)
    assert seen
    for row, length in seen:
        expected = torch.tensor([paid(worth(place), length) for place in range(length)])
        torch.testing.assert_close(rewards[row, :length], expected)
        assert not rewards[row, length:].any()


def test_with_kl_every_token_pays_its_own(tmp_path):
    trainer = trainer_with(tmp_path)
    trainer.step(1)
    rollout = trainer.rollout(2)
    free, dear = (trainer.make_experience(rollout, kl_coef=coef) for coef in (0.0, 0.5))
    torch.testing.assert_close(dear.token_rewards, free.token_rewards - 0.5 * dear.kl)
    assert (dear.kl.abs() > 1e-3).sum() > 1.0 * len(dear)


def test_the_hybrid_adds_a_sequence_reward_on_the_last_token(tmp_path):
    plain, hybrid = trainer_with(tmp_path / "plain"), trainer_with(tmp_path / "hybrid", hybrid=True)
    first, second = plain.rollout(1), hybrid.rollout(1)
    assert [sample.response for sample in first.samples] == [sample.response for sample in second.samples]
    added = second.scores.total - first.scores.total
    for row, length in ended(second):
        assert added[row].tolist() == pytest.approx([0.0] * (length - 1) + [6.0] + [0.0] * (len(added[row]) - length))
