"""`docs/results/annotators.md` as a function of the outcomes."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.annotators.results import Condition, Outcome
from experiments.lib.outcomes import this_commit, this_machine, today
from experiments.lib.pages import page, table
from spanwise.evals.statistics import Estimate, seed_interval

BySeed = Mapping[int, Sequence[Outcome]]


def annotators_page(by_seed: BySeed, command: str) -> str:
    """The page in Markdown."""
    return page([
        "# Soft labels from unreliable annotators",
        f"Made by `{command}` at commit {this_commit()} on {today()}, seeds {', '.join(map(str, by_seed))}, on "
        f"{this_machine()}, one thread. Simulated people mark the same answers of the SFT policy; of the usual ones "
        "rates of misses and false alarms are those of QA-Feedback, who is at chance marks every other clause whatever "
        "it says. A linear head on the packaged base learns which segments err, from labels made by majority vote, by "
        "the share of votes, or by the model of Dawid and Skene; AUROC is its own, on exact labels of answers to other "
        "prompts. Intervals are Student's over seeds, 95 %.",
        f"With exact labels the head reaches {_shown(seed_interval(_of(by_seed, 'exact', Condition())))}.",
        "## Labels and what they teach",
        _outcomes(by_seed),
        "## What people at chance cost, and what soft labels bring back",
        "Lost is the AUROC of majority vote without people at chance less that with them; won back is that of "
        "Dawid-Skene's labels less that of majority vote, on the same votes.",
        _recovered(by_seed),
        _verdict(by_seed),
    ])  # fmt: skip


def _outcomes(by_seed: BySeed) -> str:
    conditions = list(dict.fromkeys(o.condition for outcomes in by_seed.values() for o in outcomes))
    methods = list(dict.fromkeys(o.method for outcomes in by_seed.values() for o in outcomes if o.method != "exact"))
    rows = [
        [*_words(condition), method, _shown(seed_interval(_of(by_seed, method, condition))),
         f"{100 * np.mean(list(_of(by_seed, method, condition, 'label_error').values())):.1f} %"]
        for condition in conditions for method in methods
    ]  # fmt: skip
    return table(["people", "at chance", "an item", "noise", "labels", "AUROC [interval]", "labels wrong"], rows)


def _recovered(by_seed: BySeed) -> str:
    rows: list[list[str]] = []
    for condition in _with_chance(by_seed):
        lost, won = _lost(by_seed, condition), _won(by_seed, condition)
        mean_lost = np.mean(list(lost.values()))
        share = f"{np.mean(list(won.values())) / mean_lost:.2f}" if mean_lost > 0 else "nothing was lost"
        rows.append([*_words(condition), _shown(seed_interval(lost)), _shown(seed_interval(won)), share])
    return table(["people", "at chance", "an item", "noise", "lost", "won back", "share"], rows)


def _verdict(by_seed: BySeed) -> str:
    """Whether at least half comes back with 3 of 10 at chance, for each overlap."""
    lines: list[str] = []
    for condition in _with_chance(by_seed):
        if (condition.pool, condition.chance, condition.noise) != (10, 3, 1.0):
            continue
        lost, won = _lost(by_seed, condition), _won(by_seed, condition)
        half = float(np.mean(list(won.values()))) >= 0.5 * float(np.mean(list(lost.values()))) > 0
        clear = (low := seed_interval(won).low) is not None and low > 0
        words = "at least half comes back" if half else "less than half comes back, or nothing was lost"
        sure = "its interval is clear of zero" if clear else "its interval holds zero"
        lines.append(f"- 3 of 10 at chance, {condition.overlap} people an item: {words}, and {sure}.")
    return "\n".join(lines)


def _with_chance(by_seed: BySeed) -> list[Condition]:
    conditions = dict.fromkeys(o.condition for outcomes in by_seed.values() for o in outcomes)
    return [condition for condition in conditions if condition.chance and _without(condition) in conditions]


def _without(condition: Condition) -> Condition:
    return condition.model_copy(update={"chance": 0})


def _lost(by_seed: BySeed, condition: Condition) -> dict[int, float]:
    clean, noisy = _of(by_seed, "majority", _without(condition)), _of(by_seed, "majority", condition)
    return {seed: clean[seed] - noisy[seed] for seed in noisy}


def _won(by_seed: BySeed, condition: Condition) -> dict[int, float]:
    soft, noisy = _of(by_seed, "dawid-skene", condition), _of(by_seed, "majority", condition)
    return {seed: soft[seed] - noisy[seed] for seed in noisy}


def _of(by_seed: BySeed, method: str, condition: Condition, figure: str = "auroc") -> dict[int, float]:
    return {
        seed: float(getattr(outcome, figure))
        for seed, outcomes in by_seed.items()
        for outcome in outcomes
        if (outcome.method, outcome.condition) == (method, condition)
    }


def _words(condition: Condition) -> list[str]:
    return [str(condition.pool), str(condition.chance), str(condition.overlap), f"x {condition.noise:g}"]


def _shown(estimate: Estimate) -> str:
    if estimate.mean is None:
        return "not known"
    ends = "" if estimate.low is None else f" [{estimate.low:.3f}, {estimate.high:.3f}]"
    return f"{estimate.mean:.3f}{ends}"
