"""The exact fit minimises the very loss that the training loop computes, and reads what stands around a token."""

import numpy as np
import pytest
import torch
from doubles.edit_world import edit_pairs, marked_records
from doubles.reward_world import tiny_decoder

from spanwise.feedback.scores import Sample
from spanwise.models.logprobs import token_logprobs
from spanwise.reward_models.config import FittingConfig, TokenRewardConfig
from spanwise.reward_models.data.packing import collate
from spanwise.reward_models.data.token_examples import token_batch
from spanwise.reward_models.features.likelihoods import TOKEN_LIKELIHOODS
from spanwise.reward_models.fitting.linear_tokens import Standard, design_of, loss_of, read_tokens
from spanwise.reward_models.fitting.tokens import TokenData, TokenFit, token_examples, train_token_model
from spanwise.reward_models.network.model import encoder_of
from spanwise.rewards.learned import LearnedRewards

LINEAR = FittingConfig(method="linear", strengths=(0.1, 10.0), state_scales=(0.0, 0.3))


def config(**settings):
    return TokenRewardConfig.model_validate({"fitting": LINEAR.model_dump(), "device": "cpu", **settings})


@pytest.fixture(scope="module")
def trained():
    settings = config(likelihoods=True)
    return train_token_model(settings, TokenData(edits=edit_pairs(60)), backbone=tiny_decoder())


@pytest.mark.parametrize("name", ["full", "edited", "edited+consistency"])
def test_the_matrices_give_the_loss_of_the_training_loop(trained, name):
    settings = config(likelihoods=True, loss={"name": name, "margin": 0.3, "consistency": 0.7, "neutral": 0.2})
    model = trained.model
    data = TokenData(edits=edit_pairs(9, "matrices"), spans=marked_records(5, "labels"))
    examples, _ = token_examples(settings, data, encoder_of(model, trained.tokenizer))
    inputs = read_tokens(model, examples, batch_size=4, pad_id=0)
    plain = Standard(np.zeros(inputs[0].rows[0].shape[1]), np.ones(inputs[0].rows[0].shape[1]))
    unit = model.feature_heads
    on_features = (unit.weight[0] * unit.scale[0]).detach().double().numpy()
    constant = model.heads.bias[0].item() - float(unit.mean[0].double().numpy() @ on_features)
    weights = np.concatenate([on_features, model.heads.weight[0].detach().double().numpy(), [constant]])
    total, gradient = loss_of(settings, design_of(inputs, plain, settings.loss), weights)
    (head,) = model.config.head_specs
    expected, _ = TokenFit(settings, model, 0, examples, []).losses(token_batch(examples, head, pad_id=0))
    assert total == pytest.approx(expected.item(), rel=1e-4)
    step = 1e-5 * np.random.default_rng(0).standard_normal(len(weights)) / (1 + np.abs(weights).max())
    ahead, _ = loss_of(settings, design_of(inputs, plain, settings.loss), weights + step)
    behind, _ = loss_of(settings, design_of(inputs, plain, settings.loss), weights - step)
    assert (ahead - behind) / 2 == pytest.approx(float(gradient @ step), rel=1e-3, abs=1e-12)


def test_the_head_reads_its_token_and_its_clause(trained):
    model, tokenizer = trained.model, trained.tokenizer
    pair = edit_pairs(1, "clauses")[0]
    (item,) = encoder_of(model, tokenizer).encode([Sample(pair.prompt, pair.original)])
    batch = collate([item], model.config.head_specs, pad_id=0)
    _, found = model.read(batch)
    names = dict(zip(TOKEN_LIKELIHOODS, found.T.detach(), strict=True))
    hidden = model.backbone(input_ids=batch.ids).last_hidden_state[0]
    places = [place for place, _ in item.pieces["token"]]
    own, entropy = token_logprobs(
        hidden[[place - 1 for place in places]], model._output_head(), batch.ids[0, places], entropy=True
    )
    torch.testing.assert_close(names["logprob"], own)
    torch.testing.assert_close(names["surprise"], own + entropy)
    assert names["closing"].tolist() == [0.0] * (len(places) - 1) + [1.0]
    for clause in (*item.pieces["sub-sentence"], (places[-1], places[-1])):
        mine = [at for at, place in enumerate(places) if clause[0] <= place <= clause[1]]
        for at in mine:
            before, after = own[mine[0] : at + 1], own[at : mine[-1] + 1]
            assert names["logprob_sum_so_far"][at].item() == pytest.approx(before.sum().item(), rel=1e-4)
            assert names["logprob_lowest_to_come"][at].item() == pytest.approx(after.min().item(), rel=1e-4)
            assert names["logprob_sum_clause"][at].item() == pytest.approx(own[mine].sum().item(), rel=1e-4)
            lowest = max(own[mine].min().item(), -1.0)
            assert names["logprob_lowest_clause_above_-1"][at].item() == pytest.approx(lowest, rel=1e-4)
    assert names["logprob_lowest_response"].unique().tolist() == pytest.approx([own.min().item()], rel=1e-4)


def test_a_row_that_two_responses_share_gives_the_same_rewards(trained):
    model, tokenizer = trained.model, trained.tokenizer
    pair = edit_pairs(1, "shared")[0]
    items = encoder_of(model, tokenizer).encode([Sample(pair.prompt, text) for text in (pair.original, pair.edited)])
    alone = [model.score(collate([item], model.config.head_specs, pad_id=0)) for item in items]
    packed = collate(items, model.config.head_specs, pad_id=0, pack_to=model.config.window)
    assert packed.branches is not None
    torch.testing.assert_close(model.score(packed), torch.cat(alone), rtol=1e-3, atol=1e-3)


def test_the_exact_fit_finds_what_edits_changed(trained):
    assert trained.metrics["token"]["pair_accuracy"] > 0.9
    assert trained.metrics["token"]["auroc_original"] > 0.8
    (source,) = LearnedRewards(trained.model, trained.tokenizer).sources()
    pair = edit_pairs(1, "served")[0]
    whole, cut = source.score([Sample(pair.prompt, pair.original, truncated=cut) for cut in (False, True)])
    assert len(whole.scores) == len(cut.scores) + 1 == len(pair.original.split()) + 1
    assert LearnedRewards(trained.model, trained.tokenizer).sources()[0].score([Sample(pair.prompt, "")])[0].scores


def test_training_by_gradient_begins_at_the_exact_fit():
    fitting = FittingConfig(
        epochs=1, batch_size=60, learning_rate=1e-9, head_learning_rate=1e-9, strengths=(0.1,), state_scales=(0.3,)
    )
    pairs, backbone = TokenData(edits=edit_pairs(40)), tiny_decoder()
    runs = [
        train_token_model(config(likelihoods=True, fitting=chosen.model_dump()), pairs, backbone=backbone)
        for chosen in (fitting, fitting.model_copy(update={"method": "linear"}))
    ]
    torch.testing.assert_close(runs[0].model.heads.weight, runs[1].model.heads.weight, rtol=1e-3, atol=1e-5)


def test_nothing_to_read_is_refused():
    with pytest.raises(ValueError, match="leaves out the states"):
        config(fitting={"method": "linear", "state_scales": (0.0,)})
