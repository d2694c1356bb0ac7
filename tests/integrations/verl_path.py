"""One batch through verl's own agent loop, reward loop, queue and advantages; only the language model is a fake.

A process of its own, because Ray and its environment stay with the process that starts them.
Usage: python -m integrations.verl_path FOLDER ESTIMATOR
leaves FOLDER/result.json
"""

import json
import sys
import time
import types
from pathlib import Path

import numpy as np
import ray
import torch
import transfer_queue
from integrations.verl_oracle import ITEMS, oracle_pipeline
from omegaconf import OmegaConf
from transfer_queue import KVBatchMeta
from verl.experimental.reward_loop.reward_loop import RewardLoopWorker
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopWorkerTQ
from verl.trainer.ppo.v1.trainer_base import PPOTrainer
from verl.utils import tensordict_utils
from verl.workers.rollout.replica import TokenOutput

from spanwise.core.files import write_text
from spanwise.feedback.files import write_records
from spanwise.integrations.doctor import composed
from spanwise.integrations.export import export_verl
from spanwise.integrations.registry import row_of
from spanwise.models.policy import Policy
from spanwise.rewards.ids import IdScorer
from spanwise.rl.algorithms.dense import dense_advantages
from spanwise.rl.config import RLConfig
from spanwise.sim.habits import HABITS, write_answer
from spanwise.sim.model import base_checkpoint

ANSWERS, WAIT_S = 4, 1500


class GivenAnswers:
    """What a server of language models does for an agent loop: here it writes the demonstrations of the world."""

    def __init__(self):
        self.asked = 0

    async def generate(self, request_id=None, *, prompt_ids, sampling_params, **_):
        policy = Policy.load(base_checkpoint())
        text = policy.tokenizer.decode(prompt_ids)
        item = next(item for item in ITEMS if item.record.prompt in text)
        self.asked += 1
        written = " " + write_answer(item.truth, np.random.default_rng(self.asked), HABITS)
        ids = [*policy.tokenizer(written, add_special_tokens=False)["input_ids"][:60], policy.tokenizer.eos_token_id]
        return TokenOutput(token_ids=ids, log_probs=[0.0] * len(ids))


def settings(folder, estimator):
    """verl's config as we export it, for a machine with few processors."""
    for name in ("prompts", "heldout"):
        write_records(folder / f"{name}.jsonl", [item.record for item in ITEMS])
    values = {
        "policy": str(base_checkpoint()),
        "prompts": folder / "prompts.jsonl",
        "heldout": folder / "heldout.jsonl",
        "run_dir": folder / "run",
        "algorithm": estimator,
        "rollout": {"prompts_per_step": 2, "samples_per_prompt": ANSWERS, "max_prompt_tokens": 320},
        "sampling": {"max_new_tokens": 64},
        "reward_models": {"unused": {"checkpoint": "unused"}},
        "mixture": {"sources": {"oracle-clauses": {}}},
    }
    export_verl(RLConfig.from_values(values, place="test"), folder / "verl")
    extra = "\ntransfer_queue:\n  backend:\n    SimpleStorage:\n      num_data_storage_units: 1\n"
    path = folder / "verl" / "verl.yaml"
    write_text(path, path.read_text() + extra)
    config = OmegaConf.create(dict(composed(path)))
    OmegaConf.set_struct(config, True)
    return config


def rollout(config):
    """Keys of the trajectories in the queue, in order, and their tags."""
    rewards = ray.remote(RewardLoopWorker).options(num_cpus=0.1).remote(config, None)
    worker = AgentLoopWorkerTQ.options(num_cpus=0.1).remote(config, GivenAnswers(), None, [rewards])
    batch = tensordict_utils.get_tensordict(
        {
            "raw_prompt": [[{"role": "user", "content": item.record.model_input}] for item in ITEMS],
            "uid": [f"u{i}" for i in range(len(ITEMS))],
            "index": list(range(len(ITEMS))),
            "data_source": ["spanwise"] * len(ITEMS),
            "reward_model": [{"ground_truth": ""} for _ in ITEMS],
            "extra_info": [row_of(item.record) for item in ITEMS],
        },
        {"global_steps": 1},
    )
    ray.get(worker.generate_sequences.remote(batch))
    start = time.time()
    while time.time() - start < WAIT_S:
        listed = transfer_queue.kv_list(partition_id="train") or {}
        part = listed.get("train", listed)
        done = [key for key, tag in part.items() if "_" not in key and tag.get("status") in ("finished", "failure")]
        if len(done) == len(ITEMS):
            break
        time.sleep(0.5)
    keys = sorted(key for key, tag in part.items() if "_" in key and tag.get("status") == "success")
    return keys, {key: dict(part[key]) for key in keys}


def advantages(config, keys, tags):
    """What verl's trainer makes of the queue, padded."""
    meta = KVBatchMeta(keys=keys, tags=[tags[key] for key in keys], partition_id="train", fields=None, extra_info={})
    logprobs = transfer_queue.kv_batch_get(keys=keys, partition_id="train", select_fields=["rollout_log_probs"])
    logprobs["old_log_probs"] = logprobs.pop("rollout_log_probs")
    transfer_queue.kv_batch_put(keys=keys, partition_id="train", fields=logprobs)
    PPOTrainer._compute_advantage(types.SimpleNamespace(config=config, kl_ctrl_in_reward=None), meta, {})
    names = ["advantages", "response_mask", "rm_scores", "responses"]
    return transfer_queue.kv_batch_get(keys=keys, partition_id="train", select_fields=names)


def main():
    folder, estimator = Path(sys.argv[1]), sys.argv[2]
    config = settings(folder, estimator)
    config.algorithm.use_kl_in_reward = False
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=True, object_store_memory=200 * 2**20)
    transfer_queue.init(config.transfer_queue)
    keys, tags = rollout(config)
    found = advantages(config, keys, tags) if keys else None
    result = {"trajectories": len(keys)}
    if found is not None:
        padded = found.to_padded_tensor()
        mask = padded["response_mask"].bool()
        ids = [row.tolist() for row in found["responses"].unbind()]
        rows = [int(key[1:].split("_")[0]) for key in keys]
        tokenizer = Policy.load(base_checkpoint()).tokenizer
        rewards = IdScorer(tokenizer, oracle_pipeline()).score_ids(ids, [ITEMS[row].record for row in rows]).total
        ours = dense_advantages(rewards, mask, torch.tensor(rows), estimator=estimator).advantages
        result |= {
            "rewards": float((padded["rm_scores"] - rewards).abs().max()),
            "advantages": float((padded["advantages"] - ours)[mask].abs().max()),
            "distinct": max(len(set(row[counts].tolist())) for row, counts in zip(ours, mask, strict=True)),
        }
    (folder / "result.json").write_text(json.dumps(result))
    transfer_queue.close()
    ray.shutdown()


if __name__ == "__main__":
    main()
