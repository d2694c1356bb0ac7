"""Learned sources turn logits into scores by hand-computable rules and share one forward pass."""

import pytest
import torch
from doubles.models import tiny_llama
from doubles.reward_world import records

from spanwise.core.errors import CheckpointError, ConfigError
from spanwise.feedback.scores import RewardSource, Sample
from spanwise.reward_models.data.packing import collate
from spanwise.reward_models.heads import HeadSpec
from spanwise.reward_models.network.checkpoint import save_reward_model
from spanwise.reward_models.network.model import build_reward_model, encoder_of
from spanwise.rewards.learned import LearnedRewards, load_sources
from spanwise.text.segments import get_segmenter
from spanwise.text.spans import Span

HEADS = (
    HeadSpec("relevance", "sub-sentence", "segment", slope=3.0, offset=-0.5),
    HeadSpec("factuality", "sentence", "segment"),
    HeadSpec("completeness", "sequence", "sequence", mean=-0.5, std=0.25),
)


def model(window=512):
    body, tokenizer = tiny_llama()
    built = build_reward_model(body, HEADS, window=window, generator=torch.Generator().manual_seed(3))
    built.heads.weight.data *= 20  # so that scores differ
    return built.eval(), tokenizer


def samples(count=2):
    return [Sample(r.prompt, response.text, r.passages) for r in records(count, "learned") for response in r.responses]


def logits_of(built, tokenizer, sample):
    encoded = encoder_of(built, tokenizer).encode([sample])
    batch = collate(encoded, HEADS, pad_id=0)
    found = built.score(batch)
    return {head.name: found[batch.pieces[:, 1] == number].tolist() for number, head in enumerate(HEADS)}


def test_scores_are_calibrated_probabilities_and_standard_scores_on_the_segments():
    built, tokenizer = model()
    rewards = LearnedRewards(built, tokenizer)
    by_head = {source.name: source.score(samples()) for source in rewards.sources()}
    for place, sample in enumerate(samples()):
        raw = logits_of(built, tokenizer, sample)
        found = {name: scores[place].scores for name, scores in by_head.items()}
        relevance = [2 / (1 + torch.exp(torch.tensor(-(3.0 * x - 0.5))).item()) - 1 for x in raw["relevance"]]
        assert [score.value for score in found["relevance"]] == pytest.approx(relevance, abs=1e-5)
        assert [score.value for score in found["completeness"]] == pytest.approx(
            [(raw["completeness"][0] + 0.5) / 0.25], abs=1e-4
        )
        assert tuple(score.span for score in found["factuality"]) == get_segmenter("sentence")(sample.response)
        assert found["completeness"][0].span == Span(0, len(sample.response))


def test_hard_scores_are_the_signs():
    built, tokenizer = model()
    soft = LearnedRewards(built, tokenizer).sources(["relevance"])[0].score(samples())
    hard = LearnedRewards(built, tokenizer, hard=True).sources(["relevance"])[0].score(samples())
    values = [
        (s.value, h.value)
        for left, right in zip(soft, hard, strict=True)
        for s, h in zip(left.scores, right.scores, strict=True)
    ]
    assert {h for _, h in values} == {1.0, -1.0}
    assert all((s >= 0) == (h > 0) for s, h in values)


def test_all_heads_share_one_forward_pass_also_over_repeated_responses(monkeypatch):
    built, tokenizer = model()
    rewards = LearnedRewards(built, tokenizer)
    rows = []
    forward = built.forward
    monkeypatch.setattr(
        built, "forward", lambda *inputs, **more: (rows.append(len(inputs[2])), forward(*inputs, **more))[1]
    )
    asked = [*samples(1), *samples(1)]
    scores = [source.score(asked) for source in rewards.sources()]
    assert len(rows) == 1
    assert all(found[:3] == found[3:] for found in scores)
    rewards.sources()[0].score(samples(2))
    assert len(rows) == 2


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_scores_do_not_depend_on_batching_or_order(batch_size):
    built, tokenizer = model()
    reference = LearnedRewards(built, tokenizer).sources()[2].score(samples(3))
    source = LearnedRewards(built, tokenizer, batch_size=batch_size).sources()[2]
    found = source.score(samples(3)[::-1])[::-1]
    assert [item.scores[0].value for item in found] == pytest.approx(
        [item.scores[0].value for item in reference], abs=1e-3
    )


def test_an_answer_beyond_the_window_is_unscored_and_the_others_are_not():
    built, tokenizer = model(window=80)
    long = Sample("what ?", "the house was red . " * 40)
    found = LearnedRewards(built, tokenizer).sources()[0].score([Sample("what ?", "the house was red ."), long])
    assert found[0].missing is None
    assert len(found[0].scores) == 1
    assert found[1].missing is not None
    assert "the window of the reward model holds 80" in found[1].missing.reason


def test_an_empty_answer_has_no_segments_and_a_sequence_score():
    built, tokenizer = model()
    sources = LearnedRewards(built, tokenizer).sources()
    found = {source.name: source.score([Sample("what ?", "")])[0] for source in sources}
    assert found["relevance"].scores == found["factuality"].scores == ()
    assert isinstance(found["completeness"].scores[0].value, float)
    assert all(item.missing is None for item in found.values())


def test_sources_describe_themselves_and_change_version_with_the_way_of_scoring(tmp_path):
    built, tokenizer = model()
    save_reward_model(tmp_path / "best", built, tokenizer)
    sources = load_sources(tmp_path / "best", heads=["completeness", "relevance"], device="cpu")
    assert [(s.name, s.category, s.density) for s in sources] == [
        ("completeness", "completeness", "sequence"),
        ("relevance", "relevance", "sub-sentence"),
    ]
    assert all(isinstance(source, RewardSource) for source in sources)
    hard = load_sources(tmp_path / "best", hard=True, device="cpu")
    assert sources[0].version == sources[1].version != hard[0].version


def test_a_head_that_is_not_there_and_a_checkpoint_that_is_none(tmp_path):
    built, tokenizer = model()
    with pytest.raises(ConfigError, match="no head 'style'; it has relevance, factuality, completeness"):
        LearnedRewards(built, tokenizer).sources(["style"])
    with pytest.raises(CheckpointError, match="checkpoints/best"):
        load_sources(tmp_path)
