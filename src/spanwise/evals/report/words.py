"""What an experiment found, in sentences: the headline of a report and the last lines of `spanwise quickstart`.

A sentence claims a direction only where the interval of the difference excludes zero, says plainly what did not
improve or comes for nothing with another decoding, and gives the numbers in the words of the metric. What a verdict is
called is decided in `statistics.verdicts`. It knows nothing of HTML or of the terminal.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from spanwise.evals.rivals import GREEDY
from spanwise.evals.statistics import (
    Comparison,
    Estimate,
    ExperimentResults,
    MetricInfo,
    Verdict,
    difference_unit,
    interval,
    number,
    quantity,
    with_unit,
)

NOT_HELD = "not held against greedy decoding"


@dataclass(frozen=True)
class Finding:
    """One sentence about one metric, with the verdict that it words."""

    verdict: Verdict
    metric: str
    sentence: str
    """What changed by how much."""
    lead: str
    """The verdict in words."""
    note: str = ""
    """How the arm does against its best free rival."""

    @property
    def text(self) -> str:
        """The sentence with its verdict in front; what is not judged (length, KL) has none."""
        return self.sentence if self.verdict in ("higher", "lower") else f"{self.lead}: {_lower(self.sentence)}"

    @property
    def body(self) -> str:
        """The sentence without its verdict, for where a badge says that."""
        return f"{self.sentence} {self.note}".rstrip()


@dataclass(frozen=True)
class PairFindings:
    """What is known of one arm against one baseline."""

    arm: str
    baseline: str
    summary: str
    findings: tuple[Finding, ...]


def verdict_words(verdict: str) -> str:
    """The verdict where no sentence stands beside it."""
    return f"ahead, {NOT_HELD}" if verdict == "not held" else verdict


def verdict_sentences(results: ExperimentResults) -> list[str]:
    """The headline pair in full, one sentence for each other pair, then what limits all of them."""
    pairs = pair_findings(results)
    if not pairs:
        return ["Nothing was compared: no two arms were measured on the same prompts."]
    first, *others = pairs
    sentences = [first.summary, *(finding.text for finding in first.findings), *(pair.summary for pair in others)]
    return [*sentences, *caveats(results)]


def pair_findings(results: ExperimentResults) -> list[PairFindings]:
    """The findings of each (arm, baseline) pair, in the order of the comparisons."""
    pairs = dict.fromkeys((comparison.arm, comparison.baseline) for comparison in results.comparisons)
    return [_pair(results, arm, baseline) for arm, baseline in pairs]


def caveats(results: ExperimentResults) -> list[str]:
    """What a reader must know before believing the sentences."""
    sentences: list[str] = []
    if len(results.seeds) < 2 and results.comparisons:
        basis, other = (
            ("One seed was run", "another seed") if results.seeds else ("Each arm is one model", "another run")
        )
        sentences.append(f"{basis}: the intervals are over prompts and say nothing of what {other} would give.")
    unscored = max((comparison.difference.unscored for comparison in results.comparisons), default=0)
    if unscored:
        answers = "pair of answers" if unscored == 1 else "pairs of answers"
        sentences.append(f"Up to {unscored} {answers} per comparison could not be scored and are in no number.")
    if any(comparison.verdict == "not held" for comparison in results.comparisons):
        sentences.append(
            "Free rivals were not measured for every arm: what improved may be had for nothing by decoding greedily."
        )
    return sentences


def _pair(results: ExperimentResults, arm: str, baseline: str) -> PairFindings:
    comparisons = [c for c in results.comparisons if (c.arm, c.baseline) == (arm, baseline)]
    findings = tuple(_finding(results, comparison) for comparison in comparisons)
    return PairFindings(arm, baseline, _summary(results, arm, baseline, comparisons), findings)


def _finding(results: ExperimentResults, comparison: Comparison) -> Finding:
    lead, note = comparison.verdict.capitalize(), ""
    info, to_rival = results.metrics[comparison.metric], comparison.rival_difference
    if comparison.verdict == "not held":
        lead = f"Better than {results.arms[comparison.baseline].title}, {NOT_HELD}"
        note = f"{NOT_HELD.capitalize()}."
    elif comparison.verdict == "sharpens" and to_rival is not None:
        words = _as_good(results, comparison)
        lead = f"Sharpens; {words}"
        less = with_unit(number(to_rival.mean, info, signed=True), difference_unit(info))
        note = f"{_upper(words)} (less it {less}, {_percent(to_rival)} {interval(to_rival, info, signed=True)})."
    elif comparison.verdict == "better" and to_rival is not None and comparison.rival != comparison.baseline:
        rival = results.arms[comparison.rival].title
        lead = f"Better, also than {rival}"
        note = f"Also better than its best free rival, {rival}, by {_one_sided(to_rival, info)}."
    return Finding(comparison.verdict, comparison.metric, _sentence(results, comparison), lead, note)


def _as_good(results: ExperimentResults, comparison: Comparison) -> str:
    """What the best free rival does: `decoding greedily does as well`."""
    rival, to_rival = results.arms[comparison.rival], comparison.rival_difference
    name = "decoding greedily" if rival.decoding == GREEDY else rival.title
    return f"{name} does {'better' if to_rival is not None and to_rival.excludes_zero else 'as well'}"


def _summary(results: ExperimentResults, arm: str, baseline: str, own: Sequence[Comparison]) -> str:
    """One sentence that counts and names; descriptive metrics (length, KL) are not part of it."""
    judged = [comparison for comparison in own if results.metrics[comparison.metric].better != "none"]
    parts: dict[tuple[str, str], list[str]] = {}
    for verdict in ("better", "sharpens", "not held", "worse", "no clear difference", "not known"):
        for comparison in judged:
            if comparison.verdict == verdict:
                words = _summary_words(results, comparison)
                parts.setdefault(words, []).append(results.metrics[comparison.metric].label)
    basis = _basis(results, [comparison.difference for comparison in own])
    verdicts = "; ".join(f"{head} on {_join(names)}{tail}" for (head, tail), names in parts.items())
    titles = f"{results.arms[arm].title} against {results.arms[baseline].title}"
    return f"{titles}, {basis}: {verdicts or 'only described, not judged'}."


def _summary_words(results: ExperimentResults, comparison: Comparison) -> tuple[str, str]:
    """What stands before and behind the metrics of one verdict."""
    if comparison.verdict == "sharpens":
        return "sharpens", f", where {_as_good(results, comparison)}"
    if comparison.verdict == "not held":
        return f"better than {results.arms[comparison.baseline].title}", f", {NOT_HELD}"
    return comparison.verdict, ""


def _sentence(results: ExperimentResults, comparison: Comparison) -> str:
    info, difference = results.metrics[comparison.metric], comparison.difference
    values = _values(results, comparison)
    if difference.mean is None:
        return f"{info.label}, as no prompt was scored for both."
    if comparison.verdict == "not known":
        return f"{info.label}, {values}; too few prompts for an interval."
    if difference.low == difference.high == 0:
        return f"{info.label}, the same in both ({values})."
    if comparison.verdict == "no clear difference":
        return f"{info.label}, {values} ({_around_zero(difference, info)})."
    verb = "rose" if difference.mean > 0 else "fell"
    return f"{info.label} {verb} from {values}, by {_one_sided(difference, info)}."


def _values(results: ExperimentResults, comparison: Comparison) -> str:
    """`40.7 % to 23.8 %`, `36.9 to 28.2 words`: baseline first."""
    info = results.metrics[comparison.metric]
    before, after = (_mean(results, name, comparison.metric) for name in (comparison.baseline, comparison.arm))
    first = quantity(before, info) if info.unit == "%" else number(before, info)
    return f"{first} to {quantity(after, info)}"


def _one_sided(difference: Estimate, info: MetricInfo) -> str:
    """The size of a difference whose interval is on one side of zero, without signs."""
    mean, low, high = (abs(value or 0.0) for value in (difference.mean, difference.low, difference.high))
    low, high = min(low, high), max(low, high)
    size = with_unit(number(mean, info), difference_unit(info))
    return f"{size} ({_percent(difference)} interval {number(low, info)} to {number(high, info)})"


def _around_zero(difference: Estimate, info: MetricInfo) -> str:
    low, high = difference.low or 0.0, difference.high or 0.0
    unit = difference_unit(info)
    lower = f"{with_unit(number(abs(low), info), unit)} lower"
    higher = f"{with_unit(number(high, info), unit)} higher"
    return f"{_percent(difference)} interval from {lower} to {higher}"


def _percent(difference: Estimate) -> str:
    return f"{difference.level * 100:.3g} %"


def _mean(results: ExperimentResults, arm: str, metric: str) -> float | None:
    estimate = results.arms[arm].metrics.get(metric)
    return estimate.mean if estimate else None


def _basis(results: ExperimentResults, differences: Sequence[Estimate]) -> str:
    prompts, seeds = max(d.n for d in differences), max(d.seeds for d in differences)
    counted = f"{prompts:,} {'prompt' if prompts == 1 else 'prompts'}"
    return f"{counted}, {seeds} {'seed' if seeds == 1 else 'seeds'}" if results.seeds else counted


def _join(names: Sequence[str]) -> str:
    lowered = [_lower(name) for name in names]
    return lowered[0] if len(lowered) == 1 else f"{', '.join(lowered[:-1])} and {lowered[-1]}"


def _upper(words: str) -> str:
    return words[:1].upper() + words[1:]


def _lower(name: str) -> str:
    """The label inside a sentence: `Wrong sentences` loses its capital, `KL` and `ROUGE-Lsum` keep theirs."""
    return name[:1].lower() + name[1:] if name[1:2].islower() or name[1:2] == " " else name
