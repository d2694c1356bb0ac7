"""A made-up experiment folder, whole or with holes, for everything that reads run folders.

Tests reach it by `from experiment_double import ...`. The numbers are drawn from a seed and mean nothing; their
shapes are those that training writes.
"""

import json
import math

import numpy as np

from spanwise.evals.statistics.compare import arm_estimates, compare_arms
from spanwise.evals.statistics.results import (
    Arm,
    Example,
    ExampleAnswer,
    ExampleSpan,
    ExperimentResults,
    MetricInfo,
    ReliabilityBin,
    RewardModelQuality,
)
from spanwise.evals.statistics.score_table import ScoreTable
from spanwise.feedback.schema import Passage

METRICS = {
    "irrelevance": MetricInfo(
        label="Irrelevant sub-sentences",
        unit="%",
        better="lower",
        description="Share of sub-sentences off the question.",
    ),
    "factual_error": MetricInfo(
        label="Wrong sentences",
        unit="%",
        better="lower",
        description="Share of sentences with a wrong or unverifiable fact.",
    ),
    "completeness": MetricInfo(
        label="Facts given", unit="%", better="higher", description="Share of the asked facts that the answer gives."
    ),
    "rouge_lsum": MetricInfo(
        label="ROUGE-Lsum", better="higher", description="Against the reference, best of several."
    ),
    "words": MetricInfo(label="Length", unit="words", digits=1, description="Words per answer."),
    "kl": MetricInfo(label="KL to SFT", unit="nats", digits=2, description="Per answer, k1 estimate."),
}
ARMS = {
    "sft": ("SFT", "sft", (0.42, 0.26, 0.58, 0.51, 31.0)),
    "sft-more": ("SFT on twice the demonstrations", "sft", (0.40, 0.24, 0.61, 0.53, 30.0)),
    "preference": ("Preference RLHF", "preference", (0.39, 0.25, 0.62, 0.52, 36.0)),
    "fine-grained": ("Fine-grained RLHF", "fine-grained", (0.22, 0.17, 0.66, 0.55, 28.0)),
    "without-relevance": ("Fine-grained without relevance", "ablation", (0.55, 0.16, 0.74, 0.47, 52.0)),
}
GREEDY = "sft@greedy"
"""The SFT policy decoded greedily: what every arm with rewards must beat."""
REWARDED = ("preference", "fine-grained", "without-relevance")
SOURCES = ("relevance", "factuality", "completeness")


def write_experiment(root, *, seeds=(0, 1, 2), prompts=60, steps=40):
    """An experiment of five arms; SFT arms have no curves, one metric of one arm was not run."""
    generator = np.random.default_rng(7)
    names = list(METRICS)
    tables = {
        arm: {
            name: _table(generator, seeds, prompts, mean, name)
            for name, mean in zip(names, means, strict=False)
            if not (arm == "sft-more" and name == "rouge_lsum")
        }
        for arm, (_, _, means) in (ARMS | {GREEDY: ("SFT", "sft", (0.30, 0.22, 0.60, 0.53, 26.0))}).items()
    }
    rivals = dict.fromkeys(REWARDED, (GREEDY,))
    estimates = {arm: arm_estimates(tables[arm], arm=arm, resamples=200) for arm in tables}
    greedy = Arm(label="SFT", decoding="greedy", policy="sft", kind="sft", metrics=estimates[GREEDY])
    arms = {
        arm: Arm(label=label, kind=kind, rivals=rivals.get(arm, ()), metrics=estimates[arm])
        for arm, (label, kind, _) in ARMS.items()
    } | {GREEDY: greedy}
    pairs = [
        ("fine-grained", "preference"),
        ("fine-grained", "sft"),
        ("preference", "sft"),
        ("without-relevance", "sft"),
    ]
    results = ExperimentResults(
        title="A small world, five ways of training",
        created="2026-01-05T10:00:00+00:00",
        machine="2 cores, no GPU",
        command="spanwise quickstart --seed 0",
        seeds=seeds,
        seconds={"supervised fine-tuning": 41.2, "reward models": 88.0, "ppo": 3900.0},
        config={"world": {"entities": 120}, "noise": {"miss": 0.2}},
        metrics=METRICS,
        arms=arms,
        comparisons=compare_arms(tables, METRICS, pairs, rivals=rivals, resamples=200),
        reward_models=_reward_models(),
        notes=("The oracle judges the answers; no training step sees it.",),
        examples=tuple(_example(index) for index in range(3)),
    )
    results.save(root)
    for arm in REWARDED:
        for seed in seeds:
            write_run(root / arm / f"seed-{seed}", seed=seed, steps=steps, drift=len(arm) / 10)
    return results


def write_run(folder, *, seed=0, steps=40, drift=1.0, sources=SOURCES):
    """One run folder as the trainer writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng([seed, steps, len(sources)])
    (folder / "config.yaml").write_text(f"seed: {seed}\nsteps: {steps}\nkl:\n  coef: {drift / 10:.2f}\n", "utf-8")
    rows = [_metrics_row(step, steps, drift, sources, generator) for step in range(1, steps + 1)]
    _write_lines(folder / "metrics.jsonl", rows)
    samples = [_sample(step, index, sources) for step in (0, steps // 2, steps) for index in range(3)]
    _write_lines(folder / "samples.jsonl", samples)


def write_lines(path, rows):
    """JSON lines, made by hand so that tests may write what our own writer refuses."""
    _write_lines(path, rows)


def _table(generator, seeds, prompts, mean, name):
    by_seed = {}
    for seed in seeds:
        level = mean * (1 + 0.03 * generator.normal())
        if name in ("words", "rouge_lsum"):
            values = {f"q{i}": float(level * (1 + 0.2 * generator.normal())) for i in range(prompts)}
            by_seed[seed] = ScoreTable.from_values(values)
            continue
        counts = generator.integers(2, 7, size=prompts)
        wrong = generator.binomial(counts, min(0.95, level))
        pairs = {f"q{i}": (float(w), float(c)) for i, (w, c) in enumerate(zip(wrong, counts, strict=True))}
        by_seed[seed] = ScoreTable.from_ratios(pairs)
    return ScoreTable.stack(by_seed)


def _metrics_row(step, steps, drift, sources, generator):
    progress = 1 - math.exp(-3 * step / steps)
    noise = iter(generator.normal(size=40) * 0.05)
    row = {"step": step, "reward/total": drift * progress + next(noise)}
    for place, source in enumerate(sources):
        row[f"reward/{source}"] = (0.2 + 0.2 * place) * drift * progress + next(noise)
    row["kl/response"] = 2 * drift * progress + abs(next(noise))
    row["response/length"] = 30 - 4 * progress + 20 * next(noise)
    row["loss/policy"] = 0.02 * next(noise)
    row["loss/value"] = 0.5 * (1 - progress) + abs(next(noise))
    if step % 10 == 0:
        row["eval/reward/total"] = drift * progress + next(noise)
    row["optimizer/learning_rate"] = None if step == 1 else 1e-4 * (1 - step / steps)
    return row


TEXTS = (
    "Ada Veld was born in Oslo. She worked as a mason for thirty years, and the weather was fine.",
    "The mill of Brack was made of wood; it burned down twice. It stands in Brack, in the north.",
    "Ines Korr founded the Harbour Society in 1890, and she was a painter from the coast.",
)
BEFORE = (
    "Ada Veld was born in Bergen, and the weather was fine. Ada Veld was born in Bergen.",
    "The mill of Brack was made of stone. Mills are useful, and many people like them a lot.",
    "The Harbour Society was founded in 1912. It is a society by the harbour of the town.",
)
PROMPTS = ("Where was Ada Veld born, and what did she do?", "What was the mill of Brack made of?", "Who founded it?")


def pieces(text):
    """Tokens of about a word, with the leading space that byte-level tokenizers keep, and the end token."""
    words = text.split(" ")
    return [words[0], *(f" {word}" for word in words[1:]), "</s>"]


def scored(text, sources=SOURCES, *, sign=1.0):
    """Tokens with scores at the ends of clauses, of sentences and of the answer, one density per source."""
    tokens = pieces(text)
    shares = {source: [0.0] * len(tokens) for source in sources}
    for index, token in enumerate(tokens[:-1]):
        last = token[-1]
        if sources and last in ",.;":
            shares[sources[0]][index] = 0.3 * sign * (1 if index % 3 else -0.7)
        if len(sources) > 1 and last == ".":
            shares[sources[1]][index] = 0.5 * sign
    if sources:
        shares[sources[-1]][-1] = 0.2 * sign
    total = [sum(column) for column in zip(*shares.values(), strict=True)] if sources else [0.0] * len(tokens)
    return tokens, total, shares


def _sample(step, index, sources):
    text = (BEFORE if step == 0 else TEXTS)[index]
    tokens, total, shares = scored(text, sources, sign=-1.0 if step == 0 else 1.0)
    kl = [0.0 if step == 0 else 0.05 * (position % 4) for position in range(len(tokens))]
    return {
        "step": step,
        "prompt": PROMPTS[index],
        "response": text,
        "tokens": tokens,
        "token_scores": total,
        "shares": shares,
        "kl": kl,
        "total": sum(total),
    }


def _example(index):
    answers = {}
    for arm, text, sign in (
        ("sft", BEFORE[index], -1.0),
        ("preference", BEFORE[index], 0.4),
        ("fine-grained", TEXTS[index], 1.0),
    ):
        tokens, total, shares = scored(text, sign=sign)
        wrong = "Bergen" if "Bergen" in text else "many people like them a lot" if "many people" in text else ""
        start = text.find(wrong)
        spans = (ExampleSpan(start=start, end=start + len(wrong), category="wrong"),) if wrong else ()
        answers[arm] = ExampleAnswer(
            response=text,
            tokens=tokens,
            token_scores=total,
            shares=shares,
            spans=spans,
            missing=("her trade",) if sign < 0 else (),
        )
    passage = Passage(title=f"Passage {index}", sentences=("It says one thing.", "It says another."))
    return Example(prompt=PROMPTS[index], passages=(passage,), references=(TEXTS[index],), answers=answers)


def _reward_models():
    bins = tuple(
        ReliabilityBin(confidence=c, accuracy=min(1.0, c * 0.9 + 0.04), count=40) for c in (0.1, 0.3, 0.5, 0.7, 0.9)
    )
    return {
        "relevance": RewardModelQuality(
            label="Relevance",
            density="sub-sentence",
            metrics={
                "accuracy": 0.871,
                "majority_accuracy": 0.611,
                "error_f1": 0.82,
                "auroc": 0.93,
                "calibration_error": 0.031,
                "segments": 512,
            },
            reliability=bins,
        ),
        "factuality": RewardModelQuality(
            label="Factuality",
            density="sentence",
            metrics={"accuracy": 0.793, "majority_accuracy": 0.742, "auroc": 0.81, "segments": 301},
            reliability=bins,
        ),
        "completeness": RewardModelQuality(
            label="Completeness", density="sequence", metrics={"pair_accuracy": 0.74, "longer_wins": 0.62, "pairs": 220}
        ),
        "preference": RewardModelQuality(
            label="Preference",
            density="sequence",
            metrics={"pair_accuracy": 0.55, "longer_wins": 0.43, "first_listed_wins": 0.6, "pairs": 220},
        ),
    }


def _write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
