"""The real SkyRL: dense estimators on its left-padded batches, and a generator whose token rewards arrive whole.

Not tested, for want of a GPU: its inference engines and workers.
"""

import asyncio
import types
import typing
from importlib.util import find_spec

import numpy as np
import pytest
import torch
import typing_extensions

typing.TypedDict = typing_extensions.TypedDict  # SkyRL 0.3.0 on Python 3.11, where pydantic refuses typing's own
if find_spec("skyrl") is None:
    pytest.skip("skyrl is not installed; `make test-engines` installs it", allow_module_level=True)

from integrations.verl_oracle import ITEMS, oracle_pipeline  # noqa: E402
from skyrl.backends.skyrl_train.utils import ppo_utils  # noqa: E402
from skyrl.train.dataset.preprocess import convert_prompts_responses_to_batch_tensors  # noqa: E402
from skyrl.train.generators.base import TrajectoryID  # noqa: E402
from skyrl.train.generators.skyrl_gym_generator import SkyRLGymGenerator  # noqa: E402
from skyrl.train.trainer import RayPPOTrainer  # noqa: E402

from spanwise.core import ConfigError, DataError, ScoringError  # noqa: E402
from spanwise.feedback import SegmentScores, Unscored  # noqa: E402
from spanwise.integrations.estimators import ESTIMATORS  # noqa: E402
from spanwise.integrations.registry import row_of  # noqa: E402
from spanwise.integrations.skyrl import REFUSED, SpanwiseGenerator  # noqa: E402
from spanwise.models import Policy  # noqa: E402
from spanwise.rewards import IdScorer, MixtureConfig, RewardPipeline, SourceWeight  # noqa: E402
from spanwise.rl.algorithms import dense_advantages  # noqa: E402
from spanwise.sim.habits import HABITS, write_answer  # noqa: E402
from spanwise.sim.model import base_checkpoint  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

LENGTHS = [12, 7, 5, 9, 3, 12, 8, 1]
UIDS = np.array(["a"] * 4 + ["b"] * 4)
GROUPS = torch.tensor([0] * 4 + [1] * 4)


def batch():
    """(rewards, mask), answers at the right as SkyRL has them."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.arange(12) >= 12 - torch.tensor(LENGTHS)[:, None]
    rewards = torch.randn(8, 12, generator=generator) * (torch.rand(8, 12, generator=generator) < 0.4)
    return rewards * mask, mask


def skyrls(name, rewards, mask, uids=UIDS, **settings):
    return ppo_utils.compute_advantages_and_returns(
        rewards.clone(), mask.float(), uids, name, types.SimpleNamespace(), values=None, **settings
    )


@pytest.mark.parametrize(("name", "what"), ESTIMATORS.items())
@pytest.mark.parametrize("settings", [{"gamma": 1.0}, {"gamma": 0.9, "grpo_norm_by_std": False}])
def test_our_estimators_on_left_padding(name, what, settings):
    rewards, mask = batch()
    found, returns = skyrls(name, rewards, mask, **settings)
    moved, counted = torch.zeros_like(rewards), torch.arange(12) < torch.tensor(LENGTHS)[:, None]
    moved[counted] = rewards[mask]
    estimator, match = what
    ours = dense_advantages(
        moved, counted, GROUPS, estimator=estimator, match=match, gamma=settings["gamma"],
        divide_by_std=settings.get("grpo_norm_by_std", True),
    )  # fmt: skip
    assert torch.equal(found[mask], ours.advantages[counted])
    assert torch.equal(returns[mask], ours.returns[counted])


@pytest.mark.parametrize("estimator", ["grpo", "rloo"])
def test_one_reward_at_the_end_is_skyrls_own_advantage(estimator):
    rewards, mask = batch()
    last = torch.zeros_like(rewards)
    last[:, -1] = rewards.sum(1)
    own, _ = skyrls(estimator, last, mask)
    ours, _ = skyrls(f"spanwise_{estimator}", last, mask)
    torch.testing.assert_close(ours[mask], own[mask], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "dense"),
    [(name, True) for name in (*ESTIMATORS, "reinforce++")] + [(name, False) for name in ("grpo", "rloo", "maxrl")],
)
def test_the_table_of_what_is_kept_and_what_is_added_up(name, dense):
    rewards, mask = batch()
    found, _ = skyrls(name, rewards, mask)
    distinct = max(len({round(x, 4) for x in row[counts].tolist()}) for row, counts in zip(found, mask, strict=True))
    assert (distinct > 1) == dense


def test_a_response_alone_learns_nothing_where_skyrls_grpo_pays_its_whole_reward():
    rewards, mask = batch()
    rewards[7, -1] = 2.0
    uids = np.array(["a"] * 7 + ["b"])
    assert float(skyrls("spanwise_grpo", rewards, mask, uids)[0][7, -1]) == 0.0
    assert float(skyrls("grpo", rewards, mask, uids)[0][7, -1]) == pytest.approx(2.0, abs=1e-4)


@pytest.fixture(scope="module")
def policy():
    return Policy.load(base_checkpoint())


def output_of(policy, **changes):
    """What SkyRL's generator gives for two prompts with two answers each."""
    generator = np.random.default_rng(0)
    texts = [" " + write_answer(item.truth, generator, HABITS) for item in ITEMS for _ in range(2)]
    ids = [[*policy.tokenizer(t, add_special_tokens=False)["input_ids"], policy.tokenizer.eos_token_id] for t in texts]
    return {
        "prompt_token_ids": [[1, 2]] * 4,
        "response_ids": ids,
        "rewards": [[0.0] * len(row) for row in ids],
        "loss_masks": [[1] * len(row) for row in ids],
        "stop_reasons": ["stop"] * 4,
        "rollout_metrics": {"x": 1.0},
        "rollout_logprobs": None,
        "trajectory_ids": [TrajectoryID(uid, n) for uid in "ab" for n in range(2)],
        **changes,
    }


def generator_of(policy, monkeypatch, output, pipeline=None, **settings):
    def start(self, **parts):
        self.generator_cfg, self.tokenizer = parts["generator_cfg"], parts["tokenizer"]

    async def generate(self, input_batch, *_, **__):
        return output

    monkeypatch.setattr(SkyRLGymGenerator, "__init__", start)
    monkeypatch.setattr(SkyRLGymGenerator, "generate", generate)
    config = types.SimpleNamespace(**{**dict.fromkeys(REFUSED, False), **settings})
    return SpanwiseGenerator(pipeline=pipeline or oracle_pipeline(), generator_cfg=config, tokenizer=policy.tokenizer)


EXTRAS = [row_of(item.record) for item in ITEMS for _ in range(2)]


def test_token_rewards_arrive_in_the_training_batch(policy, monkeypatch):
    output = output_of(policy)
    generator = generator_of(policy, monkeypatch, output)
    found = asyncio.run(generator.generate({"env_extras": EXTRAS, "batch_metadata": None}))
    records = [item.record for item in ITEMS for _ in range(2)]
    expected = IdScorer(policy.tokenizer, oracle_pipeline()).score_ids(output["response_ids"], records)
    for row, rewards in enumerate(found["rewards"]):
        assert rewards == expected.total[row, : len(rewards)].tolist()
        assert len(rewards) == len(output["response_ids"][row])
    assert found["rollout_metrics"]["share/oracle-clauses"] == pytest.approx(float(expected.total.sum(1).mean()))
    cfg = types.SimpleNamespace(
        generator=types.SimpleNamespace(
            step_wise_trajectories=False, merge_stepwise_output=False, n_samples_per_prompt=2
        ),
        trainer=types.SimpleNamespace(
            algorithm=types.SimpleNamespace(zero_variance_filter=False, zero_variance_filter_tol=0)
        ),
    )
    trainer = types.SimpleNamespace(cfg=cfg, all_metrics={})
    kept, _ = RayPPOTrainer.postprocess_generator_output(trainer, dict(found), ["a", "a", "b", "b"])
    tokenizer = types.SimpleNamespace(pad_token_id=0)
    tensors = convert_prompts_responses_to_batch_tensors(
        tokenizer, kept["prompt_token_ids"], kept["response_ids"], kept["rewards"], kept["loss_masks"], None, None
    )
    mask, rewards = tensors[2].bool(), tensors[3]
    for row in range(4):
        assert rewards[row][mask[row]].tolist() == found["rewards"][row]


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_lose_token_rewards_are_refused(policy, monkeypatch, name):
    with pytest.raises(ConfigError, match=f"generator.{name}=true"):
        generator_of(policy, monkeypatch, {}, **{name: True})


def test_tokens_of_tools_are_refused(policy, monkeypatch):
    output = output_of(policy)
    output["loss_masks"][1][2] = 0
    generator = generator_of(policy, monkeypatch, output)
    with pytest.raises(DataError, match="Answer 1: token 2 is masked"):
        asyncio.run(generator.generate({"env_extras": EXTRAS, "batch_metadata": None}))


def test_an_answer_that_cannot_be_scored_stops_the_run(policy, monkeypatch):
    class Silent:
        name = category = "silent"
        density, version = "sentence", "1"

        def score(self, samples):
            return [SegmentScores(missing=Unscored("no answer from the service"))] * len(samples)

    mixture = MixtureConfig(sources={"silent": SourceWeight(missing="mask")})
    generator = generator_of(policy, monkeypatch, output_of(policy), RewardPipeline([Silent()], mixture))
    with pytest.raises(ScoringError, match=r"Answer 0 .* SkyRL cannot leave an answer out"):
        asyncio.run(generator.generate({"env_extras": EXTRAS, "batch_metadata": None}))


def test_data_without_our_prompts_are_refused(policy, monkeypatch):
    generator = generator_of(policy, monkeypatch, output_of(policy))
    with pytest.raises(DataError, match="row 0 of the batch: has no 'record'"):
        asyncio.run(generator.generate({"env_extras": [{}] * 4, "batch_metadata": None}))
