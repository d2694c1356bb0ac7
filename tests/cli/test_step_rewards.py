"""From TRL's stepwise rows to a process reward model: imported, learned, scored and written, by commands."""

import itertools
import json

import yaml
from doubles.reward_world import tiny_bert
from typer.testing import CliRunner

from spanwise.cli import app

RIGHT, WRONG = "the house was called red .", "some people said monday too ."


def rows():
    """Every solution of two and of three steps; a step is wrong where it names a day."""
    steps = {True: RIGHT, False: WRONG}
    for length in (2, 3):
        for number, labels in enumerate(itertools.product((True, False), repeat=length)):
            completions = [steps[label] for label in labels]
            yield {"prompt": f"what was house {length} {number} ?", "completions": completions, "labels": list(labels)}


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def test_stepwise_rows_train_a_model_that_scores_each_step_and_come_back_as_they_were(tmp_path):
    stepwise, marks = tmp_path / "steps.jsonl", tmp_path / "marks.jsonl"
    stepwise.write_text("".join(f"{json.dumps(row)}\n" for row in rows()))
    run("feedback", "convert", stepwise, "--from", "trl-stepwise", "--to", "spanwise", "-o", marks)
    for part in tiny_bert():
        part.save_pretrained(tmp_path / "backbone")
    config = {
        "data": [str(marks)], "backbone": str(tmp_path / "backbone"), "run_dir": str(tmp_path / "run"),
        "heads": ["steps"], "custom": {"steps": {"density": "paragraph", "categories": ["Wrong-Step"]}},
        "fitting": {"epochs": 30, "learning_rate": 0.01}, "device": "cpu",
    }  # fmt: skip
    (tmp_path / "steps.yaml").write_text(yaml.safe_dump(config))
    run("reward", "train", tmp_path / "steps.yaml")
    asked = {"prompt": "what was house 9 ?", "response": f"{RIGHT}\n\n{WRONG}\n\n{RIGHT}"}
    (tmp_path / "answers.jsonl").write_text(json.dumps(asked) + "\n")
    best = tmp_path / "run" / "checkpoints" / "best"
    (line,) = run("reward", "score", best, tmp_path / "answers.jsonl", "--device", "cpu", "--json").splitlines()
    scored = json.loads(line)
    assert [step["text"].strip() for step in scored["scores"]["steps"]] == [RIGHT, WRONG, RIGHT]
    first, second, third = (step["value"] for step in scored["scores"]["steps"])
    assert second < 0 < min(first, third)
    run("feedback", "convert", marks, "--to", "trl-stepwise", "-o", tmp_path / "again.jsonl")
    assert [json.loads(line) for line in (tmp_path / "again.jsonl").read_text().splitlines()] == list(rows())
