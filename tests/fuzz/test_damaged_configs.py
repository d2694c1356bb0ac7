"""Damaged configs: each is loaded or refused in one sentence, and never a traceback."""

from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import yaml
from doubles.mutations import STRANGE, Mutator, attempt, told

from spanwise.core import ConfigError
from spanwise.evals.metrics.config import EvaluateConfig
from spanwise.evals.win_rate.judges.config import JudgeConfig
from spanwise.llm.editors.config import EditorConfig
from spanwise.models.config import GenerateConfig
from spanwise.reward_models.config import RewardModelConfig, TokenRewardConfig
from spanwise.rl.config import RLConfig
from spanwise.training.config import DPORunConfig, SFTRunConfig

pytestmark = pytest.mark.slow
RECIPES = Path(__file__).parents[2] / "recipes"
INPUTS = 8_000
MODELS = {
    "rl.yaml": RLConfig,
    "sft.yaml": SFTRunConfig,
    "dpo.yaml": DPORunConfig,
    "generate.yaml": GenerateConfig,
    "reward.yaml": RewardModelConfig,
    "hybrid.yaml": TokenRewardConfig,
}
BARE = {
    EvaluateConfig: {"prompts": "p.jsonl", "responses": "r.jsonl"},
    JudgeConfig: {"kind": "people", "feedback": "f.jsonl"},
    EditorConfig: {"responses": "r.jsonl", "output": "o.jsonl", "endpoint": {"provider": "local", "model": "m"}},
}


def seeds():
    """(config class, text of a config) of every recipe, and bare ones of the classes without a recipe."""
    found = [(MODELS[path.name], path.read_text()) for path in sorted(RECIPES.glob("*/*.yaml")) if path.name in MODELS]
    found += [(model, yaml.safe_dump(values)) for model, values in BARE.items()]
    return found


def test_damaged_configs(tmp_path, capsys):
    path, figures, cases = tmp_path / "c.yaml", Counter(inputs=0, loaded=0, refused=0), seeds()
    for seed in range(INPUTS):
        mutator = Mutator(seed)
        model, text = mutator.random.choice(cases)
        overrides = []
        if seed % 3 == 0:
            path.write_bytes(mutator.raw(text.encode()))
        elif seed % 3 == 1:
            value = mutator.value(yaml.safe_load(text))
            path.write_bytes(yaml.safe_dump(value, allow_unicode=True).encode(errors="surrogatepass"))
        else:
            path.write_text(text)
            key = mutator.text(mutator.random.choice(list(model.model_fields)))
            overrides = [
                f"{key}={mutator.random.choice((*STRANGE, '[1, {a: 2}]', '{a: {b: 1}}', '!!python/x', '&a [*a]'))}"
            ]
        figures["inputs"] += 1
        found = attempt(f"seed {seed} ({model.__name__}, {overrides})", partial(model.load, path, overrides))
        figures["refused" if isinstance(found, ConfigError) else "loaded"] += 1
        assert isinstance(found, (ConfigError, model)), (seed, found)
    with capsys.disabled():
        told("configs", figures)
