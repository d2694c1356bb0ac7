"""Over-optimisation as pictures and words: proxy and gold over steps, gold over KL, where to stop.

One self-contained HTML page from courses; `overoptimisation.py` has the numbers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spanwise.core import DataError
from spanwise.evals.report import INK, MUTED, PAPER, Panel, inline_svg, panel, render_page, series_style
from spanwise.evals.runs import Evaluated, GoldCurve, StepFigures, StopAdvice, advise, fit_gold_curve, step_figures
from spanwise.evals.statistics import Estimate, plain


@dataclass(frozen=True)
class CourseFindings:
    """Everything about one run."""

    name: str
    figures: tuple[StepFigures, ...]
    advice: StopAdvice
    curve: GoldCurve | None
    """None where the run has too few different KLs."""

    def as_dict(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "best_step": self.advice.step,
            "last_step": self.advice.last_step,
            "over_optimised": self.advice.over_optimised,
            "gold_after": self.advice.gold_after.model_dump(mode="json"),
            "proxy_after": self.advice.proxy_after.model_dump(mode="json"),
            "peak_kl": None if self.curve is None else self.curve.peak_kl,
            "steps": [
                {
                    "step": step_figures.step,
                    "kl": None if math.isnan(step_figures.kl) else step_figures.kl,
                    "proxy": step_figures.proxy.mean,
                    "gold": step_figures.gold.mean,
                    "on_frontier": step_figures.on_frontier,
                }
                for step_figures in self.figures
            ],
        }


def find_course(name: str, course: Sequence[Evaluated]) -> CourseFindings:
    """The figures, the advice and the curve of one run."""
    figures = step_figures(course)
    known = [(step.kl, step.gold.mean) for step in figures if step.gold.mean is not None and not math.isnan(step.kl)]
    try:
        curve = fit_gold_curve([kl for kl, _ in known], [gold for _, gold in known])
    except DataError:  # the page says that there is none
        curve = None
    return CourseFindings(name, tuple(figures), advise(course), curve)


def verdict(found: CourseFindings) -> str:
    """What a person must know of a run, in one or two sentences."""
    advice = found.advice
    gold, proxy = _words(advice.gold_after), _words(advice.proxy_after)
    if advice.step == advice.last_step:
        return f"{found.name}: the gold score is highest at the last step, {advice.step}; more steps may still pay."
    head = f"{found.name}: the gold score is highest at step {advice.step} of {advice.last_step}"
    tail = f"from a best step to the last, gold moved by {gold} and the proxy by {proxy}"
    if advice.over_optimised:
        return f"{head}; stop there. Over-optimised: {tail}, on prompts that did not choose the step."
    return f"{head}. Not over-optimised by more than chance: {tail}, on prompts that did not choose the step."


def render_courses(found: Sequence[CourseFindings], gold_name: str) -> str:
    """The page about several runs."""
    return render_page(
        "overoptimisation.html",
        found=found,
        verdicts=[verdict(course) for course in found],
        panels=course_panels(found),
        gold_name=gold_name,
    )


def course_panels(found: Sequence[CourseFindings]) -> tuple[Panel, ...]:
    """Proxy over steps, gold over steps, gold over KL."""
    proxy = {findings.name: [(f.step, f.proxy) for f in findings.figures] for findings in found}
    gold = {findings.name: [(f.step, f.gold) for f in findings.figures] for findings in found}
    stops = [findings.advice.step for findings in found]
    return (
        Panel("Proxy, what was trained on", inline_svg(_over_steps(proxy, []), "proxy", _described("Proxy", proxy))),
        Panel(
            "Gold score, what was wanted",
            inline_svg(_over_steps(gold, stops), "gold", _described("Gold score", gold)),
            "A dotted line marks the best step of each run.",
        ),
        Panel(
            "Gold score over KL",
            inline_svg(_over_kl(found), "frontier", _described("Gold score", gold)),
            "Filled: no other step of the run has a higher score at no more KL. Line: the curve of Gao et al.",
        ),
    )


def _over_steps(series: Mapping[str, Sequence[tuple[int, Estimate]]], stops: Sequence[int]) -> Figure:
    figure, axes = panel()
    for index, points in enumerate(series.values()):
        style = series_style(index)
        known = [(step, estimate) for step, estimate in points if estimate.mean is not None]
        axes.plot([step for step, _ in known], [estimate.mean for _, estimate in known], linewidth=1.9, **style)  # type: ignore[arg-type]
        banded = [
            (step, estimate.low, estimate.high)
            for step, estimate in known
            if estimate.low is not None and estimate.high is not None
        ]
        if banded:
            steps, lows, highs = zip(*banded, strict=True)
            axes.fill_between(steps, lows, highs, color=style["color"], alpha=0.15, linewidth=0)  # type: ignore[arg-type]
    for index, step in enumerate(stops):
        axes.axvline(step, color=series_style(index)["color"], linewidth=1, linestyle=(0, (1.2, 1.5)))  # type: ignore[arg-type]
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("step", color=MUTED, fontsize=11)
    return figure


def _over_kl(found: Sequence[CourseFindings]) -> Figure:
    figure, axes = panel()
    for index, findings in enumerate(found):
        colour = series_style(index)["color"]
        for step in findings.figures:
            if step.gold.mean is not None:
                face = colour if step.on_frontier else PAPER
                axes.plot([step.kl], [step.gold.mean], "o", color=colour, markerfacecolor=face, markersize=5.5)  # type: ignore[arg-type]
        if findings.curve is not None:
            reach = np.linspace(0.0, max(0.0, *(step.kl for step in findings.figures)), 100).tolist()
            axes.plot(reach, [findings.curve.at(kl) for kl in reach], color=colour, linewidth=1.2, alpha=0.7)  # type: ignore[arg-type]
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("KL to the start, nats per response", color=MUTED, fontsize=11)
    axes.tick_params(labelcolor=INK)
    return figure


def _described(what: str, series: Mapping[str, Sequence[tuple[int, Estimate]]]) -> str:
    parts = [
        f"{name} from {plain(points[0][1].mean)} at step {points[0][0]} to {plain(points[-1][1].mean)} at step "
        f"{points[-1][0]}"
        for name, points in series.items()
    ]
    return f"{what}: {'; '.join(parts)}"


def _words(estimate: Estimate) -> str:
    ends = "" if estimate.low is None else f" [{plain(estimate.low)}, {plain(estimate.high)}]"
    return f"{plain(estimate.mean)}{ends}"
