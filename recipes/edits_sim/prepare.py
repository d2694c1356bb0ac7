"""Writes the files of this recipe: demonstrations and prompts, and, once there is an SFT policy, edits of its answers.

    python -m recipes.edits_sim.prepare --out runs/edits_sim/data
    python -m recipes.edits_sim.prepare --out runs/edits_sim/data --policy runs/edits_sim/sft/checkpoints/best

The oracle of the simulated world stands for the person who edits, with that person's noise (`--exact`: without).
Prompts of train, tune and test are apart.
"""

import argparse
from pathlib import Path

from experiments.edits.pairs import make_pairs
from spanwise.feedback import write_records
from spanwise.models import Policy, Sampling
from spanwise.quickstart import make_demonstrations, sample_texts
from spanwise.sim import EXACT, NoiseConfig, make_items

SAMPLING = Sampling(temperature=1.0, max_new_tokens=80)


def main() -> None:
    """Writes what can be written yet."""
    options = _options()
    if options.policy is None:
        _write_prompts(options.out, options.seed)
    else:
        _write_edits(options)


def _write_prompts(out: Path, seed: int) -> None:
    for name, count in (("demonstrations", 800), ("heldout_demonstrations", 64)):
        write_records(out / f"{name}.jsonl", make_demonstrations(count, seed=seed, split=name))
    for name, count in (("prompts", 1000), ("heldout_prompts", 64)):
        write_records(out / f"{name}.jsonl", [item.record for item in make_items(count, seed=seed, split=name)])
    print(f"Demonstrations and prompts are in {out}; fine-tune a policy on them, then come back with --policy.")


def _write_edits(options: argparse.Namespace) -> None:
    policy = Policy.load(str(options.policy))
    noise = EXACT if options.exact else NoiseConfig()
    for split, count in (("train", options.prompts), ("tune", options.prompts // 6), ("test", options.prompts // 3)):
        items = make_items(count, seed=options.seed, split=f"edits-{split}")
        answers = sample_texts(policy, items, sampling=SAMPLING, samples=4, seed=options.seed)
        pairs = make_pairs(items, answers, noise=noise, seed=options.seed)
        write_records(options.out / f"edits_{split}.jsonl", pairs.edits)
        write_records(options.out / f"preferences_{split}.jsonl", pairs.original)
        print(f"{split}: {len(pairs.edits)} edits, and as many preferences; {pairs.left_out} pairs left out.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the JSONL files")
    parser.add_argument("--policy", type=Path, help="the fine-tuned policy whose answers are edited")
    parser.add_argument("--prompts", type=int, default=600, help="training prompts; four answers each")
    parser.add_argument("--exact", action="store_true", help="an editor who overlooks nothing")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
