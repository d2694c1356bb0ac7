"""Token rewards are learned from edits, marks and word tags, find what was changed, and are served as scores."""

import json

import pytest
import torch
from doubles.edit_world import edit_pairs, marked_records
from doubles.reward_world import tiny_decoder

from spanwise.core.errors import DataError
from spanwise.core.runs import RunFolder
from spanwise.feedback.scores import Sample
from spanwise.reward_models.config import FittingConfig, TokenRewardConfig
from spanwise.reward_models.fitting.evaluate import collect_rewards, token_metrics
from spanwise.reward_models.fitting.tokens import TokenData, split_by_prompt, token_examples, train_token_model
from spanwise.reward_models.network.checkpoint import load_reward_model
from spanwise.reward_models.network.model import encoder_of
from spanwise.rewards.learned import LearnedRewards, load_sources

FITTING = FittingConfig(epochs=8, batch_size=8, learning_rate=3e-3, head_learning_rate=3e-3)


def config(**settings):
    return TokenRewardConfig(**{"fitting": FITTING, "device": "cpu", **settings})


def metrics_of(run, pairs):
    examples, _ = token_examples(config(), TokenData(edits=pairs), encoder_of(run.model, run.tokenizer))
    return token_metrics(collect_rewards(run.model, examples, batch_size=16, pad_id=0))


@pytest.mark.parametrize("name", ["full", "edited", "edited+consistency"])
def test_edits_teach_which_side_is_better_and_which_tokens_were_wrong(tmp_path, name):
    folder = RunFolder(tmp_path)
    settings = config(loss={"name": name})
    run = train_token_model(settings, TokenData(edits=edit_pairs(80)), backbone=tiny_decoder(), folder=folder)
    found = metrics_of(run, edit_pairs(30, "judge"))
    assert found["pair_accuracy"] > 0.9
    assert found["longer_wins"] == 0.0
    if name != "full":
        assert found["auroc_original"] > 0.9
    model, tokenizer = load_reward_model(folder.checkpoint("best"))
    assert (
        json.loads((tmp_path / "results.json").read_text())["reward_models"]["token"]["metrics"] == run.metrics["token"]
    )
    pair = edit_pairs(1, "served")[0]
    (source,) = load_sources(folder.checkpoint("best"), device="cpu")
    served = source.score([Sample(pair.prompt, pair.original, truncated=cut) for cut in (False, True)])
    assert source.density == "token"
    assert [len(one.scores) for one in served] == [len(pair.original.split()) + 1, len(pair.original.split())]
    (head,) = model.config.head_specs
    assert (head.kind, head.std != 1.0) == ("token", True)
    assert LearnedRewards(model, tokenizer).heads == (head,)


def test_marks_and_tags_teach_the_same_tokens_as_edits():
    for data in (TokenData(spans=marked_records(80)), TokenData(tags=edit_pairs(80))):
        run = train_token_model(config(), data, backbone=tiny_decoder())
        assert run.metrics["token"]["auroc_labels"] > 0.9
        assert metrics_of(run, edit_pairs(30, "judge"))["auroc_original"] > 0.9


def test_rewards_of_the_reference_have_mean_zero_and_deviation_one():
    reference = marked_records(20, "reference")
    run = train_token_model(
        config(fitting=FittingConfig(epochs=1)), TokenData(edits=edit_pairs(20)), reference=reference,
        backbone=tiny_decoder(),
    )  # fmt: skip
    (source,) = LearnedRewards(run.model, run.tokenizer).sources()
    scored = source.score([Sample(record.prompt, record.responses[0].text) for record in reference])
    values = torch.tensor([score.value for one in scored for score in one.scores])
    assert values.mean().item() == pytest.approx(0.0, abs=1e-3)
    assert values.std().item() == pytest.approx(1.0, abs=1e-3)


def test_all_that_belongs_to_a_prompt_falls_on_the_same_side():
    data = TokenData(edits=[*edit_pairs(20), *edit_pairs(20)], spans=marked_records(20, "edits"))
    train, heldout = split_by_prompt(data, share=0.25, seed=0)
    assert (len(heldout.edits), len(heldout.spans)) == (10, 5)
    assert not set(train.prompts()) & set(heldout.prompts())


def test_the_same_seed_gives_the_same_model():
    def weights(seed):
        settings = config(seed=seed, fitting=FittingConfig(epochs=1))
        return train_token_model(settings, TokenData(edits=edit_pairs(12)), backbone=tiny_decoder()).model.heads.weight

    first = weights(0)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))


def test_nothing_to_learn_from_says_why():
    same = [pair.model_copy(update={"edited": pair.original, "spans": None}) for pair in edit_pairs(6)]
    with pytest.raises(DataError, match=r"training data has no edit.*identical"):
        train_token_model(config(), TokenData(edits=same), backbone=tiny_decoder())


def test_marks_of_a_category_that_nobody_used_teach_nothing():
    with pytest.raises(DataError, match="teaches nothing: no token is wrong; check categories"):
        train_token_model(config(categories=("Typo",)), TokenData(spans=marked_records(20)), backbone=tiny_decoder())
