"""Which settings of the token reward model find changed tokens best, on seeds and prompts that no result uses.

    python -m experiments.edits.token_tuning --seeds 100 101 --out runs/edit_tuning
    python -m experiments.edits.token_tuning --seeds 100 --gradient fitting.epochs=3 fitting.learning_rate=3e-4

Samples, edits and the backbone's inputs are made once per seed; each setting is then an exact fit of seconds. With
--gradient the settings given after it are trained by gradient from the exact fit. Prints, on edits without noise, pair
accuracy and the area under the curve over the originals' tokens.
"""

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments.edits.study import EditSeed, EditStudyConfig
from spanwise.core import torch_generator
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


def main() -> None:
    """Tries the grid, or one training by gradient, on every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[100])
    parser.add_argument("--out", type=Path, default=Path("runs/edit_tuning"))
    parser.add_argument("--gradient", nargs="*", metavar="KEY=VALUE", help="train by gradient with these settings")
    options = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False)
    study = EditStudyConfig(split="tune-")
    for seed in options.seeds:
        part = EditSeed(study, seed, options.out, say=console.print)
        if options.gradient is None:
            _grid(part, study, console)
        else:
            _gradient(part, options, console)


def _grid(part: EditSeed, study: EditStudyConfig, console: Console) -> None:
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
        _say(console, part.seed, {**loss, "strength": fit.strength, "states": fit.state_scale}, token_metrics(outputs))


def _gradient(part: EditSeed, options: argparse.Namespace, console: Console) -> None:
    defaults = options.out / "token.yaml"
    TokenRewardConfig(likelihoods=True, fitting=FittingConfig(), device="cpu").save(defaults)
    config = TokenRewardConfig.load(defaults, options.gradient)
    start = time.process_time()
    backbone = load_backbone(str(base_checkpoint()), language_model=True)
    run = train_token_model(config, TokenData(edits=part.pairs.edits), backbone=backbone)
    took = time.process_time() - start
    tests, _ = token_examples(
        config, TokenData(edits=part.quality_pairs(EXACT).edits), encoder_of(run.model, run.tokenizer)
    )
    outputs = collect_rewards(run.model, tests, batch_size=8, pad_id=pad_id_of(run.tokenizer))
    _say(console, part.seed, {"settings": options.gradient, "seconds": round(took)}, token_metrics(outputs))


def _say(console: Console, seed: int, settings: dict[str, Any], metrics: dict[str, float]) -> None:
    shown = " ".join(f"{name}={value}" for name, value in settings.items())
    found = " ".join(f"{name} {metrics[name]:.3f}" for name in ("pair_accuracy", "auroc_original", "auroc_edited"))
    console.print(f"seed {seed}  {found}  {shown}")


if __name__ == "__main__":
    main()
