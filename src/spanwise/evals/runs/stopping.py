"""At which step a run should have stopped, in a sentence, from what lies in its folder; or why that cannot be said.

A gold score counts where `spanwise evaluate over-optimisation --save` left one; else the run's own held-out reward
does, which cannot show that the reward itself was gamed, and the sentence says so.
"""

from collections.abc import Sequence
from typing import Any

from spanwise.core import DataError
from spanwise.evals.runs.folders import Curve, Run
from spanwise.evals.runs.overoptimisation import MIN_PROMPTS, Evaluated, StopAdvice, advise, proxy_course
from spanwise.evals.statistics import plain

WATCHED = ("eval/reward/", "eval/kl/")
"""Beginnings of the metrics of a run that is trained on rewards; no other run has such a step."""


def stop_sentence(label: str, run: Run) -> str:
    """The sentence about one run; empty where it was not trained on rewards."""
    if not any(key.startswith(WATCHED) for key in run.curves):
        return ""
    if run.watched:
        return _by_gold(label, run.watched, max((row.step for row in run.samples), default=None))
    course = proxy_course(run.samples)
    prompts = min((len(evaluated.proxy.ids) for evaluated in course), default=0)
    if len(course) < 2 or prompts < MIN_PROMPTS or len({evaluated.proxy.ids for evaluated in course}) > 1:
        return (
            f"{label}: no step to stop at can be given: samples.jsonl has answers to {prompts} held-out prompts at "
            f"{len(course)} evaluations; set evaluation.logged_samples to {MIN_PROMPTS} or more (50 tell something)."
        )
    return _by_reward(label, course, run.curves.get("eval/reward/total", ()))


def _by_reward(label: str, course: Sequence[Evaluated], curve: Curve) -> str:
    """What the answers that were logged say, unless the curve over all held-out prompts says the last step is best."""
    try:
        advice = advise(course)
    except DataError as error:
        return f"{label}: no step to stop at can be given: {error}"
    amount = len(course[0].proxy.ids)
    head = f"{label}: by its own held-out reward, on {amount} prompts (no gold score in the folder),"
    if advice.gold_after.mean is None:
        return f"{head} no step to stop at can be given: nothing was scored at both steps."
    best = _best_of(curve, advice)
    if best == advice.last_step:
        own = "" if advice.step == best else f" on all held-out prompts (step {advice.step} on those {amount})"
        return f"{head} the last step, {best:g}, is the best{own}: nothing speaks for stopping earlier."
    if advice.step == advice.last_step:
        return (
            f"{head} the last step, {advice.step}, is the best, on all held-out prompts step {best:g}: neither is sure."
        )
    fell = advice.gold_after.high is not None and advice.gold_after.high < 0
    verdict = "stop there" if fell else "no fall beyond chance, so no reason to stop earlier"
    named = f"step {advice.step} of {advice.last_step} is the best"
    return f"{head} {named}; from there to the last {_moved(advice)}: {verdict}."


def _best_of(curve: Curve, advice: StopAdvice) -> float:
    """The step at which the curve is highest, up to the last step with answers; theirs where it is not known."""
    known = [(value, -step) for step, value in curve if value is not None and step <= advice.last_step]
    return -max(known)[1] if known else advice.step


def _moved(advice: StopAdvice) -> str:
    after = advice.gold_after
    ends = "" if after.low is None else f" [{plain(after.low)}, {plain(after.high)}]"
    return f"it moved by {plain(after.mean)}{ends} on prompts that did not choose the step"


def _by_gold(label: str, watched: dict[str, Any], last: int | None) -> str:
    """What the saved findings say, and whether the run went on since."""
    later = last is not None and isinstance(watched["last_step"], int) and last > watched["last_step"]
    since = f" The run went on to step {last} since; measure it again." if later else ""
    name, _, judgement = str(watched["verdict"]).partition(": ")
    return f"{label}: {judgement or name} Gold: {watched['gold']}.{since}"
