"""The real TRL: its trainer learns from the same advantages, by the same loss and gradient, as ours.

Answers are given, not sampled, where numbers are compared (`rollout_func`), so that every trainer and every number of
processes sees the same ones.
"""

import json
import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

if find_spec("trl") is None:
    pytest.skip("trl is not installed; `make test-engines` installs it", allow_module_level=True)

import trl
from peft import LoraConfig
from transformers import AutoModelForCausalLM

from spanwise.core import ConfigError, DataError
from spanwise.feedback import SegmentScore, SegmentScores, Unscored
from spanwise.integrations.trl import DenseGRPOTrainer, SummedRewards, training_rows
from spanwise.models import Policy
from spanwise.rewards import IdScorer, MixtureConfig, RewardPipeline, SourceWeight
from spanwise.rl.algorithms import Experience, ModelInputs, dense_advantages
from spanwise.rl.algorithms.grpo import GRPO
from spanwise.rl.algorithms.losses import clipped_policy_loss
from spanwise.rl.algorithms.rloo import RLOO
from spanwise.rl.config import GroupConfig, PPOConfig
from spanwise.sim.habits import HABITS, write_answer
from spanwise.sim.model import base_checkpoint
from spanwise.sim.rewards import OracleSource
from spanwise.sim.world import make_items
from spanwise.text import Span

pytestmark = pytest.mark.filterwarnings("ignore")

ITEMS = make_items(2, seed=0, split="rl")
RECORDS = [item.record for item in ITEMS]
GENERATIONS = 4
SETTINGS = {
    "per_device_train_batch_size": 8,
    "num_generations": GENERATIONS,
    "gradient_accumulation_steps": 1,
    "max_steps": 1,
    "max_completion_length": 64,
    "learning_rate": 1e-3,
    "beta": 0.0,
    "loss_type": "bnpo",
    "report_to": [],
    "save_strategy": "no",
    "use_cpu": True,
    "bf16": False,
    "seed": 0,
    "disable_tqdm": True,
}


class WholeAnswer:
    """The oracle's score of an answer, as one number at its end."""

    name, category, density, version = "whole", "quality", "sequence", "1"

    def __init__(self):
        self.oracle = OracleSource(ITEMS)

    def score(self, samples):
        return [self._one(s, said) for s, said in zip(samples, self.oracle.score(samples), strict=True)]

    def _one(self, sample, said):
        total = sum(score.value for score in said.scores)
        return SegmentScores((SegmentScore(Span(0, len(sample.response)), total),))


class Silent(OracleSource):
    """The oracle, that has nothing to say of answers with a given word."""

    word = ""

    def score(self, samples):
        told = super().score(samples)
        return [
            SegmentScores(missing=Unscored("silent")) if self.word in sample.response else said
            for sample, said in zip(samples, told, strict=True)
        ]


def pipeline(source=None, missing="raise"):
    source = source or OracleSource(ITEMS)
    return RewardPipeline([source], MixtureConfig(sources={source.name: SourceWeight(missing=missing)}))


@pytest.fixture(scope="module")
def policy():
    return Policy.load(base_checkpoint())


def given_answers(policy, ends=True):
    """Ids of GENERATIONS answers to each prompt, of different lengths."""
    generator, rows = np.random.default_rng(0), []
    for item in ITEMS:
        for _ in range(GENERATIONS):
            text = " " + write_answer(item.truth, generator, HABITS)
            ids = policy.tokenizer(text, add_special_tokens=False)["input_ids"][:60]
            rows.append([*ids, policy.tokenizer.eos_token_id] if ends else ids)
    return rows


def given(policy, answers, **more):
    """A rollout function that gives the answers, whatever process asks."""

    def rollout(prompts, trainer):
        first = trainer.accelerator.process_index * len(prompts)
        rows = [answers[(first + i) % len(answers)] for i in range(len(prompts))]
        ids = [policy.tokenizer(prompt)["input_ids"] for prompt in prompts]
        chosen = {
            name: [values[(first + i) % len(answers)] for i in range(len(prompts))] for name, values in more.items()
        }
        return {"prompt_ids": ids, "completion_ids": rows, "logprobs": None, **chosen}

    return rollout


def rows_of_a_batch(count=2 * GENERATIONS):
    data = training_rows(RECORDS)
    return [data[i // GENERATIONS % len(RECORDS)] for i in range(count)]


def trainer_of(policy, tmp_path, *, kind=DenseGRPOTrainer, rewards=None, rollout=None, settings=None, **more):
    model = AutoModelForCausalLM.from_pretrained(base_checkpoint(), dtype=torch.float32)
    args = trl.GRPOConfig(output_dir=str(tmp_path), **{**SETTINGS, **(settings or {})})
    common = {"args": args, "train_dataset": training_rows(RECORDS), "processing_class": policy.tokenizer, **more}
    if kind is not DenseGRPOTrainer:
        return kind(model, [SummedRewards(rewards or pipeline(), policy.tokenizer)], rollout_func=rollout, **common)
    return kind(model, rewards or pipeline(), rollout_func=rollout, **common)


def batch_of(trainer, rows=None):
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    return trainer._generate_and_score_completions(rows or rows_of_a_batch())


def our_experience(policy, batch, rewards):
    records = [record for record in RECORDS for _ in range(GENERATIONS)]
    mask, zeros = batch["completion_mask"].bool(), torch.zeros(batch["completion_ids"].shape)
    inputs = ModelInputs(policy.encode_prompts(records), batch["completion_ids"], mask)
    return Experience(inputs, zeros, zeros, zeros, zeros, rewards, rewards)


@pytest.mark.parametrize("estimator", ["grpo", "rloo"])
@pytest.mark.parametrize(("match", "gamma", "scale"), [("position", 1.0, "group"), ("relative", 0.9, "none")])
def test_advantages_are_those_of_our_trainer(policy, tmp_path, estimator, match, gamma, scale):
    answers = given_answers(policy)
    trainer = trainer_of(
        policy, tmp_path, rollout=given(policy, answers), settings={"scale_rewards": scale},
        estimator=estimator, match=match, gamma=gamma,
    )  # fmt: skip
    batch = batch_of(trainer)
    records = [record for record in RECORDS for _ in range(GENERATIONS)]
    rewards = IdScorer(policy.tokenizer, pipeline()).score_ids(answers, records).total
    ppo, group = PPOConfig(gamma=gamma), GroupConfig(match=match, divide_by_std=scale == "group")
    ours = {"grpo": GRPO, "rloo": RLOO}[estimator](ppo, group).advantages(our_experience(policy, batch, rewards))
    assert torch.equal(batch["advantages"], ours.advantages)
    dense = [
        len(set(row[mask].tolist()))
        for row, mask in zip(batch["advantages"], batch["completion_mask"].bool(), strict=True)
    ]
    assert max(dense) > 2


def test_loss_and_gradient_are_those_of_our_trainer(policy, tmp_path):
    trainer = trainer_of(policy, tmp_path, rollout=given(policy, given_answers(policy)))
    batch = batch_of(trainer)
    mask = batch["completion_mask"].bool()
    theirs = trainer._compute_loss(trainer.model, batch)
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    seen = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    logprobs = trainer._get_per_token_logps_and_entropies(trainer.model, ids, seen, mask.shape[1])[0]
    ours = clipped_policy_loss(
        logprobs, logprobs.detach(), batch["advantages"], mask, clip_range=0.2, clip_range_high=None, dual_clip=None,
        tokens=int(mask.sum()), weights=None,
    ).loss  # fmt: skip
    torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-7)
    weights = [p for p in trainer.model.parameters() if p.requires_grad]
    pairs = zip(
        torch.autograd.grad(theirs, weights, retain_graph=True), torch.autograd.grad(ours, weights), strict=True
    )
    for left, right in pairs:
        torch.testing.assert_close(left, right, rtol=0, atol=1e-7)


def test_one_reward_at_the_end_is_trls_own_advantage(policy, tmp_path):
    rollout = given(policy, given_answers(policy))
    dense = batch_of(trainer_of(policy, tmp_path, rewards=pipeline(WholeAnswer()), rollout=rollout))
    plain = batch_of(
        trainer_of(policy, tmp_path, kind=trl.GRPOTrainer, rewards=pipeline(WholeAnswer()), rollout=rollout)
    )
    mask = dense["completion_mask"].bool()
    expected = plain["advantages"][:, None].expand(mask.shape)
    torch.testing.assert_close(dense["advantages"][mask], expected[mask], rtol=0, atol=1e-3)  # TRL adds 1e-4 to std


def test_the_bridge_gives_sums_and_none(policy):
    source = Silent(ITEMS)
    answers = given_answers(policy)[:GENERATIONS]
    texts = [policy.tokenizer.decode(ids, skip_special_tokens=True) for ids in answers]
    source.word = texts[1].strip()
    rewards = SummedRewards(pipeline(source, missing="mask"), policy.tokenizer)
    lines = [RECORDS[0].model_dump_json()] * GENERATIONS
    found = rewards(completions=texts, completion_ids=answers, record=lines)
    expected = IdScorer(policy.tokenizer, pipeline()).score_ids(answers, [RECORDS[0]] * GENERATIONS).total.sum(1)
    assert found[1] is None
    assert [found[i] for i in (0, 2, 3)] == pytest.approx([float(expected[i]) for i in (0, 2, 3)])
    with pytest.raises(DataError, match="the engine read"):
        rewards(completions=["other", *texts[1:]], completion_ids=answers, record=lines)
    with pytest.raises(DataError, match="dataset, answer 0: has no 'record'"):
        rewards(completions=texts, completion_ids=answers)


def test_an_answer_that_was_not_scored_is_in_no_statistics(policy, tmp_path):
    answers, source = given_answers(policy), Silent(ITEMS)
    source.word = policy.tokenizer.decode(answers[1], skip_special_tokens=True).strip()
    trainer = trainer_of(policy, tmp_path, rewards=pipeline(source, missing="mask"), rollout=given(policy, answers))
    found = batch_of(trainer)["advantages"]
    kept = [0, 2, 3]
    rewards = IdScorer(policy.tokenizer, pipeline()).score_ids([answers[i] for i in kept], [RECORDS[0]] * 3).total
    mask = torch.arange(rewards.shape[1]) < torch.tensor([[len(answers[i])] for i in kept])
    expected = dense_advantages(rewards, mask, torch.zeros(3, dtype=torch.long)).advantages
    assert (found[1] == 0).all()
    torch.testing.assert_close(found[kept][:, : expected.shape[1]], expected, rtol=0, atol=0)
    assert trainer._metrics["train"]["share_left_out"] == [1 / 8]


def test_a_truncated_answer_whose_mask_trl_empties_is_in_no_statistics(policy, tmp_path):
    answers = given_answers(policy)
    answers[2] = answers[2][:-1]  # no end
    settings = {"mask_truncated_completions": True}
    batch = batch_of(trainer_of(policy, tmp_path, rollout=given(policy, answers), settings=settings))
    assert not batch["completion_mask"][2].any()
    assert (batch["advantages"][2] == 0).all()
    others = [answers[i] for i in (0, 1, 3)]
    rewards = IdScorer(policy.tokenizer, pipeline()).score_ids(others, [RECORDS[0]] * 3).total
    mask = torch.arange(rewards.shape[1]) < torch.tensor([[len(row)] for row in others])
    expected = dense_advantages(rewards, mask, torch.zeros(3, dtype=torch.long)).advantages
    assert torch.equal(batch["advantages"][[0, 1, 3]][:, : expected.shape[1]], expected)


def test_a_reward_on_what_the_policy_did_not_write_stops_the_run(policy, tmp_path):
    answers = given_answers(policy)
    mask = [[0] * len(row) for row in answers[:1]] + [[1] * len(row) for row in answers[1:]]
    mask[0][0] = 1
    trainer = trainer_of(policy, tmp_path, rollout=given(policy, answers, env_mask=mask))
    with pytest.raises(DataError, match=r"Response 0, token .* would be lost"):
        batch_of(trainer)


@pytest.mark.parametrize(
    ("settings", "more", "says"),
    [
        ({"loss_type": "vespo"}, {}, "loss_type=vespo weighs whole answers"),
        ({"loss_type": "luspo"}, {}, "loss_type=luspo"),
        ({"importance_sampling_level": "sequence"}, {}, "importance_sampling_level"),
        ({"scale_rewards": "batch"}, {}, "scale_rewards=batch"),
        ({"multi_objective_aggregation": "normalize_then_sum"}, {}, "multi_objective_aggregation"),
        ({"off_policy_mask_threshold": 0.5}, {}, "off_policy_mask_threshold"),
        ({}, {"reward_funcs": [len]}, "reward_funcs would be left out"),
        ({}, {"tools": [len]}, "tools"),
    ],
)
def test_what_has_no_meaning_for_token_rewards_is_refused(policy, tmp_path, settings, more, says):
    with pytest.raises(ConfigError, match=says):
        trainer_of(policy, tmp_path, settings=settings, **more)


@pytest.mark.parametrize("loss_type", ["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo"])
def test_every_other_loss_takes_them(policy, tmp_path, loss_type):
    trainer = trainer_of(
        policy, tmp_path, rollout=given(policy, given_answers(policy)), settings={"loss_type": loss_type}
    )
    assert torch.isfinite(trainer._compute_loss(trainer.model, batch_of(trainer)))


def test_prompts_are_read_as_our_policy_reads_them(policy, tmp_path):
    batch = batch_of(trainer_of(policy, tmp_path, rollout=given(policy, given_answers(policy))))
    ours = policy.encode_prompts(RECORDS)
    for row in range(2):
        theirs = batch["prompt_ids"][row * GENERATIONS][batch["prompt_mask"][row * GENERATIONS].bool()]
        assert theirs.tolist() == ours.ids[row][ours.mask[row]].tolist()


@pytest.mark.parametrize("lora", [False, True])
def test_a_run_moves_what_it_trains(policy, tmp_path, lora):
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]) if lora else None
    settings = {"max_steps": 2, "max_completion_length": 16, "temperature": 3.0, "top_k": 0, "logging_steps": 1}
    trainer = trainer_of(policy, tmp_path, settings=settings, peft_config=config)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.train()
    moved = {name for name, p in trainer.model.named_parameters() if not torch.equal(p, before[name])}
    assert moved
    assert not lora or all("lora" in name for name in moved)
    assert "share/oracle-clauses" in trainer.state.log_history[0]


def test_vllms_answers_and_weights_are_taken_as_trls(policy, tmp_path):
    """The engine itself, which needs a GPU, is replaced by one that gives answers."""
    answers = given_answers(policy)
    settings = {"vllm_importance_sampling_mode": "token_truncate"}
    trainer = trainer_of(policy, tmp_path, settings=settings)
    expected = batch_of(trainer_of(policy, tmp_path, rollout=given(policy, answers)))["advantages"]

    class Engine:
        def sync_weights(self):
            pass

        def generate(self, prompts, **_):
            return prompts, answers, [[[-1.0] for _ in row] for row in answers], None

    trainer.use_vllm, trainer.vllm_generation, trainer._last_loaded_step = True, Engine(), 0
    batch = batch_of(trainer)
    assert torch.equal(batch["advantages"], expected)
    assert batch["importance_sampling_ratio"].shape == expected.shape
    assert torch.isfinite(trainer._compute_loss(trainer.model, batch))


PROGRAM = """
import json, sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from integrations.test_trl import *
policy = Policy.load(base_checkpoint())
settings = {"per_device_train_batch_size": 4}
trainer = trainer_of(policy, Path(sys.argv[1]), rollout=given(policy, given_answers(policy)), settings=settings)
rank = trainer.accelerator.process_index
assert trainer.accelerator.num_processes == 2
rows = rows_of_a_batch()[4 * rank : 4 * rank + 4]
batch = batch_of(trainer, rows)
Path(sys.argv[1], f"rank{rank}.json").write_text(json.dumps(batch["advantages"].tolist()))
"""


def test_two_processes_are_one(policy, tmp_path):
    expected = batch_of(trainer_of(policy, tmp_path, rollout=given(policy, given_answers(policy))))["advantages"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests), str(tests.parent / "src"), *sys.path])
    common = {"PYTHONPATH": path, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "ACCELERATE_USE_CPU": "true", "HOME": str(tmp_path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path)],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    for process in processes:
        _, said = process.communicate(timeout=1800)
        assert process.returncode == 0, said.decode()[-2000:]
    parts = [torch.tensor(json.loads((tmp_path / f"rank{rank}.json").read_text())) for rank in range(2)]
    width = max(part.shape[1] for part in parts)
    found = torch.cat([torch.nn.functional.pad(part, (0, width - part.shape[1])) for part in parts])
    assert torch.equal(found, expected[:, :width])
    assert not expected[:, width:].any()
