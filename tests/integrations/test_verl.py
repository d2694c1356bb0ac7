"""The real verl: the same rewards give the same advantages as ours, through its own functions and its own data path.

Not tested, for want of a GPU: its workers for actor, critic and reference, and the servers of vLLM and SGLang.
"""

import asyncio
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

os.environ.setdefault("VERL_USE_EXTERNAL_MODULES", "spanwise.integrations.verl")
if find_spec("verl") is None:
    pytest.skip("verl is not installed; `make test-engines` installs it", allow_module_level=True)

from integrations.verl_oracle import oracle_pipeline
from omegaconf import OmegaConf
from tensordict import TensorDict
from verl import DataProto
from verl.experimental.agent_loop.agent_loop import AgentLoopMetrics, AgentLoopOutput
from verl.trainer.ppo.ray_trainer import compute_advantage
from verl.trainer.ppo.v1.utils import compute_advantage_for_multi_trajectories

from spanwise.core import DataError
from spanwise.feedback import PromptRecord
from spanwise.integrations import doctor, registry
from spanwise.integrations.estimators import ESTIMATORS
from spanwise.integrations.registry import row_of
from spanwise.integrations.verl import DROPPED, TOKEN_REWARDS, DenseOutput, SpanwiseRewardManager
from spanwise.models import Policy
from spanwise.rl.algorithms import dense_advantages, masked_gae, masked_normalize
from spanwise.sim.model import base_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore")

LENGTHS = [12, 7, 5, 9, 3, 12, 8, 1]
UIDS = np.array(["a"] * 4 + ["b"] * 4, dtype=object)
GROUPS = torch.tensor([0] * 4 + [1] * 4)
KEYS = [f"{uid}_{i}_0" for i, uid in enumerate(UIDS)]
DENSE = ("gae", "reinforce_plus_plus", *ESTIMATORS)


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(12) < torch.tensor(LENGTHS)[:, None]
    mask[0, 4:6] = mask[3, 2] = False  # what tools wrote
    rewards = torch.randn(8, 12, generator=generator) * (torch.rand(8, 12, generator=generator) < 0.4) * mask
    return rewards, torch.randn(8, 12, generator=generator), mask


def proto(rewards, values, mask, uids=UIDS):
    fields = {"token_level_rewards": rewards, "response_mask": mask.float(), "values": values}
    return DataProto(batch=TensorDict(fields, batch_size=8), non_tensor_batch={"uid": uids})


def config(**changes):
    return OmegaConf.create({"norm_adv_by_std_in_grpo": True, "gamma": 1.0, "gpg": {}, **changes})


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.99, 1.0), (0.9, 0.5)])
def test_gae_is_ours_but_for_the_constant_of_its_whitening(gamma, lam):
    rewards, values, mask = batch()
    found = compute_advantage(proto(rewards, values, mask), "gae", gamma=gamma, lam=lam, config=config())
    ours = masked_gae(rewards, values, mask, gamma=gamma, gae_lambda=lam)
    torch.testing.assert_close(found.batch["returns"][mask], ours.returns[mask], rtol=0, atol=1e-5)
    count = int(mask.sum())
    expected = masked_normalize(ours.advantages, mask) * ((count - 1) / count) ** 0.5
    torch.testing.assert_close(found.batch["advantages"][mask], expected[mask], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "what"), ESTIMATORS.items())
@pytest.mark.parametrize("changes", [{}, {"gamma": 0.9, "norm_adv_by_std_in_grpo": False}])
def test_our_estimators_through_verls_trainer(name, what, changes):
    rewards, values, mask = batch()
    found = compute_advantage_for_multi_trajectories(
        proto(rewards, values, mask), batch_keys=KEYS, adv_estimator=name, config=config(**changes)
    )
    estimator, match = what
    divide = changes.get("norm_adv_by_std_in_grpo", True)
    settings = {"estimator": estimator, "match": match, "gamma": changes.get("gamma", 1.0), "divide_by_std": divide}
    expected = dense_advantages(rewards, mask, GROUPS, **settings)
    assert torch.equal(found.batch["advantages"], expected.advantages)
    assert torch.equal(found.batch["returns"], expected.returns)


@pytest.mark.parametrize("estimator", ["grpo", "rloo"])
def test_one_reward_at_the_end_is_verls_own_advantage(estimator):
    rewards, values, mask = batch()
    last = torch.zeros_like(rewards)
    for row in range(8):
        last[row, int(mask[row].nonzero().max())] = rewards[row].sum()
    own, ours = (
        compute_advantage_for_multi_trajectories(
            proto(last, values, mask), batch_keys=KEYS, adv_estimator=name, config=config()
        ).batch["advantages"]
        for name in (estimator, f"spanwise_{estimator}")
    )
    torch.testing.assert_close(ours[mask], own[mask], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "name", [*DENSE, "grpo", "rloo", "opo", "gpg", "reinforce_plus_plus_baseline", "grpo_vectorized", "rloo_vectorized"]
)
def test_the_table_of_what_is_kept_and_what_is_added_up(name):
    """docs/guides/engines.md and the doctor say which estimators give every token its own advantage."""
    rewards, values, mask = batch()
    found = compute_advantage(proto(rewards, values, mask), name, config=config()).batch["advantages"]
    distinct = max(len({round(x, 4) for x in row[counts].tolist()}) for row, counts in zip(found, mask, strict=True))
    assert (distinct > 1) == (name in DENSE)
    assert (name in doctor.COLLAPSING) == (name not in DENSE)


def test_a_reward_that_the_mask_would_lose_stops_our_estimators():
    rewards, values, mask = batch()
    rewards[0, 4] = 5.0
    with pytest.raises(DataError, match="Response 0, token 4: a reward of 5"):
        compute_advantage(proto(rewards, values, mask), "spanwise_grpo", config=config())


def test_a_response_alone_learns_nothing_where_verls_grpo_pays_its_whole_reward():
    rewards, values, mask = batch(seed=3)
    uids = np.array(["a"] * 7 + ["b"], dtype=object)
    own, ours = (
        compute_advantage(proto(rewards, values, mask, uids), name, config=config()).batch["advantages"][7, 0]
        for name in ("grpo", "spanwise_grpo")
    )
    assert float(ours) == 0.0
    assert float(own) == pytest.approx(float(rewards[7].sum()), abs=1e-4)


def output_of(kind, ids, info, mask=None):
    plain = AgentLoopOutput(
        prompt_ids=[1, 2], response_ids=ids, response_mask=mask or [1] * len(ids), metrics=AgentLoopMetrics()
    )
    made = kind.model_construct(
        _fields_set=set(plain.model_fields_set), **{name: getattr(plain, name) for name in type(plain).model_fields}
    )
    made.reward_score = 0.25
    made.extra_fields["reward_extra_info"] = info
    return made


def test_what_is_stored_has_a_reward_on_every_token():
    info = {TOKEN_REWARDS: json.dumps([0.5, 0.0, -0.25]), DROPPED: 0.0}
    assert output_of(DenseOutput, [5, 6, 7], info).as_dict()["rm_scores"].tolist() == [0.5, 0.0, -0.25]
    assert output_of(AgentLoopOutput, [5, 6, 7], info).as_dict()["rm_scores"].tolist() == [0.0, 0.0, 0.25]


def test_an_answer_that_was_left_out_has_an_empty_mask():
    info = {TOKEN_REWARDS: json.dumps([0.0, 0.0]), DROPPED: 1.0}
    stored = output_of(DenseOutput, [5, 6], info).as_dict()
    assert stored["response_mask"].tolist() == [0, 0]
    assert stored["rm_scores"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("info", "mask", "says"),
    [
        ({}, None, "has a reward and no token rewards"),
        ({TOKEN_REWARDS: "[1.0]", DROPPED: 0.0}, None, "1 token rewards do not fit an answer of 2"),
        ({TOKEN_REWARDS: "[1.0, 2.0]", DROPPED: 0.0}, [1, 0], "token 1: a reward of 2"),
    ],
)
def test_what_would_be_lost_in_silence_is_an_error(info, mask, says):
    with pytest.raises(DataError, match=says):
        output_of(DenseOutput, [5, 6], info, mask).as_dict()


def test_the_reward_manager_says_what_was_wrong(monkeypatch, caplog):
    monkeypatch.setattr("spanwise.integrations.verl.rewards_of_environment", oracle_pipeline)
    settings = OmegaConf.create({"actor_rollout_ref": {"rollout": {"response_length": 8}}})
    manager = SpanwiseRewardManager(settings, Policy.load(base_checkpoint()).tokenizer, None)
    row = np.empty(1, dtype=object)
    row[0] = row_of(PromptRecord(prompt="nobody asked this"))
    tensors = {"responses": torch.tensor([[5, 6]]), "attention_mask": torch.ones(1, 4)}
    data = DataProto(
        batch=TensorDict(tensors, batch_size=1), non_tensor_batch={"extra_info": row, "response_len": np.array([2])}
    )
    with pytest.raises(DataError, match="The oracle knows no item"):
        asyncio.run(manager.run_single(data))
    assert "Spanwise could not score an answer: The oracle knows no item" in caplog.text


def run_path(tmp_path, estimator, *, modules="spanwise.integrations.verl,integrations.verl_oracle", rewards="any"):
    """What `verl_path` found, and under "said" what it and the processes of Ray printed."""
    tests = Path(__file__).parents[1]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent / "src"), *sys.path]),
        "VERL_USE_EXTERNAL_MODULES": modules,
        registry.REWARDS_FILE: rewards,
        "HOME": str(tmp_path),  # Ray leaves a token there
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TMPDIR": "/tmp",
        "RAY_worker_niceness": "0",  # by default 15, with which workers on a busy machine import for minutes
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "integrations.verl_path", str(tmp_path), estimator],
        env=environment, capture_output=True, text=True, cwd=tests, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return {**json.loads((tmp_path / "result.json").read_text()), "said": done.stdout + done.stderr}


@pytest.mark.parametrize("estimator", ["grpo", "rloo"])
def test_the_whole_path_from_prompt_to_advantage(tmp_path, estimator):
    found = run_path(tmp_path, estimator)
    assert found["trajectories"] == 8
    assert found["rewards"] == 0.0
    assert found["advantages"] == 0.0
    assert found["distinct"] > 2


def test_a_plug_in_that_fails_in_a_worker_leaves_no_answer_without_its_rewards(tmp_path):
    found = run_path(tmp_path, "grpo", modules="spanwise.integrations.verl", rewards=str(tmp_path / "missing.yaml"))
    assert found["trajectories"] == 0
    assert "missing.yaml: cannot be read" in found["said"]


def test_the_doctor_finds_the_plug_in_in_a_process_of_ray(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VERL_USE_EXTERNAL_MODULES", "spanwise.integrations.verl")
    monkeypatch.delenv(registry.REWARDS_FILE, raising=False)
    found = list(doctor.examine_verl(None))
    bad = [finding.sentence for finding in found if finding.verdict == "bad"]
    assert bad == ["SPANWISE_REWARDS names no file; export it as the rewards.yaml of the run."]
    assert "A process of Ray knows spanwise_grpo." in [finding.sentence for finding in found]
    assert "A process of Ray knows the agent loop." in [finding.sentence for finding in found]
