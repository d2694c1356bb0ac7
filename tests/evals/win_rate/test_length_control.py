import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from spanwise.core.errors import DataError
from spanwise.core.seeding import numpy_generator
from spanwise.evals.statistics.pairwise import JudgedPair, Judgements
from spanwise.evals.win_rate.alpaca_files import read_annotations, read_leaderboard
from spanwise.evals.win_rate.length_control import (
    SoftRows,
    best_strength,
    fit,
    length_controlled,
    refit,
    regulariser,
    tanh_lengths,
)
from spanwise.evals.win_rate.length_weights import LengthWeights, read_difficulty, read_weights
from spanwise.evals.win_rate.summary import summarise
from spanwise.feedback.scores import Unscored

DATA = Path(__file__).parents[3] / ".." / "shared" / "data" / "alpaca_eval"
JUDGE = "weighted_alpaca_eval_gpt4_turbo"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="AlpacaEval's files are not in ../shared/data/alpaca_eval")
HEAD = ["", "np.tanh(std_delta_len)", "instruction_difficulty", "not_gamed_baseline.astype(float)"]
OWN = LengthWeights(-1.5, 0.8, -0.4)


def world(count=400, weights=OWN, seed=0):
    """Judgements whose shares are exactly what `weights` predict, and their difficulties."""
    generator = numpy_generator(seed, "world")
    lengths, hard = generator.integers(1, 300, (2, count)), generator.normal(size=count)
    texts = [("r" * int(one), "a" * int(other)) for one, other in lengths.T]
    tanh = tanh_lengths(*zip(*texts, strict=True))
    shares = expit(weights.length * tanh + weights.difficulty * hard + weights.model)
    names = [f"instruction {number}" for number in range(count)]
    pairs = tuple(JudgedPair(n, *t, float(s)) for n, t, s in zip(names, texts, shares, strict=True))
    return Judgements(pairs, "ours", "theirs"), dict(zip(names, hard.tolist(), strict=True))


def controlled(judged, **more):
    return length_controlled(judged, generator=numpy_generator(0, "test"), resamples=more.pop("resamples", 0), **more)[
        0
    ]


def test_lengths_are_in_sample_deviations_reference_less_answer():
    found = tanh_lengths(["abc", "a", "ab"], ["a", "a", "abcd"])  # differences 2, 0, -2: deviation 2
    assert found == pytest.approx([math.tanh(1), 0, -math.tanh(1)])
    assert tanh_lengths(["a", "b"], ["c", "d"]) == pytest.approx([0, 0])


def test_stored_weights_that_fit_give_the_closed_form():
    judged, difficulty = world()
    found = controlled(judged, weights={"ours": OWN}, names=["ours"], difficulty=difficulty)
    expected = 100 * expit(0.8 * np.array(list(difficulty.values())) - 0.4)
    assert found.method == "stored weights"
    assert found.win_rate == pytest.approx(expected.mean(), abs=1e-9)
    assert found.standard_error == pytest.approx(expected.std(ddof=1) / 20, abs=1e-9)


def test_the_order_of_the_rows_does_not_matter():
    judged, difficulty = world()
    mixed = Judgements(judged.pairs[::-1], "ours", "theirs")
    found = [controlled(one, weights={"ours": OWN}, names=["ours"], difficulty=difficulty) for one in (judged, mixed)]
    assert found[0].win_rate == pytest.approx(found[1].win_rate, abs=1e-9)


def test_another_models_weights_are_noticed_and_the_fit_is_used():
    judged, difficulty = world()
    wrong = {"ours": LengthWeights(-1.5, 0.8, 3.0)}
    found = controlled(judged, weights=wrong, names=["ours"], difficulty=difficulty)
    assert found.method == "fitted"
    assert "not of these judgements" in found.notes[0]
    assert found.win_rate == pytest.approx(controlled(judged, difficulty=difficulty).win_rate)


def test_the_name_whose_weights_fit_is_taken():
    judged, difficulty = world()
    weights = {"example": LengthWeights(-1.5, 0.8, 3.0), "folder": OWN}
    found = controlled(judged, weights=weights, names=["example", "folder"], difficulty=difficulty)
    assert (found.method, found.weights) == ("stored weights", OWN)


def test_a_model_without_stored_weights_is_fitted_and_told():
    judged, difficulty = world()
    found = controlled(judged, weights={"another": OWN}, names=["ours"], difficulty=difficulty)
    assert "no row for 'ours'" in found.notes[0]


def test_a_fit_nears_the_weights_that_made_the_shares():
    judged, difficulty = world(count=3000)
    found = controlled(judged, difficulty=difficulty)
    assert found.weights.length == pytest.approx(-1.5, abs=0.05)
    assert found.weights.difficulty == pytest.approx(0.8, abs=0.05)
    assert found.weights.model == pytest.approx(-0.4, abs=0.05)


def test_a_model_against_itself_is_a_half():
    judged, _ = world()
    assert controlled(Judgements(judged.pairs, "same", "same")).win_rate == 50


def test_the_interval_holds_the_estimate_and_follows_the_seed():
    judged, difficulty = world(count=60)
    first, second = (controlled(judged, difficulty=difficulty, resamples=100) for _ in range(2))
    assert first == second
    assert first.low < first.win_rate < first.high


def test_pairs_without_difficulty_are_counted_and_none_at_all_is_refused():
    judged, difficulty = world(count=50)
    found = controlled(judged, difficulty={key: difficulty[key] for key in list(difficulty)[:40]})
    assert found.left_out == 10
    with pytest.raises(DataError, match="No decided pair has a difficulty"):
        controlled(judged, difficulty={"another instruction": 0.0})


def test_unscored_pairs_are_predicted_and_not_fitted():
    judged, difficulty = world()
    blank = tuple(
        JudgedPair(one.instruction, one.reference, one.answer, Unscored("prose")) if place % 2 else one
        for place, one in enumerate(judged.pairs)
    )
    found = controlled(Judgements(blank, "ours"), weights={"ours": OWN}, names=["ours"], difficulty=difficulty)
    assert found.win_rate == pytest.approx(
        controlled(judged, weights={"ours": OWN}, names=["ours"], difficulty=difficulty).win_rate
    )


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_handful_of_pairs_gives_a_number(count):
    judged, _ = world(count=count)
    assert 0 < controlled(judged, resamples=20).win_rate < 100


def test_the_fit_meets_the_conditions_of_the_penalised_minimum():
    judged, _ = world(count=80)
    features = np.column_stack([np.linspace(-1, 1, 80), np.ones(80)])
    rows, held = SoftRows(features, judged.shares, np.ones(80)), regulariser(with_difficulty=False)
    weights = fit(rows, held, strength=2.0)
    slope = rows.slope(weights) + held.slope(weights)
    assert slope == pytest.approx(-np.sign(weights) / 2.0, abs=1e-4)
    assert refit(rows, held, weights, strength=2.0) == pytest.approx(weights, abs=1e-4)


def test_a_strong_penalty_is_not_chosen_where_there_is_a_clear_effect():
    _, difficulty = world(count=300)
    features = np.column_stack([np.zeros(300), list(difficulty.values()), np.ones(300)])
    rows = SoftRows(features, expit(features @ [0, 0.8, -2.0]), np.ones(300))
    assert best_strength(rows, regulariser(with_difficulty=True)) > 1


@pytest.mark.parametrize("strength", [20.0, 150.0, 1e3, 1e4])
def test_a_weak_penalty_is_fitted_to_its_minimum(strength):
    """There the slope of the loss is at most the penalty's: a fit that stops before depends on the processor."""
    judged, difficulty = world(count=805)
    lengths = tanh_lengths([pair.reference for pair in judged.pairs], [pair.answer for pair in judged.pairs])
    hard = [difficulty[pair.instruction] for pair in judged.pairs]
    rows = SoftRows(np.column_stack([lengths, hard, np.ones(805)]), judged.shares, np.ones(805))
    held = regulariser(with_difficulty=True)
    slope = rows.plus(held).slope(fit(rows, held, strength=strength))
    assert np.abs(slope).max() <= 1 / strength + 2e-3


def stored(tmp_path, rows, predictions):
    with (tmp_path / "weights.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([HEAD, *rows])
    (tmp_path / "with.json").write_text(json.dumps(predictions), "utf-8")
    return read_weights(tmp_path / "weights.csv"), tmp_path / "with.json"


def test_difficulties_follow_from_stored_predictions(tmp_path):
    predictions = [
        {"instruction": f"q{number}", "generator_2": "m", "glm_preference": float(expit(0.5 * hard - 1))}
        for number, hard in enumerate([-2.0, 0.0, 3.5])
    ]
    weights, path = stored(tmp_path, [["m", -1, 0.5, -1]], predictions)
    assert read_difficulty(path, weights) == pytest.approx({"q0": -2.0, "q1": 0.0, "q2": 3.5})


def test_difficulties_are_read_from_a_table_and_never_by_row_number(tmp_path):
    (tmp_path / "d.csv").write_text('instruction,difficulty\n"What, then?",1.5\nWho?,-2\n', "utf-8")
    assert read_difficulty(tmp_path / "d.csv") == {"What, then?": 1.5, "Who?": -2.0}
    (tmp_path / "rows.csv").write_text(",instruction_difficulty\n0,1.5\n1,-2\n", "utf-8")
    with pytest.raises(DataError, match="by their row"):
        read_difficulty(tmp_path / "rows.csv")


PREDICTED = {"instruction": "q", "generator_2": "m", "glm_preference": 0.5}


@pytest.mark.parametrize(
    ("row", "predicted", "told"),
    [
        (["m", -1, 0.5, -1], {"instruction": "q", "generator_2": "m"}, "no row has a glm_preference"),
        (["x", -1, 0.5, -1], PREDICTED, "weights of 'm'"),
        (["m", -1, 0, -1], PREDICTED, "no weight on difficulty"),
        (["m", -1, 0.5, -1], PREDICTED | {"glm_preference": 1}, "row 1: glm_preference"),
    ],
)
def test_what_is_wrong_with_difficulties_is_told(tmp_path, row, predicted, told):
    weights, path = stored(tmp_path, [row], [predicted])
    with pytest.raises(DataError, match=told):
        read_difficulty(path, weights)


def test_a_weights_file_of_another_kind_is_told(tmp_path):
    (tmp_path / "w.csv").write_text(",win_rate\nm,1\n", "utf-8")
    with pytest.raises(DataError, match="no column"):
        read_weights(tmp_path / "w.csv")


@pytest.fixture(scope="module")
def benchmark_files():
    weights = read_weights(DATA / "weights" / f"{JUDGE}.csv")
    with_predictions = DATA / "results" / "vicuna-7b-v1.5" / JUDGE / JUDGE / "annotations.json.gz"
    boards = {path.stem: read_leaderboard(path) for path in (DATA / "leaderboards").glob("*.csv")}
    return weights, read_difficulty(with_predictions, weights), boards


@needs_data
@pytest.mark.parametrize("path", sorted(DATA.glob("results/**/*.gz")), ids=lambda path: "-".join(path.parts[-4:-1]))
def test_published_numbers_come_out(path, benchmark_files):
    weights, difficulty, boards = benchmark_files
    name, judge = path.relative_to(DATA / "results").parts[:2]
    published = boards[judge][name]
    folders = tuple(folder.name for folder in path.parents)
    found = summarise(read_annotations(path), weights=weights, names=folders, difficulty=difficulty, resamples=0)
    assert found.rate.win_rate == pytest.approx(published["win_rate"], abs=1e-6)
    assert found.rate.standard_error == pytest.approx(published["standard_error"], abs=1e-6)
    assert (found.rate.n, found.rate.wins) == (published["n_total"], published["n_wins"])
    # NullModel's published value is not that of its published weights; the other judge's weights are not stored.
    near = 1e-3 if name != "NullModel" and found.length.method == "stored weights" else 0.15
    assert found.length.win_rate == pytest.approx(published["length_controlled_winrate"], abs=near)
    refitted = summarise(found.judged, difficulty=difficulty, resamples=0).length
    assert refitted.method == "fitted"
    assert refitted.win_rate == pytest.approx(published["length_controlled_winrate"], abs=0.15)


@needs_data
def test_the_constant_answers_of_the_null_model_are_told():
    path = DATA / "results" / "NullModel" / JUDGE / "annotations.json.gz"
    assert "100% of the answers are one and the same text" in summarise(read_annotations(path), resamples=0).notes[0]
