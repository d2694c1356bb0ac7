"""PPO steps of TRL 1.12.0, the last release whose PPO trainer still ran, for ../ppo_step.py.

It runs in an environment of its own: `python trl_ppo_step.py SHAPE_AS_JSON` prints one line of JSON with the seconds of
each step, the peak resident memory and the mean length of answers.
"""

import json
import os
import resource
import statistics
import sys
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

import tempfile

import torch
from datasets import Dataset
from ppo_shape import LEARNING_RATE, Shape, make_policy, make_prompts, make_tokenizer
from transformers import LlamaForCausalLM, LlamaForSequenceClassification, TrainerCallback
from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer


class Clock(TrainerCallback):
    """When each step ended, in seconds of the clock and of the processor."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def on_step_end(self, *_args: object, **_options: object) -> None:
        self.ends.append(now())


class Lengths:
    """Notes how long answers are where TRL cuts them behind their end."""

    def __init__(self) -> None:
        self.means: list[float] = []
        self._cut = ppo_trainer.truncate_response

    def __call__(self, stop: int, pad: int, responses: torch.Tensor) -> torch.Tensor:
        cut = self._cut(stop, pad, responses)
        self.means.append(float((cut != pad).sum(1).float().mean()))
        return cut


def now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def main() -> None:
    shape = Shape(**json.loads(sys.argv[1]))
    policy = make_policy(shape)
    reference = LlamaForCausalLM(policy.config).to(shape.torch_dtype())
    reference.load_state_dict(policy.state_dict())
    reward, value = (LlamaForSequenceClassification(shape.config(num_labels=1)).to(shape.torch_dtype()) for _ in "rv")
    data = Dataset.from_dict({"input_ids": make_prompts(shape)})
    with tempfile.TemporaryDirectory() as folder:
        settings = PPOConfig(
            output_dir=folder,
            per_device_train_batch_size=shape.micro_batch,
            gradient_accumulation_steps=shape.responses // shape.micro_batch,
            num_mini_batches=1,
            num_ppo_epochs=shape.epochs,
            total_episodes=shape.responses * shape.steps,
            response_length=shape.new_tokens,
            local_rollout_forward_batch_size=shape.responses,
            stop_token="eos" if shape.lengths == "natural" else None,
            temperature=1.0,
            learning_rate=LEARNING_RATE,
            bf16=False,
            gradient_checkpointing=False,
            use_cpu=not torch.cuda.is_available(),
            num_sample_generations=0,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        trainer = PPOTrainer(
            args=settings, processing_class=make_tokenizer(shape), model=policy, ref_model=reference,
            reward_model=reward, value_model=value, train_dataset=data, eval_dataset=data,
        )  # fmt: skip
        clock, lengths = Clock(), Lengths()
        ppo_trainer.truncate_response = lengths
        trainer.add_callback(clock)
        start = now()
        trainer.train()
    spans = list(zip([start, *clock.ends], clock.ends, strict=False))
    seconds, cpu_seconds = ([end[i] - begin[i] for begin, end in spans] for i in (0, 1))
    tokens = statistics.fmean(lengths.means) if lengths.means else shape.new_tokens
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_gb": peak, "tokens": tokens}))


if __name__ == "__main__":
    main()
