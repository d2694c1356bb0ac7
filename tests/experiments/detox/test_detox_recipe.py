"""The recipe's configs say what the study does, and a scorer alone is enough of a reward for `spanwise rl`."""

from pathlib import Path

import pytest

from experiments.detox.prepare import PreparationConfig
from experiments.detox.seed import DetoxStudyConfig
from spanwise.core.errors import ConfigError
from spanwise.reward_models.config import TokenRewardConfig
from spanwise.rl.config import RLConfig

RECIPE = Path(__file__).parents[3] / "recipes" / "detox"


@pytest.mark.parametrize(
    ("name", "reward", "density"),
    [("holistic", "holistic", "sentence"), ("sentence", "change", "sentence"), ("words", "marked-words", "sentence")],
)
def test_the_three_ways_of_paying_differ_in_the_reward_alone(name, reward, density):
    found = RLConfig.load(RECIPE / f"{name}.yaml")
    (use,) = found.scorers.values()
    assert (use.reward, use.density) == (reward, density)
    study = DetoxStudyConfig()
    assert found.sampling == study.sampling
    for field in ("steps", "rollout", "kl", "ppo", "update", "policy_optimizer", "value_optimizer"):
        assert getattr(found, field) == getattr(study.trainer, field), field


def test_the_span_model_of_the_recipe_is_that_of_the_study():
    found, study = TokenRewardConfig.load(RECIPE / "spans.yaml"), PreparationConfig()
    assert (found.layers, found.fitting) == (study.span_layers, study.span_fitting)


def test_a_run_without_any_reward_is_refused():
    with pytest.raises(ConfigError, match="name no reward"):
        RLConfig.load(RECIPE / "holistic.yaml", ["scorers={}"])
