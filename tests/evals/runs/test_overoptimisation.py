"""Stopping, frontiers and curves on constructed courses whose truth is known, and courses read from run folders."""

import json
import math

import numpy as np
import pytest

from spanwise.core.errors import DataError
from spanwise.evals.pages.overoptimisation import find_course, render_courses, verdict
from spanwise.evals.runs.overoptimisation import (
    Evaluated,
    GoldCurve,
    advise,
    ensemble_gold,
    fit_gold_curve,
    read_course,
    step_figures,
)
from spanwise.evals.statistics.score_table import ScoreTable
from spanwise.feedback.prompts import PromptRecord
from spanwise.feedback.scores import Sample, SegmentScore, SegmentScores, Unscored
from spanwise.text.spans import Span


def course(gold, proxy, *, noise=0.5, prompts=100, seed=0):
    generator = np.random.default_rng(seed)
    difficulty = generator.standard_normal(prompts)

    def table(mean):
        values = mean + difficulty + noise * generator.standard_normal(prompts)
        return ScoreTable.from_values({str(place): value for place, value in enumerate(values)})

    return [
        Evaluated(10 * n, table(p), table(g), ScoreTable.from_values(dict.fromkeys(map(str, range(prompts)), 2.0 * n)))
        for n, (g, p) in enumerate(zip(gold, proxy, strict=True))
    ]


def test_a_gold_score_that_falls_while_the_proxy_rises_is_over_optimised():
    advice = advise(course(gold=[0, 1.0, 0.8, 0.2], proxy=[0, 1, 2, 3]))
    assert (advice.step, advice.last_step) == (10, 30)
    assert advice.over_optimised
    assert advice.gold_after.low < -0.8 < advice.gold_after.high
    assert advice.proxy_after.mean == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize(
    ("gold", "proxy"),
    [([0, 0.3, 0.6, 1.0], [0, 1, 2, 3]), ([0, 1.0, 0.8, 0.2], [0, 1, 0.5, 0.1])],
    ids=["gold still rises", "both fall"],
)
def test_what_is_no_over_optimisation(gold, proxy):
    assert not advise(course(gold=gold, proxy=proxy)).over_optimised


def test_a_flat_gold_score_is_hardly_ever_called_a_fall():
    """The best of eight equal steps lies above the last one by luck; that luck must not look like a fall."""
    called = sum(
        advise(course([0.0] * 8, list(range(8)), noise=1.0, prompts=40, seed=seed)).over_optimised
        for seed in range(100)
    )
    assert called <= 8, "2.5 % are expected to fall by chance"


def test_too_little_is_refused():
    with pytest.raises(DataError, match="One evaluation"):
        advise(course([0], [0]))
    with pytest.raises(DataError, match="too few"):
        advise(course([0, 1], [0, 1], prompts=3))


def test_the_frontier_of_kl_and_gold():
    figures = step_figures(course(gold=[0, 1.0, 0.5, 2.0], proxy=[0, 1, 2, 3], noise=0.01))
    assert [one.on_frontier for one in figures] == [True, True, False, True]
    assert [one.kl for one in figures] == [0, 2, 4, 6]


def test_the_curve_of_a_known_law_is_found_again():
    law = GoldCurve(start=0.3, alpha=1.2, beta=0.4)
    kl = [0.0, 0.5, 1.0, 3.0, 9.0, 25.0, 60.0]
    found = fit_gold_curve(kl, [law.at(one) for one in kl])
    assert (found.start, found.alpha, found.beta) == pytest.approx((0.3, 1.2, 0.4), abs=1e-5)
    # d (alpha - beta ln d) is highest where alpha - beta ln d - beta = 0, that is ln d = alpha / beta - 1 = 2
    assert found.peak_kl == pytest.approx(math.exp(2) ** 2, rel=1e-4)
    assert law.at(found.peak_kl) > max(law.at(found.peak_kl * 0.9), law.at(found.peak_kl * 1.1))


def test_a_score_that_only_rises_has_no_peak():
    assert fit_gold_curve([0.0, 1.0, 4.0, 9.0], [0.0, 1.0, 2.0, 3.0]).peak_kl is None
    with pytest.raises(DataError, match="three KLs"):
        fit_gold_curve([1.0, 1.0, 2.0], [0, 1, 2])


PROMPTS = {f"q{n}": PromptRecord(prompt=f"q{n}") for n in range(6)}


def write_run(folder, *, steps=(0, 5, 10), prompts=6):
    folder.mkdir()
    rows = [
        {
            "step": step,
            "prompt": f"q{n}",
            "response": "word " * (1 + step + n),
            "tokens": ["a", "b"],
            "token_scores": [step, n],
            "kl": [0.1 * step, 0.0],
            "dropped": n == 5,
        }
        for step in steps
        for n in range(prompts)
    ]
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_course_is_read_from_the_run_folder(tmp_path):
    def words(samples):
        return [-float(len(sample.response.split())) for sample in samples]

    found = read_course(write_run(tmp_path / "run"), words, PROMPTS)
    assert [one.step for one in found] == [0, 5, 10]
    assert found[1].gold.totals[0].tolist() == [-6, -7, -8, -9, -10, -11]
    assert found[1].proxy.totals[0].tolist() == [5, 6, 7, 8, 9, 0]
    assert found[1].proxy.unscored == 1, "what training left out has no proxy"
    assert found[2].kl.totals[0].tolist() == [1.0] * 6
    findings = find_course("run", found)
    assert findings.advice.step == 0
    assert findings.advice.over_optimised
    assert "stop there" in verdict(findings)
    page = render_courses([findings], "fewer words")
    assert page.count("<svg") >= 3
    assert "stop there" in page


def test_a_run_without_a_reference_has_no_kl(tmp_path):
    folder = write_run(tmp_path / "run")
    rows = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    lines = [json.dumps({key: value for key, value in row.items() if key != "kl"}) for row in rows]
    (folder / "samples.jsonl").write_text("\n".join(lines) + "\n")
    findings = find_course("run", read_course(folder, lambda samples: [1.0] * len(samples), PROMPTS))
    assert [step["kl"] for step in findings.as_dict()["steps"]] == [None] * 3
    assert not any(step.on_frontier for step in findings.figures)
    assert findings.curve is None
    assert render_courses([findings], "anything").count("<svg") >= 3


def test_a_run_that_logged_too_little_says_what_to_set(tmp_path):
    with pytest.raises(DataError, match="logged_samples"):
        read_course(write_run(tmp_path / "few", prompts=2), lambda s: [0.0] * len(s), PROMPTS)
    with pytest.raises(DataError, match="'q1'"):
        read_course(write_run(tmp_path / "other"), lambda s: [0.0] * len(s), {"q0": PROMPTS["q0"]})


class Scripted:
    """Scores a response by its words; nothing in an empty one."""

    category, density, version = "length", "sequence", "1"

    def __init__(self, name, factor):
        self.name, self.factor = name, factor

    def score(self, samples):
        return [
            SegmentScores((SegmentScore(Span(0, len(s.response)), self.factor * len(s.response.split())),))
            if s.response
            else SegmentScores(missing=Unscored("empty"))
            for s in samples
        ]


def test_an_ensemble_is_the_mean_of_standardised_members():
    start = [Sample("q", "a"), Sample("q", "a b c")]
    gold = ensemble_gold([Scripted("x", 1.0), Scripted("y", -10.0)], start)
    # over the start answers x has mean 2 and deviation sqrt(2); y the same with its sign turned, so they cancel
    assert gold([Sample("q", "a b c d")]) == pytest.approx([0.0])
    assert ensemble_gold([Scripted("x", 1.0)], start)([Sample("q", "a b c d")]) == pytest.approx([math.sqrt(2)])
    assert gold([Sample("q", "")]) == [Unscored("empty")]
    with pytest.raises(DataError, match="no spread"):
        ensemble_gold([Scripted("x", 0.0)], start)
