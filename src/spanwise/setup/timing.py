"""How long the steps of a project will take on this machine: measured on its own data and model, then multiplied.

Nothing here is a constant: a batch of the project's own demonstrations is read forwards and backwards, answers to its
own prompts are sampled, and heads are fitted to a few of its own records, to one number of them and to twice as many,
so that what starting costs is told from what a record costs. The sum is a straight line through that, and is said so.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from spanwise.core import RunFolder, SpanwiseError, resolve_device, torch_generator
from spanwise.feedback import FeedbackRecord, PromptRecord
from spanwise.models import Policy, Sampling
from spanwise.reward_models import RewardModelConfig
from spanwise.reward_models.fitting import train_reward_model
from spanwise.rl import RLConfig
from spanwise.setup.anatomy import FULL, Anatomy
from spanwise.setup.memory import machine_memory
from spanwise.setup.plan import Plan

PROBED_ROWS = 4
PROBED_TOKENS = 24
"""Answers sampled in the probe, and tokens of each."""
PROBED_RECORDS = 8
FREE_SHARE = 0.7
"""A model is probed only if its weights and gradients take no more of the free memory."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of the policy on this machine."""

    learn: float
    """A token forwards and backwards."""
    read: float
    """A token forwards."""
    decode: float
    """One more token of each of PROBED_ROWS answers."""


def estimate(plan: Plan, model: Anatomy, *, seed: int = 0) -> list[str]:
    """A sentence for each step, with how it was told; one sentence that says why where nothing could be measured."""
    needed, free = 2 * FULL * model.parameters, machine_memory(resolve_device("auto")).free
    if free is not None and needed > FREE_SHARE * free:
        return [
            f"Not measured: weights and gradients of {model.place} take {needed / 1e9:.0f} GB and {free / 1e9:.0f} GB "
            "are free here."
        ]
    pace = _pace(model, plan, seed)
    sentences = [_sft(plan, pace)] if "sft.yaml" in plan.settings else []
    sentences += [_reward(plan), _rl(plan, pace), _evaluation(plan, pace)]
    return [
        *sentences,
        "Told from a probe on this machine as it was loaded then: a batch of these prompts read forwards and "
        f"backwards, {PROBED_ROWS} answers of {PROBED_TOKENS} tokens sampled, heads fitted to a few of these records; "
        "the rest is multiplication, with every answer as long as is allowed. Loading models comes on top.",
    ]


def _pace(model: Anatomy, plan: Plan, seed: int) -> Pace:
    policy = Policy.load(model.place, device=resolve_device("auto"))
    asked = cast("Sequence[PromptRecord]", plan.files["prompts.jsonl"])[:PROBED_ROWS]
    prompts = policy.encode_prompts([asked[i % len(asked)] for i in range(PROBED_ROWS)])
    generator = torch_generator(seed, "setup/probe", policy.device)
    sampling = Sampling(max_new_tokens=PROBED_TOKENS, min_new_tokens=PROBED_TOKENS)
    policy.generate(
        prompts, sampling=Sampling(max_new_tokens=1), generator=generator
    )  # whatever the first call sets up
    answers, sampled = _timed(lambda: policy.generate(prompts, sampling=sampling, generator=generator))
    tokens = int(prompts.mask.sum()) + int(answers.mask.sum())

    def read() -> Any:
        return policy.logprobs(prompts, answers.ids, answers.mask, sampling=sampling).logprobs.sum()

    def learn() -> None:
        read().backward()

    learn()
    _, learned = _timed(learn)
    with torch.no_grad():
        _, seen = _timed(read)
        _, began = _timed(lambda: policy.generate(prompts, sampling=Sampling(max_new_tokens=1), generator=generator))
    return Pace(learned / tokens, seen / tokens, max(0.0, sampled - began) / (PROBED_TOKENS - 1))


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.perf_counter()
    result = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return result, time.perf_counter() - begun


def _sft(plan: Plan, pace: Pace) -> str:
    sft = plan.settings["sft.yaml"]
    longest = sft["max_prompt_tokens"] + sft["max_response_tokens"]
    tokens = len(plan.files["demonstrations.jsonl"]) * longest * sft["epochs"]
    judged = len(plan.files["heldout_demonstrations.jsonl"]) * longest * sft["epochs"]
    return f"sft: at most {_duration(tokens * pace.learn + judged * pace.read)}."


def _reward(plan: Plan) -> str:
    if plan.reads_edits:
        return "reward: not measured; the backbone is read once for each edit, and heads are fitted within seconds."
    records = cast("Sequence[FeedbackRecord]", plan.files["feedback.jsonl"])
    few, twice = records[:PROBED_RECORDS], records[: 2 * PROBED_RECORDS]
    try:
        first, second = (_fitted(plan, part) for part in (few, twice))
    except SpanwiseError:
        return f"reward: not measured, for {len(twice)} records teach too little to be tried."
    each = max(0.0, second - first) / max(1, len(twice) - len(few))
    total = max(second, first + each * (len(records) - len(few)))
    return (
        f"reward: about {_duration(total)} ({len(few)} records took {first:.1f} s, {len(twice)} took {second:.1f} s)."
    )


def _fitted(plan: Plan, records: Sequence[FeedbackRecord]) -> float:
    """Seconds of training a reward model on the records, the writing of it included."""
    with tempfile.TemporaryDirectory() as folder:
        values = {**plan.settings["reward.yaml"], "run_dir": folder}
        config = RewardModelConfig.from_values(values, place="reward.yaml")
        return _timed(lambda: train_reward_model(config, records, folder=RunFolder(Path(folder))))[1]


def _rl(plan: Plan, pace: Pace) -> str:
    """Sampling, three readings (policy, reference, rewards), then the updates of policy and value model."""
    rl = RLConfig.from_values(plan.settings["rl.yaml"], place="rl.yaml")
    rows = rl.rollout.responses_per_step()
    prompt, answer = rl.rollout.max_prompt_tokens, rl.sampling.max_new_tokens
    sampled = pace.decode * answer * max(1.0, rows / PROBED_ROWS)
    step = sampled + rows * (prompt + answer) * (3 * pace.read + 2 * rl.update.epochs * pace.learn)
    judged = min(rl.evaluation.max_prompts, len(plan.files["heldout_prompts.jsonl"]))
    evaluation = pace.decode * answer * max(1.0, judged / PROBED_ROWS) + 2 * judged * (prompt + answer) * pace.read
    total = rl.steps * step + (rl.steps // rl.evaluation.every + 1) * evaluation
    return f"rl: at most {_duration(total)} ({rl.steps} steps of {rows} answers)."


def _evaluation(plan: Plan, pace: Pace) -> str:
    asked = plan.settings["evaluate.yaml"]["answering"]
    longest = asked["sampling"]["max_new_tokens"]
    heldout, validation = len(plan.files["heldout_prompts.jsonl"]), len(plan.files["validation_prompts.jsonl"])
    per_prompt = 2 * (1 + asked["samples_per_prompt"]) + 2  # greedy and sampled, before and after; top-p, temperature
    answers = heldout * per_prompt + 3 * validation
    total = answers * (longest * pace.decode / PROBED_ROWS + (asked["max_prompt_tokens"] + longest) * pace.read)
    return f"evaluate: at most {_duration(total)} ({answers} answers)."


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
