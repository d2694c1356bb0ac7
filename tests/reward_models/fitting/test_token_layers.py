"""A token-level reward model can be built on the first layers of its backbone alone."""

import pytest
from doubles.edit_world import edit_pairs
from doubles.reward_world import tiny_decoder

from spanwise.core.errors import ConfigError
from spanwise.reward_models.config import FittingConfig, TokenRewardConfig
from spanwise.reward_models.fitting.tokens import TokenData, train_token_model


def trained_on(layers):
    settings = TokenRewardConfig(layers=layers, device="cpu", fitting=FittingConfig(epochs=1))
    return train_token_model(settings, TokenData(edits=edit_pairs(8)), backbone=tiny_decoder())


def test_the_model_has_as_many_layers_as_asked_for():
    assert [trained_on(layers).model.backbone.config.num_hidden_layers for layers in (1, None)] == [1, 2]


def test_more_layers_than_the_backbone_has_are_refused():
    with pytest.raises(ConfigError, match="3 asked for, the backbone has 2"):
        trained_on(3)
