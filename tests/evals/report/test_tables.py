import pytest
from doubles.experiment import write_experiment

from spanwise.evals.report.tables import arm_table, config_table, difference_rows, quality_tables
from spanwise.evals.runs.folders import Run
from spanwise.evals.statistics.results import RewardModelQuality


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_experiment(tmp_path_factory.mktemp("experiment"), seeds=(0, 1), prompts=10, steps=2)


def test_what_was_not_run_is_told_and_is_no_zero(results):
    table = arm_table(results)
    cells = {
        (row.title, column.title): cell
        for row in table.rows
        for column, cell in zip(table.columns, row.cells, strict=True)
    }
    assert cells["SFT on twice the demonstrations", "ROUGE-Lsum"].text == "not run"
    assert all(cell.text == "not run" for (_, column), cell in cells.items() if column == "KL to SFT")
    error = results.arms["sft"].metrics["irrelevance"]
    assert cells["SFT", "Irrelevant sub-sentences"].text == f"{100 * error.mean:.1f}"
    assert cells["SFT", "Irrelevant sub-sentences"].interval == f"[{100 * error.low:.1f}, {100 * error.high:.1f}]"


def test_differences_say_their_verdict_and_basis(results):
    rows = difference_rows(results, "fine-grained", "sft")
    assert [row.metric for row in rows][:2] == ["Irrelevant sub-sentences", "Wrong sentences"]
    assert rows[0].basis == "10 x 2"
    assert rows[0].difference.text.endswith(" points")


@pytest.mark.parametrize(
    ("metrics", "name", "note"),
    [
        ({"accuracy": 0.6, "majority_accuracy": 0.7}, "Accuracy", "not above a trivial rule"),
        ({"accuracy": 0.8, "majority_accuracy": 0.7}, "Accuracy", ""),
        ({"pair_accuracy": 0.55, "longer_wins": 0.4}, "Pair accuracy", "not above a trivial rule"),
        ({"pair_accuracy": 0.65, "longer_wins": 0.4, "first_listed_wins": 0.6}, "Pair accuracy", ""),
        ({"accuracy": 0.6}, "Accuracy", ""),
        ({"accuracy": 0.8, "majority_accuracy": 0.7, "calibration_error": 0.0}, "Calibration error", ""),
    ],
)
def test_a_head_that_a_trivial_rule_beats_is_told(metrics, name, note):
    (table,) = quality_tables({"head": RewardModelQuality(metrics=metrics)})
    place = [column.title for column in table.columns].index(name)
    assert table.rows[0].cells[place].note == note


def test_counts_are_whole_and_unknown_measures_come_last():
    quality = RewardModelQuality(metrics={"my_own": 0.25, "segments": 1204, "accuracy": 1.0, "auroc": None})
    (table,) = quality_tables({"head": quality})
    assert [column.title for column in table.columns] == ["Accuracy", "AUROC", "Segments", "my own"]
    assert [cell.text for cell in table.rows[0].cells] == ["1.000", "not run", "1,204", "0.250"]


def test_only_settings_that_differ_are_compared():
    runs = {
        "a": (Run("a", "seed: 0\nkl:\n  coef: 0.1\n  target: null\nsteps: 4\n"),),
        "b": (Run("b", "seed: 0\nkl:\n  coef: 0.2\nsteps: 5\n"),),
        "c": (Run("c", ""),),
    }
    table = config_table(runs)
    assert [column.title for column in table.columns] == ["a", "b"]
    assert {row.title: [cell.text for cell in row.cells] for row in table.rows} == {
        "kl.coef": ["0.1", "0.2"],
        "steps": ["4", "5"],
    }
    assert config_table({"a": runs["a"]}) is None


def test_a_config_that_is_not_yaml_does_not_stop_the_report():
    assert config_table({"a": (Run("a", "x: [1"),), "b": (Run("b", "x: 1"),)}).rows == ()


def test_heads_of_segments_and_of_pairs_have_tables_of_their_own():
    heads = {
        "pairs": RewardModelQuality(metrics={"pair_accuracy": 0.7, "pairs": 9}),
        "segments": RewardModelQuality(metrics={"accuracy": 0.7}),
    }
    assert [table.rows[0].title for table in quality_tables(heads)] == ["segments", "pairs"]
