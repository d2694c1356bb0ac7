"""Input that a run must survive or refuse in one sentence: NaN, empty answers, other vocabularies, full windows."""

import json

import pytest
import torch
from doubles import models as doubles
from doubles.rl_world import PROMPTS, ScriptedSource, pay_each, pipeline_of, small_trainer, word_policy
from transformers import LlamaModel

from spanwise.core.errors import DataError, ScoringError
from spanwise.feedback.prompts import PromptRecord
from spanwise.feedback.scores import SegmentScore, SegmentScores
from spanwise.models.policy import Policy
from spanwise.reward_models.heads import HeadSpec
from spanwise.reward_models.network.model import build_reward_model
from spanwise.rewards.config import MixtureConfig, SourceWeight
from spanwise.rewards.learned import LearnedRewards
from spanwise.rewards.pipeline import RewardPipeline
from spanwise.text.spans import Span


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_stops_the_step_and_names_source_and_sample(tmp_path, value):
    def broken(text):
        return SegmentScores((SegmentScore(Span(0, len(text)), value),)) if "bad" in text else pay_each(text)

    trainer = small_trainer(tmp_path, pipeline=pipeline_of(ScriptedSource(pay_each), ScriptedSource(broken, "broken")))
    before = {n: p.detach().clone() for n, p in trainer.parts.policy.model.named_parameters()}
    with pytest.raises(ScoringError, match=rf"source 'broken' gave {value} for characters 0 .*bad.* to the prompt '"):
        list(map(trainer.rollout, range(1, 9)))
    assert all(torch.equal(before[n], p) for n, p in trainer.parts.policy.model.named_parameters())


@pytest.mark.parametrize("algorithm", ["ppo", "rloo", "grpo"])
def test_a_run_in_which_every_answer_is_empty_goes_through(tmp_path, algorithm, monkeypatch):
    trainer = small_trainer(tmp_path, algorithm=algorithm, steps=1, value_warmup_steps=0)
    generate = trainer.parts.policy.generate

    def empty(prompts, **options):
        batch = generate(prompts, **options)
        batch.ids, batch.mask = torch.full_like(batch.ids[:, :1], 2), torch.ones_like(batch.mask[:, :1])
        batch.logprobs, batch.truncated = batch.logprobs[:, :1], torch.zeros_like(batch.truncated)
        return batch

    monkeypatch.setattr(trainer.parts.policy, "generate", empty)
    trainer.run()
    last = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()][-1]
    assert (last["response/empty"], last["response/length"], last["reward/total"]) == (1.0, 1.0, 0.0)
    assert all(torch.isfinite(p).all() for p in trainer.parts.policy.model.parameters())


def test_a_reward_model_may_have_another_vocabulary_than_the_policy(tmp_path):
    """Sources read text and speak of characters, so tokenizers need not agree."""
    model, tokenizer = doubles.tiny_llama()
    policy = word_policy()
    assert len(tokenizer) != len(policy.tokenizer)
    heads = (HeadSpec("relevance", "sub-sentence", "segment"), HeadSpec("completeness", "sequence", "sequence"))
    reward = build_reward_model(LlamaModel(model.config), heads, window=512, generator=torch.Generator().manual_seed(0))
    sources = LearnedRewards(reward, tokenizer).sources()
    rules = {source.name: SourceWeight(missing="mask") for source in sources}
    trainer = small_trainer(tmp_path, policy=policy, pipeline=RewardPipeline(sources, MixtureConfig(sources=rules)))
    rollout = trainer.rollout(1)
    for row, raw in enumerate(rollout.scores.raw):
        said = sum(score.value for scores in raw.values() for score in scores.scores if isinstance(score.value, float))
        if not rollout.scores.dropped[row]:
            assert float(rollout.scores.total[row].sum()) == pytest.approx(said, rel=1e-4, abs=1e-5)
    assert trainer.learn(rollout, 1)["reward/total"] != 0


def test_a_prompt_that_fills_the_window_is_refused_before_the_run(tmp_path):
    full = [*PROMPTS, PromptRecord(id="full", prompt="sun " * 63)]
    with pytest.raises(DataError, match=r"record 9 \(id 'full'\): 6\d tokens, there is room for 56"):
        small_trainer(tmp_path, prompts=full)
    assert not any(tmp_path.iterdir())


def test_encoder_decoder_policies_go_through_every_algorithm_and_lora(tmp_path):
    for number, settings in enumerate(({"algorithm": "grpo"}, {"lora": {"rank": 2}}, {"kl": {"where": "loss"}})):
        policy = Policy(*doubles.tiny_t5())
        trainer = small_trainer(tmp_path / str(number), policy=policy, **settings)
        metrics = trainer.step(1)
        assert metrics["policy/ratio"] == pytest.approx(1.0, abs=0.5)
        assert metrics["policy/grad_norm"] > 0
