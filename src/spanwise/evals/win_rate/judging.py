"""A model's outputs against a reference's, before a judge: joined by instruction, dealt in orders, counted.

Equal answers are ties without a question. What the judge owes to the order alone is told as `PositionBias`. Knows
nothing of how a judge decides or what its numbers are used for.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spanwise.core import DataError
from spanwise.evals.statistics import JudgedPair, Judgements, ScoreTable, Share, estimate
from spanwise.evals.win_rate.judges import Case, Judge, Order, Reply, Usage
from spanwise.evals.win_rate.outputs import Outputs
from spanwise.feedback import Unscored


@dataclass(frozen=True)
class PositionBias:
    """How a judge treats order, over the pairs decided in both orders."""

    n: int
    first_preferred: float | None
    """Mean share that the answer shown first got, both orders together: 0.5 is fair, 1 always takes the first."""
    low: float | None
    high: float | None
    """Ends of its bootstrap interval over pairs."""
    consistent: float | None
    """Share of pairs whose winner is the same in both orders."""


def position_bias(both: Mapping[str, tuple[Share, Share]], *, generator: np.random.Generator) -> PositionBias:
    """`both` has per pair the model's share when it was shown second and when it was shown first."""
    known = {
        key: (second, first)
        for key, (second, first) in both.items()
        if not isinstance(second, Unscored) and not isinstance(first, Unscored)
    }
    if not known:
        return PositionBias(0, None, None, None, None)
    table = ScoreTable.from_values({key: (first + 1 - second) / 2 for key, (second, first) in known.items()})
    bias = estimate(table, generator=generator)
    same = [np.sign(second - 0.5) == np.sign(first - 0.5) for second, first in known.values()]
    return PositionBias(len(known), bias.mean, bias.low, bias.high, float(np.mean(same)))


@dataclass(frozen=True)
class JudgedOutputs:
    """The judgements, what they cost, and how the judge treats order (None where one order was asked)."""

    judgements: Judgements
    usage: Usage
    position: PositionBias | None


def shown_first(instruction: str, *, seed: int) -> bool:
    """Whether the model's answer is shown first under AlpacaEval's rule, which depends on the instruction alone."""
    return random.Random(f"is_switched_outputs{instruction}{seed}").choices([False, True])[0]


def judge_outputs(
    outputs: Outputs,
    reference: Outputs,
    judge: Judge,
    *,
    generator: np.random.Generator,
    order: Order = "both",
    seed: int = 0,
    watch: Callable[[int, int], None] | None = None,
) -> JudgedOutputs:
    """Judges every instruction that both have, in the reference's order; `watch` hears (replies, questions).

    Raises DataError where they share no instruction.
    """
    shared, mismatch = join(outputs, reference)
    asked = [key for key in shared if outputs.texts[key] != reference.texts[key]]
    questions = [_Question(key, swap) for key in asked for swap in _swaps(key, order, seed, judge)]
    cases = [_case(question, outputs, reference) for question in questions]
    replies, usage = _ask(judge, cases, watch)
    shares: dict[str, list[Share]] = {}
    for question, reply in zip(questions, replies, strict=True):
        shares.setdefault(question.instruction, []).append(_of_model(reply.share, swapped=question.swapped))
    pairs = [
        JudgedPair(key, reference.texts[key], outputs.texts[key], _mean(shares[key]) if key in shares else 0.5)
        for key in shared
    ]
    both = {key: (both_shares[0], both_shares[1]) for key, both_shares in shares.items() if len(both_shares) == 2}
    bias = position_bias(both, generator=generator) if both else None
    return JudgedOutputs(Judgements(tuple(pairs), outputs.model, reference.model, judge.name, mismatch), usage, bias)


def cases_of(outputs: Outputs, reference: Outputs, *, seed: int = 0) -> list[Case]:
    """What people are shown: a case per instruction with differing answers, in the order of AlpacaEval's rule."""
    shared, _ = join(outputs, reference)
    questions = [_Question(key, shown_first(key, seed=seed)) for key in shared]
    return [
        _case(question, outputs, reference)
        for question in questions
        if outputs.texts[question.instruction] != reference.texts[question.instruction]
    ]


def join(outputs: Outputs, reference: Outputs) -> tuple[list[str], dict[str, int]]:
    """The shared instructions in the reference's order, and what did not fit, by kind."""
    shared = [key for key in reference.texts if key in outputs.texts]
    if not shared:
        raise DataError(f"{outputs.model} and {reference.model} share no instruction; give outputs to the same ones.")
    counts = {
        "in the reference only": len(reference.texts) - len(shared),
        "in the outputs only": len(outputs.texts) - len(shared),
        "doubled in the outputs": outputs.doubled,
        "doubled in the reference": reference.doubled,
        "further samples in the outputs, not judged": outputs.further,
        "further samples in the reference, not judged": reference.further,
        "empty in the outputs": sum(not outputs.texts[key].strip() for key in shared),
        "empty in the reference": sum(not reference.texts[key].strip() for key in shared),
    }
    return shared, {what: count for what, count in counts.items() if count}


@dataclass(frozen=True, slots=True)
class _Question:
    instruction: str
    swapped: bool
    """True where the model's answer is shown first."""


def _swaps(instruction: str, order: Order, seed: int, judge: Judge) -> tuple[bool, ...]:
    if order == "both" and judge.sees_order:
        return (False, True)
    return (shown_first(instruction, seed=seed),) if order == "seeded" else (False,)


def _case(question: _Question, outputs: Outputs, reference: Outputs) -> Case:
    answer, other = outputs.texts[question.instruction], reference.texts[question.instruction]
    return Case(question.instruction, *((answer, other) if question.swapped else (other, answer)))


def _ask(judge: Judge, cases: Sequence[Case], watch: Callable[[int, int], None] | None) -> tuple[list[Reply], Usage]:
    replies: dict[int, Reply] = {}
    usage = Usage()
    for index, reply in judge.judge(cases):
        replies[index], usage = reply, usage + reply.usage
        if watch is not None:
            watch(len(replies), len(cases))
    return [replies[index] for index in range(len(cases))], usage


def _of_model(share: Share, *, swapped: bool) -> Share:
    return 1 - share if swapped and not isinstance(share, Unscored) else share


def _mean(shares: Sequence[Share]) -> Share:
    """The mean over orders; Unscored where one of them is, for half a comparison carries the position's bias."""
    missing = [share for share in shares if isinstance(share, Unscored)]
    known = [share for share in shares if not isinstance(share, Unscored)]
    return missing[0] if missing else sum(known) / len(known)
