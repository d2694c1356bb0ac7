"""Which settings of the token reward model find changed tokens best, on seeds and prompts that no result uses.

Samples, edits and the backbone's inputs are made once per seed; each setting is then an exact fit of seconds. With
`gradient=true` the token model of the settings `token.*` is trained by gradient from the exact fit instead. Says, on
edits without noise, pair accuracy and the area under the curve over the originals' tokens.
"""

import itertools
import time
from collections.abc import Sequence
from typing import Any

from experiments.edits.seed import EditSeed, EditStudyConfig
from experiments.lib.study import Place, Say, Study
from spanwise.core import Config, torch_generator
from spanwise.reward_models import FittingConfig, HeadSpec, TokenRewardConfig
from spanwise.reward_models.fitting import (
    TokenData,
    TokenOutput,
    best_fit,
    collect_rewards,
    read_tokens,
    split_by_prompt,
    token_examples,
    token_metrics,
    train_token_model,
)
from spanwise.reward_models.network import build_reward_model, encoder_of, load_backbone, pad_id_of
from spanwise.sim import EXACT, base_checkpoint

GRID = {
    "name": ("edited", "edited+consistency"),
    "temperature": (3.0, 10.0),
    "divide_by": ("length", "changed"),
    "consistency": (0.1, 1.0),
    "neutral": (0.01, 0.1, 1.0),
}


class TuningConfig(Config):
    """Where the pairs come from, and what is tried."""

    study: EditStudyConfig = EditStudyConfig(split="tune-")
    """The pairs, of splits that no result uses."""
    gradient: bool = False
    """Train the one token model `token` by gradient instead of trying the grid."""
    token: TokenRewardConfig = TokenRewardConfig(likelihoods=True, fitting=FittingConfig(), device="cpu")
    """The token model that is trained by gradient."""


class Tuning(Study[TuningConfig, None]):
    """Tries the grid, or one training by gradient, on every seed."""

    seeds = (100,)

    @classmethod
    def defaults(cls) -> TuningConfig:
        """The grid."""
        return TuningConfig()

    def finished(self, seed: int) -> bool:
        """A trial is made anew each time, from pairs that are kept."""
        return seed in self._tried

    def __init__(self, settings: TuningConfig, place: Place) -> None:
        super().__init__(settings, place)
        self._tried: set[int] = set()

    def run_seed(self, seed: int, say: Say) -> None:
        """Says one line a setting."""
        self._tried.add(seed)
        part = self._part(seed, say)
        if self.settings.gradient:
            _gradient(part, self.settings.token, say)
        else:
            _grid(part, self.settings.study, say)

    def summarise(self, seeds: Sequence[int], say: Say, *, command: str) -> None:
        """Every seed has said what it found."""

    def pages(self, result: None, say: Say, *, command: str) -> None:
        """There is no page."""

    def _part(self, seed: int, say: Say) -> EditSeed:
        return EditSeed(self.settings.study, seed, self.place.output, say=say)


def _grid(part: EditSeed, study: EditStudyConfig, say: Say) -> None:
    backbone, tokenizer = load_backbone(str(base_checkpoint()), language_model=True)
    model = build_reward_model(
        backbone,
        (HeadSpec("token", "token", "token"),),
        likelihoods=True,
        window=int(backbone.config.max_position_embeddings),
        generator=torch_generator(0, "tuning"),
    )
    encoder, pad_id = encoder_of(model, tokenizer), pad_id_of(tokenizer)
    base = TokenRewardConfig(likelihoods=True, fitting=study.token_fitting)
    train, judge = split_by_prompt(TokenData(edits=part.pairs.edits), share=base.heldout_share, seed=part.seed)
    parts = [train, judge, TokenData(edits=part.quality_pairs(EXACT).edits)]
    examples = [token_examples(base, data, encoder)[0] for data in parts]
    inputs = [read_tokens(model, found, batch_size=8, pad_id=pad_id) for found in examples]
    for values in itertools.product(*GRID.values()):
        loss = dict(zip(GRID, values, strict=True))
        if loss["name"] == "edited" and (loss["consistency"], loss["neutral"]) != (0.1, 0.01):
            continue  # this loss knows neither
        config = TokenRewardConfig.model_validate({**base.model_dump(), "loss": loss})
        fit = best_fit(config, inputs[0], inputs[1], states=model.heads.in_features)
        outputs = [TokenOutput(item.example, tuple(fit.rewards(rows) for rows in item.rows)) for item in inputs[2]]
        _tell(say, {**loss, "strength": fit.strength, "states": fit.state_scale}, token_metrics(outputs))


def _gradient(part: EditSeed, config: TokenRewardConfig, say: Say) -> None:
    start = time.process_time()
    backbone = load_backbone(str(base_checkpoint()), language_model=True)
    run = train_token_model(config, TokenData(edits=part.pairs.edits), backbone=backbone)
    took = time.process_time() - start
    tests, _ = token_examples(
        config, TokenData(edits=part.quality_pairs(EXACT).edits), encoder_of(run.model, run.tokenizer)
    )
    outputs = collect_rewards(run.model, tests, batch_size=8, pad_id=pad_id_of(run.tokenizer))
    _tell(
        say, {"layers": config.layers, "epochs": config.fitting.epochs, "seconds": round(took)}, token_metrics(outputs)
    )


def _tell(say: Say, settings: dict[str, Any], metrics: dict[str, float]) -> None:
    shown = " ".join(f"{name}={value}" for name, value in settings.items())
    figures = " ".join(f"{name} {metrics[name]:.3f}" for name in ("pair_accuracy", "auroc_original", "auroc_edited"))
    say(f"{figures}  {shown}")
