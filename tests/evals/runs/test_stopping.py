import json

import pytest

from spanwise.evals.report.report import render_report
from spanwise.evals.runs.folders import read_run
from spanwise.evals.runs.stopping import stop_sentence


def write(folder, totals, *, prompts=12, steps=(0, 10, 20)):
    """A run whose held-out reward has these means, the same spread over prompts at every step."""
    folder.mkdir()
    rows = [{"step": step, "eval/reward/total": total} for step, total in zip(steps, totals, strict=True)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    samples = [
        {"step": step, "prompt": f"q{n}", "response": "a b", "tokens": ["a"], "token_scores": [total + n % 3 / 10]}
        for step, total in zip(steps, totals, strict=True)
        for n in range(prompts)
    ]
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in samples))
    return folder


def told(folder):
    return stop_sentence("run", read_run(folder, "run"))


@pytest.mark.parametrize(
    ("totals", "wanted"),
    [
        ((0.0, 2.0, 1.0), "step 10 of 20 is the best; from there to the last it moved by \N{MINUS SIGN}1 ["),
        ((0.0, 1.0, 2.0), "the last step, 20, is the best"),
    ],
)
def test_the_own_reward_stands_in_where_there_is_no_gold_score(tmp_path, totals, wanted):
    found = told(write(tmp_path / "run", totals))
    assert wanted in found
    assert "no gold score in the folder" in found
    assert found.endswith("stop there.") == (totals[1] > totals[2])


def test_the_curve_over_all_prompts_is_not_contradicted_where_its_best_step_is_the_last(tmp_path):
    folder = write(tmp_path / "run", (0.0, 2.0, 1.0))
    rows = [{"step": step, "eval/reward/total": total} for step, total in ((0, 0.0), (10, 2.0), (20, 2.5))]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert told(folder).endswith(
        "the last step, 20, is the best on all held-out prompts (step 10 on those 12): "
        "nothing speaks for stopping earlier."
    )


def test_too_few_answers_are_said_and_other_runs_are_left_alone(tmp_path):
    few = told(write(tmp_path / "few", (0.0, 1.0, 0.0), prompts=3))
    assert "no step to stop at can be given" in few
    assert "3 held-out prompts at 3 evaluations" in few
    (tmp_path / "sft").mkdir()
    (tmp_path / "sft" / "metrics.jsonl").write_text('{"step": 1, "sft/loss": 2.0}\n')
    assert told(tmp_path / "sft") == ""


def test_a_saved_gold_score_decides_and_its_age_is_told(tmp_path):
    folder = write(tmp_path / "run", (0.0, 2.0, 1.0))
    saved = {
        "gold": "the oracle",
        "verdict": "x: the gold score is highest at step 5 of 10; stop there.",
        "last_step": 10,
    }
    (folder / "over_optimisation.json").write_text(json.dumps(saved))
    assert told(folder) == (
        "run: the gold score is highest at step 5 of 10; stop there. Gold: the oracle. "
        "The run went on to step 20 since; measure it again."
    )
    assert "Gold: the oracle." in render_report([folder])
    (folder / "over_optimisation.json").write_text("[]")
    assert "save it again" in read_run(folder, "run").problems[0]
