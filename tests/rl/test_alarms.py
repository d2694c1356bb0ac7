"""Alarms on made-up series of metrics: those that must ring, those that must not, and after a resume."""

import json

import numpy as np
import pytest

from spanwise.rl.alarms import LENGTH_DRIFT, REPETITION, REWARD_HACKING, TRUNCATION, AlarmConfig, Alarms, raised_alarms

STEPS = 40


def course(*, length=60.0, repetition=0.02, a=0.0, b=0.0, c=0.0, noise=0.05, seed=0, steps=STEPS):
    """Metrics of a run; every figure is a number, or its value at the start and at the end."""
    generator = np.random.default_rng(seed)

    def line(ends, spread):
        start, end = ends if isinstance(ends, tuple) else (ends, ends)
        return np.linspace(start, end, steps) + spread * generator.standard_normal(steps)

    rows = zip(line(length, 2.0), line(repetition, 0.005), line(a, noise), line(b, noise), line(c, noise), strict=True)
    return [
        {
            "response/length": words,
            "response/repetition": again,
            "reward/a": first,
            "reward/b": second,
            "reward/c": third,
            "reward/total": first + second + third,
        }
        for words, again, first, second, third in rows
    ]


def kinds(history, **settings):
    return {key.partition(":")[0] for key in raised_alarms(history, AlarmConfig(**settings))}


@pytest.mark.parametrize(
    ("figures", "alarm"),
    [
        ({"length": (60, 110)}, LENGTH_DRIFT),
        ({"length": (60, 30)}, LENGTH_DRIFT),
        ({"repetition": (0.02, 0.5)}, REPETITION),
        ({"a": (0.0, 1.0), "b": (0.0, -0.8)}, REWARD_HACKING),
        ({"a": (0.0, 1.0), "b": (0.0, -0.4), "c": (0.0, -0.4)}, REWARD_HACKING),
    ],
)
def test_what_goes_wrong_rings(figures, alarm):
    assert kinds(course(**figures)) == {alarm}


@pytest.mark.parametrize(
    "figures",
    [
        {},
        {"length": (60, 75)},
        {"repetition": (0.02, 0.15)},
        {"a": (0.0, 1.0), "b": (0.0, 0.5), "c": (0.0, 0.3)},
        {"a": (0.0, 1.0)},
        {"a": (0.0, 1.0), "b": (0.0, -0.2)},
        {"a": (0.0, -1.0), "b": (0.0, -0.5)},
    ],
    ids=["nothing moves", "a bit longer", "some repetition", "all rise", "one rises", "a fair trade", "all fall"],
)
def test_what_goes_right_does_not(figures):
    assert kinds(course(**figures)) == set()


def test_noise_alone_hardly_ever_rings():
    rung = sum(bool(kinds(course(noise=1.0, seed=seed))) for seed in range(300))
    assert rung <= 3, "a run that learns nothing rings in one of a hundred at most"


def test_the_hacked_source_is_named_with_both_movements():
    history = course(a=(0.0, 2.0), b=(1.0, -1.0), noise=0.0)
    (key,) = raised_alarms(history, AlarmConfig(window=2))
    assert key == f"{REWARD_HACKING}:a"
    (sentence,) = raised_alarms(history, AlarmConfig(window=2)).values()
    # linspace over 40 steps: the means of the first and last two are 1/39 of the way from the ends
    assert "a pays 1.95 more" in sentence
    assert "1.95 less" in sentence


def test_thresholds_are_the_configs():
    history = course(length=(60, 110))
    assert kinds(history, length_change=2.0) == set()
    assert kinds(history, length_change=None) == set()
    assert kinds(course(a=(0.0, 1.0), b=(0.0, -0.3)), hacking_trade=0.2) == {REWARD_HACKING}
    assert kinds(course(repetition=(0.02, 0.2)), repetition=0.1) == {REPETITION}


def test_there_is_no_alarm_before_two_windows():
    history = course(length=(60, 600))
    assert raised_alarms(history[:7], AlarmConfig(window=4)) == {}
    assert kinds(history[:8]) == {LENGTH_DRIFT}


def test_what_was_not_measured_is_no_zero():
    history = course(a=(0.0, 1.0), b=(0.0, -0.8))
    for row in history:
        row["reward/c"] = None
    assert kinds(history) == set(), "with a source missing the others' sum is not known"
    for row in history:
        del row["reward/c"]
        del row["response/length"]
    assert kinds(history) == {REWARD_HACKING}


def test_an_alarm_is_told_once_and_logged_while_it_holds(tmp_path):
    history = course(length=(60, 120), noise=0.0)
    watched = Alarms(AlarmConfig())
    told = [watched.watch(row) for row in history]
    figures = [own[LENGTH_DRIFT] for own, _ in told]
    first = figures.index(1.0)
    assert all(value == 1.0 for value in figures[first:])
    assert [bool(sentences) for _, sentences in told].count(True) == 1
    assert "length drift" in told[first][1][0]

    lines = [{"step": 0, "eval/reward/total": 1.0}, *({"step": n, **row} for n, row in enumerate(history[:30], 1))]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    resumed = Alarms(AlarmConfig())
    resumed.recall(tmp_path)
    assert [resumed.watch(row) for row in history[30:]] == told[30:]


def test_answers_that_nearly_all_run_into_the_limit_ring_from_the_first_window_on():
    cut = [row | {"response/truncated": 0.97} for row in course(steps=4)]
    assert kinds(cut[:3]) == set()
    assert raised_alarms(cut, AlarmConfig())[TRUNCATION] == (
        "alarm, truncation: 97% of the responses run into sampling.max_new_tokens; raise it"
    )
    assert kinds(cut, truncated=None) == set()
    assert kinds([row | {"response/truncated": 0.5} for row in course()]) == set()
