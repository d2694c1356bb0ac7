"""Heads fitted on a frozen backbone: the optimum, out of fold by question, the same in training, on disk and served."""

import numpy as np
import pytest
import torch
from doubles.reward_world import records, tiny_bert, tiny_decoder
from torch.nn import functional

from spanwise.core.errors import CheckpointError, ConfigError, DataError
from spanwise.core.runs import RunFolder
from spanwise.feedback.schema import FeedbackRecord, Preference, Response
from spanwise.feedback.scores import Sample
from spanwise.reward_models.config import FittingConfig, RewardModelConfig
from spanwise.reward_models.data.examples import make_batch
from spanwise.reward_models.features.relations import response_features, segment_features
from spanwise.reward_models.fitting.linear_segments import question_folds
from spanwise.reward_models.fitting.segments import evaluate_reward_model, segment_examples, train_reward_model
from spanwise.reward_models.network.checkpoint import load_reward_model
from spanwise.reward_models.network.model import encoder_of
from spanwise.rewards.learned import LearnedRewards
from spanwise.text.segments import get_segmenter


def config(*, strengths=(0.01, 0.1), state_scales=(0.0, 0.3), **settings):
    fitting = FittingConfig(method="linear", strengths=strengths, state_scales=state_scales)
    return RewardModelConfig(fitting=fitting, device="cpu", **{"features": True, "layers": 1, **settings})


def samples(count, purpose):
    return [Sample(r.prompt, x.text, r.passages) for r in records(count, purpose) for x in r.responses]


@pytest.mark.parametrize("double", [tiny_bert, tiny_decoder])
def test_heads_on_a_frozen_backbone_learn_and_come_back_from_disk_bit_by_bit(tmp_path, double):
    folder = RunFolder(tmp_path)
    body, tokenizer = double()
    run = train_reward_model(config(), records(60), backbone=(body, tokenizer), folder=folder)
    first = body.base_model.state_dict()
    assert all(torch.equal(first[name], value) for name, value in run.model.backbone.state_dict().items())
    loaded, _ = load_reward_model(folder.checkpoint("best"))
    assert len(loaded.config.features) == loaded.feature_heads.weight.shape[1]
    served = LearnedRewards(loaded, tokenizer).score_all(samples(5, "served"))
    assert served == LearnedRewards(run.model, tokenizer).score_all(samples(5, "served"))
    heads, _ = evaluate_reward_model(config(), loaded, tokenizer, records(25, "judge"))
    assert heads["relevance"].metrics["auroc"] > 0.9
    assert heads["completeness"].metrics["pair_accuracy"] > 0.75


def test_a_served_score_is_the_heads_on_states_and_features_worked_out_by_hand():
    run = train_reward_model(config(state_scales=(0.3,)), records(40), backbone=tiny_bert())
    model = run.model
    sample = samples(1, "served")[1]
    item = encoder_of(model, run.tokenizer).encode([sample])[0]
    hidden = model.backbone(input_ids=torch.tensor([item.ids])).last_hidden_state[0].detach()
    counted = {
        "sub-sentence": segment_features(sample, item.segments["sub-sentence"]),
        "sentence": segment_features(sample, item.segments["sentence"]),
        "sequence": response_features(sample)[None],
    }
    for unit, head in enumerate(model.config.head_specs):
        scores = LearnedRewards(model, run.tokenizer).score_all([sample])[0][head.name].scores
        assert len(scores) == len(item.pieces[head.density])
        for score, (first, last), row in zip(scores, item.pieces[head.density], counted[head.density], strict=True):
            width = len(row)
            standard = (row - model.feature_heads.mean[unit, :width].numpy()) * model.feature_heads.scale[
                unit, :width
            ].numpy()
            said = standard @ model.feature_heads.weight[unit, :width].detach().numpy()
            logit = hidden[first : last + 1].mean(0) @ model.heads.weight[unit] + model.heads.bias[unit] + said
            if head.kind == "segment":
                expected = 2 / (1 + np.exp(-(head.slope * logit.item() + head.offset))) - 1
            else:
                expected = (logit.item() - head.mean) / head.std
            assert score.value == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("head", ["relevance", "preference"])
def test_the_fit_is_the_optimum_of_the_penalised_loss(head):
    """The gradient of loss and penalty, taken through the model's own forward pass, is zero."""
    decided = [r for r in records(60) if any(p.winner != "tie" for p in r.preferences)]
    settings = config(strengths=(0.05,), state_scales=(0.3,), heads=(head,), position_offset=False)
    model, tokenizer = _model_of(train_reward_model(settings, decided, backbone=tiny_bert()))
    examples, _ = segment_examples(settings, decided, encoder_of(model, tokenizer))
    batch = make_batch(examples, model.config.head_specs, pad_id=0)
    logits = model.score(batch.inputs)
    if head == "relevance":
        losses = functional.binary_cross_entropy_with_logits(logits, batch.correct, reduction="sum")
    else:
        pairs = batch.pairs[head]
        losses = -functional.logsigmoid(logits[pairs.better] - logits[pairs.worse]).sum()
    spread = model.read(batch.inputs)[0].detach().std(0, correction=0)
    on_features, on_states = model.feature_heads.weight, model.heads.weight * spread / 0.3
    parameters = [model.feature_heads.weight, model.heads.weight]
    of_losses = torch.autograd.grad(0.05 * losses, parameters, retain_graph=True)
    of_penalty = torch.autograd.grad(0.5 * ((on_features**2).sum() + (on_states**2).sum()), parameters)
    varying = model.feature_heads.scale[0] > 0
    assert varying.sum() > 10
    for loss, penalty in zip(of_losses, of_penalty, strict=True):
        assert loss.norm() > 0.1
        torch.testing.assert_close(loss, -penalty, atol=2e-3 * loss.norm().item(), rtol=0.0)


def _model_of(run):
    return run.model, run.tokenizer


def test_without_held_out_records_heads_are_judged_on_questions_they_have_not_seen():
    """Labels are noise: whoever judges a head on its own training questions finds it better than chance."""
    generator = np.random.default_rng(0)
    noise = [
        FeedbackRecord(
            id=str(n),
            prompt=f"what {n} ?",
            responses=tuple(Response(text=f"{a} .") for a in generator.permutation(("red", "blue", "dog one two"))[:2]),
            preferences=(Preference(first=0, second=1, winner=("first", "second")[n % 2]),),
        )
        for n in range(160)
    ]
    settings = config(heads=("preference",), strengths=(1.0,), state_scales=(1.0,))
    run = train_reward_model(settings, noise, backbone=tiny_bert())
    on_training, _ = evaluate_reward_model(settings, run.model, run.tokenizer, noise)
    assert run.metrics["preference"]["pairs"] == 160
    assert run.metrics["preference"]["pair_accuracy"] < on_training["preference"].metrics["pair_accuracy"]
    assert abs(run.metrics["preference"]["pair_accuracy"] - 0.5) < 0.13


def test_held_out_records_calibrate_where_they_are_given():
    settings = config(heads=("relevance",))
    alone = train_reward_model(settings, records(40), backbone=tiny_bert())
    held = train_reward_model(settings, records(40), records(15, "choose"), backbone=tiny_bert())
    assert torch.equal(alone.model.heads.weight, held.model.heads.weight)
    assert alone.model.config.head_specs != held.model.config.head_specs
    assert held.metrics["relevance"]["segments"] == sum(
        len(get_segmenter("sub-sentence")(x.text)) for r in records(15, "choose") for x in r.responses
    )


def test_rows_of_a_question_share_a_fold_and_folds_are_of_one_size():
    question = np.repeat(np.arange(22), 3)
    fold = question_folds(question, seed=0, head="relevance")
    assert all(len(set(fold[question == number])) == 1 for number in range(22))
    assert sorted(np.bincount(fold) // 3) == [5, 5, 6, 6]
    with pytest.raises(DataError, match="'relevance' are all of one question"):
        question_folds(np.zeros(5, dtype=int), seed=0, head="relevance")


def test_features_that_a_gradient_run_learns_stand_on_their_own_scale():
    settings = RewardModelConfig(
        features=True,
        heads=("relevance",),
        device="cpu",
        fitting=FittingConfig(epochs=2, head_learning_rate=0.05, learning_rate=1e-6),
    )
    run = train_reward_model(settings, records(40), records(15, "choose"), backbone=tiny_bert())
    assert run.model.feature_heads.weight.abs().max() > 0.05
    examples, _ = segment_examples(settings, records(40), encoder_of(run.model, run.tokenizer))
    batch = make_batch(examples, run.model.config.head_specs, pad_id=0).inputs
    standard = (batch.features - run.model.feature_heads.mean[0]) * run.model.feature_heads.scale[0]
    varying = run.model.feature_heads.scale[0] > 0
    # Held-out questions were left out of mean and spread here, so the training pieces are exactly standard.
    torch.testing.assert_close(standard.mean(0), torch.zeros(standard.shape[1]), atol=1e-4, rtol=0.0)
    torch.testing.assert_close(standard[:, varying].std(0, correction=0), torch.ones(int(varying.sum())))


def test_a_model_without_features_refuses_settings_that_leave_it_nothing():
    with pytest.raises(ConfigError, match="leaves out the states"):
        RewardModelConfig.from_values({"fitting": {"method": "linear", "state_scales": [0.0]}}, place="reward.yaml")


def test_more_layers_than_the_backbone_has_are_refused():
    with pytest.raises(ConfigError, match="layers: 3 asked for, the backbone has 2"):
        train_reward_model(config(layers=3), records(10), backbone=tiny_bert())


def test_features_of_another_version_are_refused(tmp_path):
    folder = RunFolder(tmp_path)
    train_reward_model(config(heads=("relevance",)), records(12), backbone=tiny_bert(), folder=folder)
    path = folder.checkpoint("best") / "config.json"
    path.write_text(path.read_text().replace("mean_place", "mean_location"))
    with pytest.raises(CheckpointError, match="reads other features than this version counts"):
        load_reward_model(folder.checkpoint("best"))
