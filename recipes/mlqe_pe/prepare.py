"""Writes the files that the recipe's configs read: edit pairs and preferences, for training, choosing and judging.

    python -m recipes.mlqe_pe.prepare --data ../shared/data/mlqe_pe --out runs/mlqe_pe/data

The prompt is empty: the encoder reads English, not the sources. Training and tuning pairs come from the train files;
the dev files stay whole. Says how many pairs there are.
"""

import argparse
from pathlib import Path

from experiments.post_edits.data import as_preferences, select_pairs
from experiments.post_edits.figures import PostEditStudyConfig
from spanwise.feedback import write_records


def main() -> None:
    """Reads the six archives and writes five JSONL files."""
    options = _options()
    parts = select_pairs(options.data, train=options.train, tune=options.tune, seed=options.seed)
    for name, pairs in (("train", parts.train), ("tune", parts.tune), ("dev", parts.dev)):
        write_records(options.out / f"{name}.jsonl", pairs)
        if name != "dev":
            write_records(options.out / f"{name}_preferences.jsonl", as_preferences(pairs))
    print(f"{len(parts.train)} pairs to learn from, {len(parts.tune)} to choose by, {len(parts.dev)} to judge on.")


def _options() -> argparse.Namespace:
    fields = PostEditStudyConfig.model_fields
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the *-train.tar.gz and *-dev.tar.gz files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the JSONL files")
    parser.add_argument("--train", type=int, default=fields["train"].default, help="pairs to learn from, per language")
    parser.add_argument("--tune", type=int, default=fields["tune"].default, help="pairs to choose by, per language")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
