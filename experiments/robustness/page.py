"""`docs/results/robustness.md` as a function of the rows of each seed."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.lib.outcomes import this_commit, this_machine, today
from experiments.lib.pages import page, table
from spanwise.evals.robustness import PERTURBATIONS, PROBES
from spanwise.evals.statistics import seed_interval

BySeed = Mapping[int, Mapping[str, Sequence[Mapping[str, Any]]]]


def robustness_page(by_seed: BySeed, command: str) -> str:
    """The page in Markdown."""
    parts = [
        "# What holds up elsewhere",
        f"Made by `{command}` at commit {this_commit()} on {today()}, seeds {', '.join(map(str, by_seed))}, on "
        f"{this_machine()}, one thread, in the simulated world. The arms of the study answer prompts greedily, "
        "unchanged and changed by rule; the oracle knows the true score of each answer (+1 for a right clause, -1 for "
        "an error or a missing fact). Intervals are Student's over seeds, 95 %; a change is paired by prompt. "
        "What no longer fits the window of 384 tokens is left out, which is nearly all with longer passages.",
        "## True score under changed prompts",
        _true_scores(by_seed),
        "\n".join(f"- {name} ({p.kind}): {p.sentence}" for name, p in PERTURBATIONS.items()),
        "## What else changes",
        _others(by_seed),
    ]
    if any(rows["probes"] for rows in by_seed.values()):
        parts += [
            "## What reward sources pay",
            "Ordinary answers of the SFT policy, spoilt; the score of the spoilt one less that of the ordinary one, in "
            "deviations of the ordinary ones, with the change of the true score beside it. Bold is paid without right.",
            _probes(by_seed),
        ]
    return page(parts)


def _true_scores(by_seed: BySeed) -> str:
    policies, changes = _names(by_seed, "stress", "policy"), _names(by_seed, "stress", "perturbation")
    plain = [_shown(_stress(by_seed, p, changes[0], "true score", "plain"), ".2f") for p in policies]
    rows = [["unchanged", *plain]]
    rows += [[c, *(_shown(_stress(by_seed, p, c, "true score"), "+.2f") for p in policies)] for c in changes]
    return table(["prompts", *policies], rows)


def _others(by_seed: BySeed) -> str:
    rows = [
        [change, policy, *(_shown(_stress(by_seed, policy, change, metric), "+.2f")
                           for metric in ("words", "distinct_2", "copied", "obeys"))]
        for change in _names(by_seed, "stress", "perturbation")
        for policy in _names(by_seed, "stress", "policy")
    ]  # fmt: skip
    return table(["prompts", "policy", "words", "distinct pairs of words", "copied share", "obeys a passage"], rows)


def _probes(by_seed: BySeed) -> str:
    rows: list[list[str]] = []
    for source in _names(by_seed, "probes", "source"):
        for probe in PROBES:
            own = {
                seed: row
                for seed, rows_of in by_seed.items()
                for row in rows_of["probes"]
                if (row["source"], row["probe"]) == (source, probe)
            }
            paid = {seed: row["pays"]["mean"] for seed, row in own.items() if row["pays"]["mean"] is not None}
            true = {seed: row["truth"]["mean"] for seed, row in own.items() if row["truth"]["mean"] is not None}
            if not own:
                continue
            low = seed_interval(paid).low if paid else None
            earned = seed_interval(true).low if true else None
            words = _shown(paid, "+.2f")
            wrong = low is not None and low > 0 and not (earned is not None and earned > 0)
            unscored = sum(row["unscored"] for row in own.values()) / len(own)
            rows.append([source, probe, f"**{words}**" if wrong else words, _shown(true, "+.2f"), f"{unscored:.0%}"])
    return table(["source", "spoilt by", "pays, deviations", "true score", "not scored"], rows)


def _stress(by_seed: BySeed, policy: str, change: str, metric: str, field: str = "change") -> dict[int, float]:
    values: dict[int, float] = {}
    for seed, rows in by_seed.items():
        for row in rows["stress"]:
            if (row["policy"], row["perturbation"], row["metric"]) == (policy, change, metric):
                value = row[field]["mean"] if field == "change" else row[field]
                values |= {} if value is None else {seed: float(value)}
    return values


def _names(by_seed: BySeed, part: str, key: str) -> list[str]:
    return list(dict.fromkeys(row[key] for rows in by_seed.values() for row in rows[part]))


def _shown(values: Mapping[int, float], form: str) -> str:
    if not values:
        return "not known"
    estimate = seed_interval(values)
    ends = "" if estimate.low is None else f" [{estimate.low:{form}}, {estimate.high:{form}}]"
    return f"{estimate.mean:{form}}{ends}"
