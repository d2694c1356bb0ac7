"""Averages of policies: the weights, the ends, and what cannot be averaged."""

import copy

import pytest
import torch
from doubles import models as doubles

from experiments.customisation.seed import average_policies
from spanwise.core.errors import CheckpointError
from spanwise.models import Policy


@pytest.fixture(name="pair", scope="module")
def two_policies_of_one_start():
    model, tokenizer = doubles.tiny_llama()
    other = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator))
    return Policy(model, tokenizer), Policy(other, tokenizer)


def test_every_weight_is_the_weighted_sum(pair):
    mixed = average_policies(pair, (0.25, 0.75))
    first, second, found = ({n: w.clone() for n, w in p.model.named_parameters()} for p in (*pair, mixed))
    assert found.keys() == first.keys()
    for name, weight in found.items():
        torch.testing.assert_close(weight, 0.25 * first[name] + 0.75 * second[name])


def test_the_ends_are_the_policies_and_neither_is_touched(pair):
    before = [{name: weight.clone() for name, weight in p.model.named_parameters()} for p in pair]
    for place, shares in enumerate([(1.0, 0.0), (0.0, 1.0)]):
        mixed = dict(average_policies(pair, shares).model.named_parameters())
        for name, weight in before[place].items():
            assert torch.equal(mixed[name], weight)
    for policy, weights in zip(pair, before, strict=True):
        assert all(torch.equal(weight, weights[name]) for name, weight in policy.model.named_parameters())


def test_tied_weights_stay_tied(pair):
    model = average_policies(pair, (0.5, 0.5)).model
    tied = pair[0].model.get_input_embeddings().weight is pair[0].model.get_output_embeddings().weight
    assert (model.get_input_embeddings().weight is model.get_output_embeddings().weight) == tied


@pytest.mark.parametrize(("shares", "message"), [((1.0,), "one share for each"), ((0.5, 0.4), "sum to 0.9")])
def test_shares_that_do_not_fit_are_refused(pair, shares, message):
    with pytest.raises(CheckpointError, match=message):
        average_policies(pair, shares)


def test_policies_of_other_shapes_are_refused(pair):
    other = copy.deepcopy(pair[0].model)
    other.resize_token_embeddings(other.config.vocab_size + 8)
    with pytest.raises(CheckpointError, match="cannot be averaged: weight"):
        average_policies((pair[0], Policy(other, pair[0].tokenizer)), (0.5, 0.5))
