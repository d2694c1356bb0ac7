"""Makes `src/spanwise/evals/alpaca_regulariser.json` from a checkout of AlpacaEval's repository.

AlpacaEval fits each model's length control together with the judgements of two gamed baselines, a file that it keeps
on a server. A fit sees of that file (1) the places of its rows, which are the lengths of two stored outputs files and
the instructions' difficulties, and (2) the sums of label times place, one for length and one for difficulty. The sums
follow from every published row of weights, because at a minimum the gradient is the penalty: all rows agree on them.

    python recipes/win_rate/regulariser.py PATH_TO_ALPACA_EVAL
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.special import expit
from sklearn.cluster import KMeans

from spanwise.evals.win_rate import read_annotations, read_difficulty, read_outputs, read_weights, tanh_lengths

REFERENCE, GAMED = "gpt4_1106_preview", ("gpt4_1106_preview_concise", "gpt4_1106_preview_verbose")
JUDGE = "weighted_alpaca_eval_gpt4_turbo"
EACH = 0.1  # the weight of one gamed row: 0.2 for two baselines
POINTS = 120
OUTPUT = Path(__file__).parents[2] / "src" / "spanwise" / "evals" / "alpaca_regulariser.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkout", type=Path)
    root = parser.parse_args().checkout
    weights = read_weights(next(root.glob(f"src/alpaca_eval/metrics/weights/{JUDGE}/*/baseline_{REFERENCE}.csv")))
    inner = root / "results" / "vicuna-7b-v1.5" / JUDGE / JUDGE / "annotations.json"
    difficulty = read_difficulty(inner, weights)
    places, guess = gamed_rows(root, weights, difficulty)
    files = sorted(root.glob(f"results/*/{JUDGE}/annotations.json*"))
    sums = np.median([each for path in files for each in label_sums(path, weights, difficulty, places)], axis=0)
    group = KMeans(POINTS, n_init=4, random_state=0).fit(places * [2, 1]).labels_
    centres = np.array([places[group == one].mean(axis=0) for one in range(POINTS)])
    counts = EACH * np.bincount(group, minlength=POINTS)
    labels = tilted(centres, np.array([guess[group == one].mean() for one in range(POINTS)]), counts, sums)
    points = np.column_stack([centres, counts, labels]).round(6).tolist()
    about = "AlpacaEval length_controlled_v1, gamed baselines: [tanh length, difficulty, count, mean label] per point"
    OUTPUT.write_text(json.dumps({"about": about, "sums": sums.round(4).tolist(), "points": points}) + "\n", "utf-8")
    print(f"{OUTPUT}: {POINTS} points of {len(places)} rows, label sums {sums.round(3).tolist()}")


def gamed_rows(root: Path, weights: dict, difficulty: dict) -> tuple[np.ndarray, np.ndarray]:
    """Places of the gamed rows and first guesses of their labels, from the gamed baselines' own weights."""
    reference = read_outputs(root / "results" / REFERENCE / "model_outputs.json")[0]
    places, guesses = [], []
    for name in GAMED:
        outputs, own = read_outputs(root / "results" / name / "model_outputs.json")[0], weights[name]
        kept = [key for key in reference if key in outputs]
        lengths = tanh_lengths([reference[key] for key in kept], [outputs[key] for key in kept])
        hard = np.array([difficulty[key] for key in kept])
        places.append(np.stack([lengths, hard], axis=1))
        guesses.append(expit(own.length * lengths + own.difficulty * hard + own.model))
    return np.concatenate(places), np.concatenate(guesses)


def label_sums(path: Path, weights: dict, difficulty: dict, places: np.ndarray) -> list[np.ndarray]:
    """The label sums that one published row implies; none for a file with rows missing, whose row is misaligned."""
    judged, name = read_annotations(path), path.parent.parent.name
    if name not in weights or name == REFERENCE or len(judged.pairs) != len(difficulty):
        return []
    own, scored = weights[name], judged.scored
    lengths = tanh_lengths([one.reference for one in judged.pairs], [one.answer for one in judged.pairs])
    hard = np.array([difficulty[one.instruction] for one in judged.pairs])
    rows = np.stack([lengths, hard, np.ones_like(hard)], axis=1)[scored]
    weight = np.array([own.length, own.difficulty, own.model])
    slope = rows.T @ (expit(rows @ weight) - judged.shares[scored])
    penalty = np.abs(slope[2]) * np.sign(weight[:2])  # 1 / strength, read off the column that the gamed rows lack
    return [EACH * places.T @ expit(places @ weight[:2]) + slope[:2] + penalty]


def tilted(places: np.ndarray, labels: np.ndarray, counts: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """The labels, moved as little as their logits can so that the sums of count * label * place are met."""
    logits, tilt = np.log(labels / (1 - labels)), np.zeros(2)
    for _ in range(50):
        chance = expit(logits + places @ tilt)
        slope = (places * (counts * chance * (1 - chance))[:, None]).T @ places
        tilt -= np.linalg.solve(slope, places.T @ (counts * chance) - sums)
    return expit(logits + places @ tilt)


if __name__ == "__main__":
    main()
