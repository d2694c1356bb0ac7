"""Fine-tunes the base of the simulated world on demonstrations of the writer with habits: the packaged SFT policy.

    python recipes/sim_base/fine_tune.py --out src/spanwise/sim/policy

Writes the checkpoint, its tokenizer and `training.json` with what the oracle says of greedy and of sampled answers to
questions that training did not see.
"""

import argparse
import json
import platform
import tempfile
import time
from pathlib import Path

import torch

from spanwise.core import RunFolder
from spanwise.models import Policy, Sampling
from spanwise.quickstart import answer_items, make_demonstrations, score_answers
from spanwise.sim import base_checkpoint, make_items
from spanwise.training import SFTConfig, train_sft


def main() -> None:
    """Demonstrations, training, evaluation, checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--base", default=str(base_checkpoint()), help="checkpoint to start from")
    parser.add_argument("--demonstrations", type=int, default=8000)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--lr", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=1000, help="of the demonstrations; studies use others")
    options = parser.parse_args()
    started = time.process_time()
    demonstrations = make_demonstrations(options.demonstrations, seed=options.seed, split="sft")
    heldout = make_demonstrations(64, seed=options.seed, split="sft-heldout")
    config = SFTConfig(epochs=options.epochs, learning_rate=options.lr, seed=options.seed)
    with tempfile.TemporaryDirectory() as folder:
        tuned = train_sft(
            Policy.load(options.base), demonstrations, heldout, config=config, run=RunFolder(Path(folder))
        )
        policy = Policy.load(str(tuned.checkpoint))
    policy.model.to(torch.bfloat16).save_pretrained(options.out)
    policy.tokenizer.save_pretrained(options.out)
    record = {
        "options": {key: value for key, value in vars(options).items() if key not in ("out", "base")},
        "cpu_minutes": round((time.process_time() - started) / 60, 1),
        "processor": platform.machine(),
        "greedy": _scores(options.out, greedy=True),
        "temperature 1": _scores(options.out, greedy=False),
    }
    (options.out / "training.json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record), flush=True)


def _scores(folder: Path, *, greedy: bool) -> dict[str, float]:
    """Means over 256 questions in held-out wordings, read from the checkpoint as it was written."""
    items = make_items(256, seed=1000, split="fine-tune-test", wording="held-out")
    sampling = Sampling(max_new_tokens=110)
    answers = answer_items(Policy.load(str(folder)), None, items, sampling=sampling, seed=0, greedy=greedy)
    tables = score_answers(items, answers, seed=0)
    return {name: round(float(table.totals.sum() / table.counts.sum()), 4) for name, table in tables.items()}


if __name__ == "__main__":
    main()
