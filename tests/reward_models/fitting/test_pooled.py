"""Scores of segments from preferences alone: the pooled Bradley-Terry loss by hand, and what it learns."""

import pytest
import torch
from doubles.reward_world import records, tiny_bert, tiny_decoder
from sklearn.metrics import roc_auc_score

from spanwise.core import ConfigError
from spanwise.feedback import Sample
from spanwise.models import Policy
from spanwise.reward_models import FittingConfig, RewardModelConfig
from spanwise.reward_models.config import PhraseConfig
from spanwise.reward_models.data import PairTargets
from spanwise.reward_models.fitting import train_reward_model
from spanwise.reward_models.network import load_reward_model, pair_loss, save_reward_model
from spanwise.rewards import LearnedRewards

LINEAR = FittingConfig(method="linear", strengths=(0.1, 1.0), state_scales=(1.0,))


def targets(*sizes):
    first = [sum(sizes[:number]) for number in range(len(sizes))]
    one = torch.tensor([0])
    return PairTargets(one, one + 1, torch.zeros(1), torch.ones(1), torch.tensor(first), torch.tensor(sizes))


def pooled_loss(chosen, rejected):
    logits = torch.tensor([*chosen, *rejected], requires_grad=True)
    pairs = targets(len(chosen), len(rejected))
    scores = pairs.means(logits)
    loss = pair_loss(scores[pairs.better], scores[pairs.worse])
    loss.backward()
    return loss.item(), logits.grad.tolist()


def test_one_pair_by_hand():
    """rivals.md 5.5: means 1.0 and .2, whatever the number of segments."""
    loss, gradient = pooled_loss([0.5, 1.5], [0.2, -0.4, 0.8])
    assert loss == pytest.approx(0.371101, abs=1e-6)
    assert gradient == pytest.approx([-0.155013] * 2 + [0.103342] * 3, abs=1e-6)
    assert pooled_loss([0.5, 1.5, 1.0], [0.2, -0.4, 0.8])[0] == pytest.approx(loss)
    summed = pair_loss(torch.tensor([2.0]), torch.tensor([0.6]))
    assert float(summed) == pytest.approx(0.220417, abs=1e-6)  # what sums would say: the longer answer wins


def test_means_are_of_numbers_and_of_vectors():
    pairs = targets(2, 1, 3)
    values = torch.arange(12.0).reshape(6, 2)
    assert pairs.means(values).tolist() == [[1.0, 2.0], [4.0, 5.0], [8.0, 9.0]]


def trained(make, **settings):
    config = RewardModelConfig(heads=("preference",), fitting=LINEAR, device="cpu", **settings)
    run = train_reward_model(config, records(40), backbone=make())
    return run, LearnedRewards(run.model, run.tokenizer)


def localisation(rewards, unseen):
    """AUROC of low segment scores on segments that a mark touches; no mark was read in training."""
    wrong, scores = [], []
    for record in unseen:
        for response in record.responses:
            (said,) = rewards.sources()[0].score([Sample.of(record, response.text)])
            for score in said.scores:
                wrong.append(
                    any(score.span.start < mark.end and mark.start < score.span.end for mark in response.spans)
                )
                scores.append(-score.value)
    return roc_auc_score(wrong, scores)


def test_preferences_between_answers_teach_which_sentence_is_wrong():
    run, rewards = trained(tiny_decoder, pool="sentence")
    (head,) = rewards.heads
    assert (head.kind, head.density) == ("pooled", "sentence")
    assert run.metrics["preference"]["pair_accuracy"] > 0.8
    assert localisation(rewards, records(12, "unseen")) > 0.8


def test_training_by_gradient_pools_as_well():
    fitting = FittingConfig(epochs=4, learning_rate=3e-3, head_learning_rate=1e-2)
    config = RewardModelConfig(heads=("preference",), fitting=fitting, device="cpu", pool="sentence")
    run = train_reward_model(config, records(40), records(12, "heldout"), backbone=tiny_bert())
    assert run.metrics["preference"]["pair_accuracy"] > 0.7
    assert localisation(LearnedRewards(run.model, run.tokenizer), records(12, "unseen")) > 0.7


def test_scores_of_segments_have_mean_0_and_deviation_1_on_what_was_learnt():
    _, rewards = trained(tiny_decoder, pool="sentence")
    samples = [
        Sample.of(record, response.text)
        for record in records(40)
        for number, response in enumerate(record.responses)
        if any(number in (pair.first, pair.second) for pair in record.preferences if pair.winner != "tie")
    ]
    values = torch.tensor([s.value for said in rewards.sources()[0].score(samples) for s in said.scores])
    assert float(values.mean()) == pytest.approx(0.0, abs=1e-3)
    assert float(values.std()) == pytest.approx(1.0, abs=5e-3)


def test_phrases_are_cut_alike_in_training_and_after_loading(tmp_path):
    start = Policy(*tiny_decoder())
    start.save(tmp_path / "start")
    phrases = PhraseConfig(model=str(tmp_path / "start"), mean_tokens=3.0)
    run, rewards = trained(tiny_decoder, pool="phrase", phrases=phrases)
    threshold = run.model.config.phrases["threshold"]
    assert threshold > 0
    save_reward_model(tmp_path / "reward", run.model, run.tokenizer)
    again = LearnedRewards(*load_reward_model(tmp_path / "reward"))
    assert again.model.config.phrases == {"model": str(tmp_path / "start"), "mean_tokens": 3.0, "threshold": threshold}
    samples = [Sample.of(record, response.text) for record in records(6, "unseen") for response in record.responses]
    first, second = rewards.sources()[0].score(samples), again.sources()[0].score(samples)
    for one, other in zip(first, second, strict=True):
        assert [score.span for score in one.scores] == [score.span for score in other.scores]
        assert [s.value for s in one.scores] == pytest.approx([s.value for s in other.scores], abs=1e-4)
    counts = [len(said.scores) for said in first]
    words = [len(sample.response.split()) for sample in samples]
    assert 2.0 < sum(words) / sum(counts) < 4.5
    for sample, said in zip(samples, first, strict=True):
        assert "".join(score.span.of(sample.response) for score in said.scores) == sample.response


def test_phrases_and_their_model_go_together():
    for wrong in ({"pool": "phrase"}, {"phrases": {"model": "x"}}):
        with pytest.raises(ConfigError, match="pool=phrase and phrases go together"):
            RewardModelConfig.from_values(wrong, place="test")
