import json

import pytest
from doubles.experiment import write_experiment, write_lines, write_run

from spanwise.core.errors import DataError
from spanwise.evals.report.report import render_report
from spanwise.evals.runs.folders import read_run, read_study, unlearned


def test_a_run_is_read_as_it_was_written(tmp_path):
    write_run(tmp_path / "run", steps=6)
    run = read_study(tmp_path / "run").runs["run"][0]
    assert [step for step, _ in run.curves["reward/total"]] == [1, 2, 3, 4, 5, 6]
    assert run.curves["optimizer/learning_rate"][0] == (1, None)
    assert {row.step for row in run.samples} == {0, 3, 6}
    assert "steps: 6" in run.config
    assert run.problems == ()


def test_an_experiment_has_its_arms_seeds(tmp_path):
    write_experiment(tmp_path, seeds=(0, 1), prompts=8, steps=3)
    study = read_study(tmp_path)
    assert study.results is not None
    assert {arm: len(runs) for arm, runs in study.runs.items()} == {
        "preference": 2,
        "fine-grained": 2,
        "without-relevance": 2,
    }


def test_damage_is_counted_and_the_rest_is_read(tmp_path):
    write_lines(
        tmp_path / "metrics.jsonl", [{"step": 1, "reward/total": 1.0, "note": "text", "flag": True}, {"x": 1.0}]
    )
    with (tmp_path / "metrics.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('[1, 2]\n{"step": 2, "reward/total": NaN}\n{"step": 1, "reward/total": 2.0}\n{"step": 3, "rew')
    write_lines(tmp_path / "samples.jsonl", [{"step": 1, "prompt": "q"}, {"step": 1, "prompt": "q", "response": "r"}])
    run = read_run(tmp_path, "run")
    assert run.curves == {"reward/total": ((1, 2.0), (2, None))}  # the later line of a step counts
    assert len(run.samples) == 1
    assert [problem.partition(": ")[2] for problem in run.problems] == [
        "2 lines were not readable and left out, the first is line 3.",
        "1 line was without a step and left out.",
        "1 line was no sample of the known form and left out.",
    ]


def test_a_run_may_keep_results_of_its_own_shape(tmp_path):
    write_run(tmp_path, steps=2)
    (tmp_path / "results.json").write_text(json.dumps({"best_step": 2}), "utf-8")
    assert read_study(tmp_path).results is None


@pytest.mark.parametrize(("make", "words"), [(False, "no such folder"), (True, "holds neither")])
def test_a_folder_that_is_no_run_is_refused(tmp_path, make, words):
    folder = tmp_path / "nothing"
    if make:
        folder.mkdir()
    with pytest.raises(DataError, match=words):
        read_study(folder)


def test_a_results_file_that_is_no_experiment_is_refused_by_field(tmp_path):
    (tmp_path / "results.json").write_text("{}", "utf-8")
    with pytest.raises(DataError, match=r"results\.json: title"):
        read_study(tmp_path)


def write_rewards(folder, rewards):
    folder.mkdir(parents=True)
    rows = [{"step": step, "eval/reward/total": reward} for step, reward in enumerate(rewards)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize(
    ("rewards", "nothing"),
    [([1.0, 0.5, 1.0], True), ([1.0, None], True), ([1.0, 1.1, 0.2], False), ([1.0], False), ([None, 0.5], False)],
)
def test_a_run_whose_best_step_is_its_first_learned_nothing(tmp_path, rewards, nothing):
    write_rewards(tmp_path / "run", rewards)
    run = read_run(tmp_path / "run", "run")
    assert run.learned_nothing == nothing
    assert bool(unlearned({"run": [run]})) == nothing
    page = render_report([tmp_path / "run"])
    assert ("nothing was learned: the best checkpoint is the start policy" in page) == nothing


def test_no_arm_is_better_by_runs_that_learned_nothing(tmp_path):
    results = write_experiment(tmp_path)
    better = [c.arm for c in results.comparisons if c.verdict == "better"]
    assert "fine-grained" in better
    for seed in (0, 1, 2):
        rows = [{"step": step, "eval/reward/total": 1.0 - step} for step in (0, 5)]
        path = tmp_path / "fine-grained" / f"seed-{seed}" / "metrics.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    study = read_study(tmp_path)
    now = [c.arm for c in study.results.comparisons if c.verdict == "better"]
    assert now == [arm for arm in better if arm != "fine-grained"]
    assert "Fine-grained RLHF (seed-2): nothing was learned" in render_report([tmp_path])
