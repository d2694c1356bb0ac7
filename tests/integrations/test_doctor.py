"""The doctor names what a run in verl would lose, without verl itself."""

import copy
import subprocess

import pytest
from typer.testing import CliRunner

from spanwise.cli.engines import app
from spanwise.integrations import doctor

GOOD = {
    "algorithm": {"adv_estimator": "spanwise_grpo"},
    "reward": {
        "reward_manager": {"name": "SpanwiseRewardManager", "module": {"path": "pkg://spanwise.integrations.verl"}},
        "reward_model": {"enable": False},
        "custom_reward_function": {"path": None},
    },
    "actor_rollout_ref": {"rollout": {"agent": {"default_agent_loop": "spanwise_single_turn"}}},
    "transfer_queue": {"backend": {"SimpleStorage": {"num_data_storage_units": 8}}},
}


def changed(path, value):
    config = copy.deepcopy(GOOD)
    section = config
    *sections, last = path.split(".")
    for name in sections:
        section = section[name]
    section[last] = value
    return config


def complaints(config, cpus=16):
    return [finding.sentence for finding in doctor.examine_run(config, cpus) if finding.verdict != "good"]


def test_a_good_run_has_no_complaints():
    assert complaints(GOOD) == []


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("algorithm.adv_estimator", "grpo", "adds up the rewards"),
        ("algorithm.adv_estimator", "rloo_vectorized", "adds up the rewards"),
        ("reward.reward_manager.name", "naive", "no token rewards"),
        ("reward.reward_manager.module.path", "pkg://other", "no token rewards"),
        ("reward.reward_model.enable", True, "goes past the reward manager"),
        ("reward.custom_reward_function.path", "f.py", "is not asked"),
        ("actor_rollout_ref.rollout.agent.default_agent_loop", "single_turn_agent", "keeps the sum alone"),
    ],
)
def test_what_would_lose_token_rewards_is_named(path, value, says):
    (found,) = complaints(changed(path, value))
    assert says in found


def test_too_few_cpus_for_the_queue():
    assert "waits for ever" in complaints(GOOD, cpus=4)[0]
    assert complaints(changed("transfer_queue.backend.SimpleStorage.num_data_storage_units", 1), cpus=4) == []


def test_without_verl_it_says_so_and_fails(monkeypatch):
    def absent(engine):
        raise doctor.ConfigError(f"{engine} is not installed; install it with: pip install '{engine}==0.9.1'")

    monkeypatch.setattr(doctor, "check_version", absent)
    result = CliRunner().invoke(app, ["doctor", "verl"])
    assert result.exit_code == 2
    assert "pip install 'verl==0.9.1'" in result.stdout


def test_what_a_plain_installation_of_verl_lacks_is_named(monkeypatch):
    monkeypatch.setattr(doctor, "check_version", lambda engine: "0.9.1")
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name in ("cachetools", "fastapi") else name)
    assert [finding.sentence for finding in doctor.examine_verl(None)][1:] == [
        "verl lacks fastapi, cachetools; install them with: pip install 'verl[verl-core]'"
    ]


def test_a_plug_in_that_fails_at_import_is_named_before_a_worker_hides_it(monkeypatch):
    def broken(name):
        raise RuntimeError("its model is not there")

    monkeypatch.setattr(doctor, "check_version", lambda engine: "0.9.1")
    monkeypatch.setattr(doctor, "find_spec", lambda name: name)
    monkeypatch.setattr(doctor.importlib, "import_module", broken)
    last = list(doctor.examine_verl(None))[-1]
    assert last == ("bad", "spanwise.integrations.verl fails at import: RuntimeError: its model is not there")


def test_a_ray_that_never_answers_is_told(monkeypatch):
    def silent(command, *, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(doctor.subprocess, "run", silent)
    assert list(doctor._worker()) == [
        ("bad", "No process of Ray answered within 10 minutes; look into /tmp/ray."),
    ]


@pytest.mark.parametrize(
    ("said", "complaints"),
    [
        ("", ["Ray did not start, or its processes cannot import the plug-in: RuntimeError: its model is not there"]),
        (
            'KNOWN [["spanwise_grpo"], []]\n',
            ["A process of Ray lacks spanwise_rloo.", "A process of Ray lacks the agent loop."],
        ),
    ],
)
def test_a_plug_in_that_a_worker_lacks_is_named(monkeypatch, said, complaints):
    done = subprocess.CompletedProcess([], 1, stdout=said, stderr="Traceback\nRuntimeError: its model is not there\n")
    monkeypatch.setattr(doctor.subprocess, "run", lambda *_, **__: done)
    assert [finding.sentence for finding in doctor._worker() if finding.verdict == "bad"] == complaints
