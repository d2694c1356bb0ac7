"""Settings that must give the same numbers: dense and sparse rewards, micro-batches, padding, sampling and scoring."""

import dataclasses
import json

import pytest
import torch
from doubles.rl_world import ScriptedSource, batch_of, gradients, pipeline_of, small_trainer, words_of

from spanwise.feedback.prompts import PromptRecord
from spanwise.feedback.scores import SegmentScore, SegmentScores
from spanwise.models import backbone
from spanwise.rl.algorithms import types
from spanwise.rl.algorithms.types import TrainingBatch
from spanwise.text.spans import Span


def weights(trainer):
    policy, value = trainer.parts.policy.model.state_dict(), trainer.value_model.state_dict()
    return {f"policy.{n}": p for n, p in policy.items()} | {f"value.{n}": p for n, p in value.items()}


def all_on_the_last_word(text):
    """Dense: a score for every word, zero but for the last one, which gets as many points as there are words."""
    words = words_of(text)
    values = [0.0] * (len(words) - 1) + [float(len(words))] * bool(words)
    return SegmentScores(tuple(SegmentScore(word, value) for word, value in zip(words, values, strict=True)))


def one_score(text):
    """Sparse: one score of the whole text."""
    count = len(text.split())
    return SegmentScores((SegmentScore(Span(0, len(text)), float(count)),)) if count else SegmentScores()


def test_dense_reward_that_is_zero_but_for_the_last_token_is_sparse_ppo_number_for_number(tmp_path):
    settings = {"steps": 3, "value_warmup_steps": 1, "rollout": {"prompts_per_step": 6}}
    runs = {}
    for name, script in (("dense", all_on_the_last_word), ("sparse", one_score)):
        trainer = small_trainer(tmp_path / name, pipeline=pipeline_of(ScriptedSource(script)), **settings)
        trainer.run()
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        untimed = [
            {k: v for k, v in json.loads(line).items() if not k.startswith(("time/", "eval/time"))} for line in lines
        ]
        runs[name] = (untimed, weights(trainer))
    assert runs["dense"][0] == runs["sparse"][0]
    assert runs["dense"][0][-1]["reward/total"] > 0
    for name, weight in runs["dense"][1].items():
        assert torch.equal(weight, runs["sparse"][1][name]), name


def test_eight_micro_batches_of_one_give_the_gradients_and_metrics_of_one_of_eight(tmp_path):
    trainer = small_trainer(tmp_path)
    trainer.step(1)  # ratios away from 1, so that clipping matters
    batch = batch_of(trainer)
    results = {}
    for size in (8, 1, 3):
        small = small_trainer(tmp_path / str(size), update={"micro_batch_size": size})
        small.parts.policy.model.load_state_dict(trainer.parts.policy.model.state_dict())
        small.value_model.load_state_dict(trainer.value_model.state_dict())
        results[size] = gradients(small, batch)
    whole, metrics = results[8]
    assert max(float(g.abs().max()) for g in whole.values()) > 1e-3
    for size in (1, 3):
        for name, gradient in results[size][0].items():
            torch.testing.assert_close(gradient, whole[name], rtol=1e-4, atol=1e-6, msg=name)
        assert results[size][1] == pytest.approx(metrics, rel=1e-4, abs=1e-6)


def test_ratio_is_one_before_the_first_update(tmp_path):
    trainer = small_trainer(tmp_path, sampling={"temperature": 0.8, "top_k": 6})
    metrics = trainer.updater.accumulate(batch_of(trainer))
    assert metrics["policy/ratio"] == pytest.approx(1.0, abs=1e-5)
    assert metrics["policy/approx_kl"] == pytest.approx(0.0, abs=1e-8)
    assert metrics["policy/clip_fraction"] == 0


def widened(experience, columns):
    """The same experience with more padding on both sides, and rubbish in it."""

    def wide(x, value):
        return torch.nn.functional.pad(x, (0, columns), value=value)

    inputs = experience.inputs
    prompts = dataclasses.replace(
        inputs.prompts,
        ids=torch.nn.functional.pad(inputs.prompts.ids, (columns, 0), value=7),
        mask=torch.nn.functional.pad(inputs.prompts.mask, (columns, 0), value=False),
    )
    rubbish = {
        f.name: wide(getattr(experience, f.name), 1e3)
        for f in dataclasses.fields(experience)
        if f.name != "inputs" and getattr(experience, f.name) is not None
    }
    wider = dataclasses.replace(
        inputs,
        prompts=prompts,
        response_ids=wide(inputs.response_ids, 5),
        response_mask=wide(inputs.response_mask, False),
    )
    return dataclasses.replace(experience, inputs=wider, **rubbish)


def untrimmed(trainer, batch):
    """Losses and gradients of the batch as it is, padding read and all."""
    losses = []
    for outputs in trainer.updater.losses(batch, tokens=batch.tokens, train_policy=True):
        outputs.loss.backward()
        losses.append(outputs.loss.item())
    models = (trainer.parts.policy.model, trainer.value_model)
    found = [p.grad.clone() for model in models for p in model.parameters()]
    for model in models:
        model.zero_grad()
    return losses, found


def test_more_padding_changes_neither_advantages_nor_losses_nor_gradients(tmp_path):
    trainer = small_trainer(tmp_path)
    trainer.step(1)
    experience = trainer.make_experience(trainer.rollout(2), kl_coef=0.1)
    bare, padded = (
        TrainingBatch.of(e, trainer.parts.algorithm.advantages(e)) for e in (experience, widened(experience, 5))
    )
    width = bare.advantages.shape[1]
    assert torch.equal(padded.advantages[:, :width], bare.advantages)
    assert torch.equal(padded.returns[:, :width], bare.returns)
    losses, found = untrimmed(trainer, bare)
    more_losses, more_found = untrimmed(trainer, padded)
    assert more_losses == pytest.approx(losses, rel=1e-5, abs=1e-6)
    for gradient, more in zip(found, more_found, strict=True):
        torch.testing.assert_close(more, gradient, rtol=1e-4, atol=1e-6)
    trimmed, trimmed_metrics = gradients(trainer, padded)
    expected, metrics = gradients(trainer, bare)
    assert trimmed_metrics == metrics
    assert all(torch.equal(trimmed[name], expected[name]) for name in expected)


def test_losses_and_gradients_do_not_depend_on_how_responses_are_packed(tmp_path, monkeypatch):
    """Samples of one prompt together or apart, prompts read once or every time, any number of tokens at a time."""
    long = [PromptRecord(id=str(i), prompt=f"{word} sun sea " * 8) for i, word in enumerate(("red", "blue", "two"))]
    sizes = {"prompts_per_step": 3, "samples_per_prompt": 4}
    trainer = small_trainer(tmp_path, prompts=long, rollout=sizes, update={"micro_batch_size": 12})
    trainer.step(1)
    batch = batch_of(trainer)
    results = []
    for share_below, rows, tokens in (
        (0.0, 12, None),
        (0.75, 12, None),
        (0.75, 4, None),
        (0.75, 12, 150),
        (0.0, 5, 70),
    ):
        for module in (backbone, types):
            monkeypatch.setattr(module, "SHARE_BELOW", share_below)
        trainer.budget.rows, trainer.budget.tokens = rows, tokens
        results.append(gradients(trainer, batch))
    (whole, metrics), *others = results
    assert max(float(g.abs().max()) for g in whole.values()) > 1e-3
    for found, measured in others:
        assert measured == pytest.approx(metrics, rel=1e-4, abs=1e-6)
        for name, gradient in found.items():
            torch.testing.assert_close(gradient, whole[name], rtol=1e-4, atol=1e-6, msg=name)
