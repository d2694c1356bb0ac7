"""What several people's judgements of the same things make likely, and how reliable each person is.

The model of Dawid and Skene (1979): a thing has one true label, and each person says each label at a rate of their own
where it is true. Rates and truths are fitted together by expectation and maximisation. One count of every answer, and
one more of the right one, is added to what a person said, so that few answers make nobody infallible; without it three
people who agree twice would be certain. Pure arrays: no records, no texts. Shapes: n votes, u units, a annotators,
k labels.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from spanwise.core import ConfigError, numpy_generator

CrowdMethod = Literal["dawid-skene", "majority", "share", "one-coin-dawid-skene", "mace", "glad"]
_OF_CROWD_KIT = {"one-coin-dawid-skene": "OneCoinDawidSkene", "mace": "MACE", "glad": "GLAD"}
_ROUNDS, _SETTLED = 500, 1e-7
_DRAWS = 4000


@dataclass(frozen=True)
class Votes:
    """Who said what of which unit; everything is numbered from 0."""

    unit: Int[np.ndarray, " n"]
    annotator: Int[np.ndarray, " n"]
    label: Int[np.ndarray, " n"]
    units: int
    annotators: int
    labels: int = 2


@dataclass(frozen=True)
class Weighed:
    """What the votes make likely, and how each annotator votes."""

    beliefs: Float[np.ndarray, "u k"]
    """Of each unit the probability of each label."""
    prior: Float[np.ndarray, " k"]
    """How common each label is."""
    confusion: Float[np.ndarray, "a k k"]
    """Of each annotator and true label how often each label is said; added counts included."""
    seen: Float[np.ndarray, "a k"]
    """How many units of each true label an annotator is believed to have judged."""


def weigh(votes: Votes, method: CrowdMethod = "dawid-skene", *, added: float = 1.0) -> Weighed:
    """Fits the votes. `added` counts of each answer, and as many more of the right one, keep rates from 0 and 1.

    majority takes what most say (a tie is shared out) and share how many say it; one-coin-dawid-skene, mace and glad
    are those of crowd-kit. Raises ConfigError for another method, or where crowd-kit is absent.
    """
    if method not in get_args(CrowdMethod):
        raise ConfigError(f"method is one of {', '.join(get_args(CrowdMethod))}, not {method!r:.40}.")
    beliefs = _shares(votes)
    if method == "majority":
        beliefs = np.isclose(beliefs, beliefs.max(1, keepdims=True)).astype(float)
        beliefs /= beliefs.sum(1, keepdims=True)
    elif method in _OF_CROWD_KIT:
        beliefs = _by_crowd_kit(votes, method)
    rates = _rates(votes, beliefs, added)
    if method != "dawid-skene":
        return rates
    for _ in range(_ROUNDS):
        before, beliefs = beliefs, posterior(votes, rates)
        rates = _rates(votes, beliefs, added)
        if np.abs(beliefs - before).max() < _SETTLED:
            break
    return rates


def posterior(votes: Votes, rates: Weighed) -> Float[np.ndarray, "u k"]:
    """The probability of each label of each unit by Bayes' rule, from how common labels are and how people vote."""
    logs = np.tile(np.log(rates.prior), (votes.units, 1))
    np.add.at(logs, votes.unit, np.log(rates.confusion[votes.annotator, :, votes.label]))
    likely = np.exp(logs - logs.max(1, keepdims=True))
    return likely / likely.sum(1, keepdims=True)


def informedness(rates: Weighed) -> tuple[Float[np.ndarray, " a"], Float[np.ndarray, " a"]]:
    """Of each annotator how far answers follow the truth, 1 = always, 0 = not at all, and its standard error.

    The mean rate of right answers over true labels, less chance and divided by what chance leaves: of two labels
    sensitivity + specificity - 1. The error takes the truth as what is believed of it.
    """
    labels = rates.prior.size
    right = np.diagonal(rates.confusion, axis1=1, axis2=2)
    error = np.sqrt((right * (1 - right) / (rates.seen + 1)).sum(1)) / (labels - 1)
    return (right.sum(1) - 1) / (labels - 1), error


def halves(votes: Votes, beliefs: Float[np.ndarray, "u k"], *, added: float = 1.0) -> Weighed:
    """As if each annotator were two: annotator 2i votes the first half of i's votes, as they come, 2i + 1 the rest."""
    late = np.zeros(len(votes.unit), dtype=np.int64)
    for person in range(votes.annotators):
        mine = np.flatnonzero(votes.annotator == person)
        late[mine[len(mine) // 2 :]] = 1
    apart = Votes(votes.unit, 2 * votes.annotator + late, votes.label, votes.units, 2 * votes.annotators, votes.labels)
    return _rates(apart, beliefs, added)


def by_number(rates: Weighed, most: int, *, seed: int = 0) -> list[tuple[float, float]]:
    """For 1 to `most` annotators drawn by chance: bits told about a unit, and how often the likeliest label is wrong.

    Draws units and people from the fitted rates. Raises ConfigError where there are fewer people than `most`.
    """
    people, labels = len(rates.confusion), rates.prior.size
    if not 1 <= most <= people:
        raise ConfigError(f"{people} annotators are known; ask for 1 to {people} annotations, not {most}.")
    generator = numpy_generator(seed, "crowds/by-number")
    truth = generator.choice(labels, size=_DRAWS, p=rates.prior)
    drawn = generator.random((_DRAWS, people)).argsort(1)[:, :most]
    said_rates = rates.confusion[drawn, truth[:, None]].cumsum(-1)
    said = (generator.random((_DRAWS, most, 1)) > said_rates).sum(-1).clip(max=labels - 1)
    told = np.log(rates.confusion[drawn, :, said]).cumsum(1) + np.log(rates.prior)
    likely = np.exp(told - told.max(-1, keepdims=True))
    likely /= likely.sum(-1, keepdims=True)
    left = -(likely * np.log2(likely.clip(1e-300))).sum(-1).mean(0)
    bits = -(rates.prior * np.log2(rates.prior)).sum() - left
    return list(zip(bits.clip(0).tolist(), (1 - likely.max(-1)).mean(0).tolist(), strict=True))


def _shares(votes: Votes) -> Float[np.ndarray, "u k"]:
    counts = np.zeros((votes.units, votes.labels))
    np.add.at(counts, (votes.unit, votes.label), 1.0)
    return counts / counts.sum(1, keepdims=True).clip(1)


def _rates(votes: Votes, beliefs: Float[np.ndarray, "u k"], added: float) -> Weighed:
    counts = np.zeros((votes.annotators, votes.labels, votes.labels))
    np.add.at(counts.transpose(0, 2, 1), (votes.annotator, votes.label), beliefs[votes.unit])
    smoothed = counts + added * (1 + np.eye(votes.labels))
    prior = beliefs.sum(0) + added
    return Weighed(beliefs, prior / prior.sum(), smoothed / smoothed.sum(2, keepdims=True), counts.sum(2))


def _by_crowd_kit(votes: Votes, method: str) -> Float[np.ndarray, "u k"]:
    try:
        aggregation, pandas = import_module("crowdkit.aggregation"), import_module("pandas")
    except ImportError as error:
        raise ConfigError(
            f"{method} needs the package crowd-kit; install spanwise[reliability], or take dawid-skene."
        ) from error
    frame: Any = pandas.DataFrame({"task": votes.unit, "worker": votes.annotator, "label": votes.label})
    likely = getattr(aggregation, _OF_CROWD_KIT[method])().fit_predict_proba(frame)
    table = likely.reindex(index=range(votes.units), columns=range(votes.labels), fill_value=0.0)
    return table.to_numpy(dtype=float)
