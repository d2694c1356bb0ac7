import pytest
from doubles.experiment import write_run

from spanwise.core.errors import DataError
from spanwise.evals.report.groups import difference_table, group_runs, group_table
from spanwise.evals.report.report import render_report
from spanwise.evals.runs.folders import Run, named_runs, read_study
from spanwise.evals.statistics.intervals import seed_interval


def run(seed, values, *, steps=4, kl=0.1):
    """A run whose held-out reward takes these values, step by step."""
    curves = {"eval/reward/total": tuple(enumerate(values)), "reward/loss": ((1.0, 3.0),)}
    return Run(f"seed-{seed}", f"seed: {seed}\nrun_dir: runs/{seed}\nsteps: {steps}\nkl: {{coef: {kl}}}\n", curves)


def test_runs_that_differ_in_seed_and_folder_alone_are_one_group():
    runs = {
        "short/seed-0": run(0, [0.1, 0.5]),
        "long/seed-0": run(0, [0.1, 0.7], steps=9),
        "short/seed-1": run(1, [0.2, 0.9]),
    }
    groups = group_runs(runs)
    assert [(group.label, list(group.runs)) for group in groups] == [("short", [0, 1]), ("long/seed-0", [0])]
    found = groups[0].estimate("eval/reward/total")
    assert found == seed_interval({0: 0.5, 1: 0.9})
    assert groups[1].estimate("eval/reward/total").low is None
    assert groups[0].metrics == ["eval/reward/total"], "what training measured of itself is no held-out metric"


def test_differences_are_taken_seed_by_seed():
    runs = {f"a{seed}": run(seed, [0.1 * seed]) for seed in range(3)}
    runs |= {f"b{seed}": run(seed, [0.1 * seed + 0.5 + 0.01 * seed], kl=0.2) for seed in range(1, 4)}
    first, second = group_runs(runs)
    found = second.less(first, "eval/reward/total")
    assert found.mean == pytest.approx(0.515)
    assert (found.seeds, found.excludes_zero) == (2, True)
    table = difference_table([first, second])
    assert table.rows[0].title == "b1, b2, b3 less a0, a1, a2"


def test_a_seed_without_a_value_is_counted_and_the_same_seed_twice_is_no_second_seed():
    groups = group_runs({"a": run(0, [0.3]), "b": run(1, [None]), "again": run(0, [0.4])})
    assert [list(group.runs) for group in groups] == [[0, 1], [0]]
    assert groups[0].estimate("eval/reward/total").unscored == 1
    assert group_table(groups).rows[0].cells[0].note == "1 of the seeds without a value"


def test_runs_without_a_config_stay_apart():
    plain = Run("x", "", {"eval/reward/total": ((0, 1.0),)})
    assert [group.label for group in group_runs({"a": plain, "b": plain})] == ["a", "b"]


def test_the_report_of_two_seeds_has_their_interval(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / "rl" / f"seed-{seed}", seed=seed)
    page = render_report([tmp_path / "rl" / "seed-0", tmp_path / "rl" / "seed-1"])
    assert "Runs and seeds" in page
    assert "2 seeds (0, 1)" in page
    assert "Intervals are over seeds" in page


def test_a_run_given_twice_is_refused(tmp_path):
    write_run(tmp_path / "a")
    study = read_study(tmp_path / "a")
    with pytest.raises(DataError, match="name each run once"):
        named_runs([(tmp_path / "a", study), (tmp_path / "a", study)])
