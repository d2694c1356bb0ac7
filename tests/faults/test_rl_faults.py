"""Training runs that are killed, that find damaged states or a full disk: nothing is lost, nothing is mixed up."""

import dataclasses
import errno
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from doubles.rl_world import PROMPTS, ScriptedSource, pay_each, pipeline_of, small_trainer, word_policy

from spanwise.core.errors import CheckpointError, ConfigError, DataError
from spanwise.rl.runtime import states

TESTS = Path(__file__).parents[1]
PATHS = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))


def run_of(folder):
    """What a run left behind, but for the seconds it took."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    metrics = [{k: v for k, v in json.loads(line).items() if not k.startswith("time/")} for line in lines]
    weights = {name: (folder / "checkpoints" / name / "model.safetensors").read_bytes() for name in ("best", "last")}
    return metrics, (folder / "samples.jsonl").read_text(), weights


def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "doubles.kill_and_resume", str(tmp_path)],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": PATHS},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 4
    unbroken = run_of(tmp_path / "unbroken")
    assert [row["step"] for row in unbroken[0]] == [0, 1, 2, 3, 4]
    for name in ("calls", "times"):
        assert run_of(tmp_path / name) == unbroken
        left = {path.name for path in (tmp_path / name / "checkpoints").iterdir()}
        assert left == {"best", "last", "step-000003", "step-000004"}


class NoteTaker:
    """Remembers what a run had to say."""

    def __init__(self):
        self.notes = []

    def stepped(self, step, metrics):
        pass

    def evaluated(self, step, metrics):
        pass

    def noted(self, sentence):
        self.notes.append(sentence)


class StoppedError(Exception):
    """Stops a run in the middle."""


def stopped_after(folder, steps, **settings):
    """A run of `steps` + 1 steps that stopped after `steps`, as if killed there."""
    trainer = small_trainer(folder, steps=steps + 1, training_states={"every": 1}, **settings)
    whole = trainer.step

    def step(number):
        if number > steps:
            raise StoppedError
        return whole(number)

    trainer.step = step
    with pytest.raises(StoppedError):
        trainer.run()


def resumed(folder, steps, **settings):
    taker = NoteTaker()
    trainer = small_trainer(folder, steps=steps, training_states={"every": 1}, progress=taker, **settings)
    return trainer.run(resume=True), taker.notes


@pytest.fixture(scope="module", name="whole")
def what_a_run_of_three_steps_leaves(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    small_trainer(folder, steps=3, training_states={"every": 1}).run()
    return run_of(folder)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("tensors.safetensors", "flipped"),
        ("tensors.safetensors", "cut"),
        ("numbers.json", "gone"),
        ("checksums.json", "cut"),
    ],
)
def test_a_damaged_state_is_named_and_the_one_before_it_used(tmp_path, whole, name, damage):
    stopped_after(tmp_path / "run", 2)
    path = tmp_path / "run" / "checkpoints" / "step-000002" / name
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    _, notes = resumed(tmp_path / "run", 3)
    assert "step-000002: damaged" in notes[0]
    assert "goes on after step 1 of 3" in notes[1]
    assert run_of(tmp_path / "run") == whole


def test_a_run_without_any_state_begins_again(tmp_path, whole):
    stopped_after(tmp_path, 2)
    for path in (tmp_path / "checkpoints").glob("step-*/numbers.json"):
        path.write_text("{")
    resumed(tmp_path, 3)
    assert run_of(tmp_path) == whole


def test_a_finished_run_is_told_again_and_not_run_again(tmp_path):
    first, _ = resumed(tmp_path, 2)
    before = run_of(tmp_path)
    again, notes = resumed(tmp_path, 2)
    assert again == first
    assert run_of(tmp_path) == before
    assert "goes on after step 2 of 2" in notes[0]


def test_a_finished_run_goes_on_where_it_is_given_more_steps(tmp_path):
    resumed(tmp_path, 2)
    result, notes = resumed(tmp_path, 3)
    assert "goes on after step 2 of 3" in notes[0]
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2, 3]
    assert "steps: 3" in (tmp_path / "config.yaml").read_text()
    assert rows[-1]["eval/reward/total"] == result.last_reward
    with pytest.raises(ConfigError, match=r"steps \(3 there, 2 here\)"):
        resumed(tmp_path, 2)


def test_a_run_with_other_settings_is_refused_with_their_names_and_left_alone(tmp_path):
    stopped_after(tmp_path, 1)
    before = (tmp_path / "metrics.jsonl").read_bytes()
    words = "ppo.gae_lambda (0.95 there, 0.5 here), seed (0 there, 1 here)"
    with pytest.raises(ConfigError, match=re.escape(words)):
        resumed(tmp_path, 2, seed=1, ppo={"gae_lambda": 0.5})
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"policy": lambda: word_policy(seed=1)}, "policy changed"),
        ({"prompts": lambda: PROMPTS[:5]}, "prompts changed"),
        ({"pipeline": lambda: pipeline_of(ScriptedSource(pay_each, version="2"))}, "reward source script changed"),
    ],
)
def test_a_run_that_started_from_something_else_is_refused(tmp_path, changed, words):
    stopped_after(tmp_path, 1)
    with pytest.raises(CheckpointError, match=words):
        resumed(tmp_path, 2, **{name: make() for name, make in changed.items()})


def test_a_folder_with_a_log_but_no_config_is_refused(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 0}\n')
    with pytest.raises(ConfigError, match=r"no config\.yaml"):
        resumed(tmp_path, 2)


def test_how_often_states_are_kept_may_change(tmp_path):
    stopped_after(tmp_path, 1)
    taker = NoteTaker()
    trainer = small_trainer(tmp_path, steps=2, training_states={"every": 2, "keep": 1}, progress=taker)
    trainer.run(resume=True)
    assert "goes on after step 1" in taker.notes[0]
    assert [path.name for path in (tmp_path / "checkpoints").glob("step-*")] == ["step-000002"]


def full_disk(*_args, **_options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_said_and_the_state_before_stays(tmp_path, monkeypatch, whole):
    trainer = small_trainer(tmp_path, steps=3, training_states={"every": 1})
    go = trainer.step

    def step(number):
        if number == 3:
            monkeypatch.setattr(states, "save_file", full_disk)
        return go(number)

    trainer.step = step
    with pytest.raises(CheckpointError, match=r"step-000003: cannot be written .*No space left.*; make room"):
        trainer.run()
    monkeypatch.undo()
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {
        "best",
        "last",
        "step-000001",
        "step-000002",
    }
    resumed(tmp_path, 3)
    assert run_of(tmp_path) == whole


def test_a_log_that_has_no_room_is_said(tmp_path, monkeypatch):
    trainer = small_trainer(tmp_path, steps=1)
    whole = Path.open

    def refuse(self, mode="r", **options):
        return full_disk() if mode == "a" else whole(self, mode, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"samples.jsonl: cannot be written \(no space left on device\); make room"):
        trainer.run()


def test_a_write_that_the_system_breaks_off_leaves_what_was_there(tmp_path):
    """A real limit on file sizes, which reaches the writers below Python as well."""
    policy = word_policy()
    store = states.StateStore(tmp_path, keep=2, say=print)
    state = states.TrainingState(1, dict(policy.model.named_parameters()), {})
    store.save(state)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(CheckpointError, match=r"step-000002: cannot be written \(.*[Tt]oo large.*\); make room"):
            store.save(dataclasses.replace(state, step=2))
        with pytest.raises(CheckpointError, match=r"best: cannot be written \(.*[Tt]oo large.*\); make room"):
            policy.save(tmp_path / "best")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["step-000001"]
    assert store.newest().step == 1
