"""Supervised fine-tuning: a policy learns to answer as demonstrations do, and the best checkpoint is kept.

One optimiser step is the mean loss per token of `batch_size` demonstrations, read in micro-batches of similar length
that change memory and speed but not the result. The loss is on the completion and its end token, or on all tokens.
The rule by which texts become ids is the policy's. Dropout stays off. Knows nothing of rewards or of how answers are
judged: a caller may pass a score of the policy to choose the checkpoint by.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from spanwise.core import ConfigError, DataError, RunFolder, SpanwiseError, torch_generator
from spanwise.feedback import DemonstrationRecord
from spanwise.models import Policy, Sampling, pad, precision
from spanwise.training.config import SFTConfig

_BATCHES_SORTED_TOGETHER = 16
"""Demonstrations are sorted by length within this many batches: little padding, and still an order by chance."""


@dataclass(frozen=True)
class SFTResult:
    """Where the best checkpoint lies and how good it is."""

    checkpoint: Path
    step: int
    """The step after which the checkpoint was written, counted from 1."""
    heldout_loss: float
    """Mean negative log-likelihood per held-out token."""
    score: float | None
    """What the caller's score said; None when the loss chose."""


@dataclass(frozen=True)
class _Example:
    prompt: list[int]
    response: list[int]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.response)


Watch = Callable[[int, Mapping[str, float]], None]
"""Called with the step and its metrics after every step and every evaluation."""


def train_sft(
    policy: Policy,
    demonstrations: Sequence[DemonstrationRecord],
    heldout: Sequence[DemonstrationRecord],
    *,
    config: SFTConfig,
    run: RunFolder,
    score: Callable[[Policy], float] | None = None,
    watch: Watch | None = None,
) -> SFTResult:
    """Trains `policy` in place and writes the best checkpoint to `checkpoints/best` of `run`.

    Best is the lowest held-out loss or, when given, the highest `score`. Raises DataError that names the first
    demonstration which is empty or too long, before any work.
    """
    if not demonstrations or not heldout:
        raise DataError(f"No {'held-out ' if demonstrations else ''}demonstrations; give at least one.")
    training = _Training(policy, _examples(policy, demonstrations, config, "Demonstration"), config)
    heldout_examples = _examples(policy, heldout, config, "Held-out demonstration")
    run.save_config(config)
    results: list[SFTResult] = []
    for step, metrics in training.steps():
        shown = metrics
        if training.evaluation_is_due(step):
            loss = training.loss(heldout_examples)
            result = SFTResult(run.checkpoint("best"), step, loss, None if score is None else score(policy))
            if all(_goodness(result) > _goodness(earlier) for earlier in results):
                policy.save(result.checkpoint)
            results.append(result)
            shown = metrics | _heldout_metrics(result)
        run.log_metrics(step, shown)
        if watch is not None:
            watch(step, shown)
    return max(results, key=_goodness)


class _Training:
    """The optimiser and the order of the demonstrations."""

    def __init__(self, policy: Policy, examples: Sequence[_Example], config: SFTConfig) -> None:
        self._policy, self._examples, self._config = policy, examples, config
        self._parameters = [parameter for parameter in policy.model.parameters() if parameter.requires_grad]
        self._adamw = torch.optim.AdamW(
            self._parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self._generator = torch_generator(config.seed, "sft/order")

    def steps(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Trains, and yields the number and the metrics of each step just done, counted from 1."""
        step, lengths = 0, [len(example) for example in self._examples]
        for _ in range(self._config.epochs):
            for batch in _batches(lengths, self._config.batch_size, self._generator):
                step += 1
                yield step, self._step(step, [self._examples[index] for index in batch])

    def evaluation_is_due(self, step: int) -> bool:
        """Whether `step` ends one of the equal parts of its epoch."""
        per_epoch = self._config.steps_per_epoch(len(self._examples))
        parts, place = self._config.evaluations_per_epoch, (step - 1) % per_epoch + 1
        return place * parts // per_epoch > (place - 1) * parts // per_epoch

    def loss(self, examples: Sequence[_Example]) -> float:
        """Mean loss per token, without training on it."""
        with torch.no_grad():
            total = sum(float(self._loss(part)) for part in self._micro_batches(examples))
        return total / _loss_tokens(examples)

    def _step(self, step: int, examples: Sequence[_Example]) -> dict[str, float]:
        rate = learning_rate(self._config, step=step, steps=self._config.steps(len(self._examples)))
        for group in self._adamw.param_groups:
            group["lr"] = rate
        tokens, total = _loss_tokens(examples), 0.0
        for part in self._micro_batches(examples):
            loss = self._loss(part) / tokens
            loss.backward()
            total += float(loss.detach())
        norm = float(nn.utils.clip_grad_norm_(self._parameters, self._config.max_grad_norm))
        if not math.isfinite(norm):
            raise SpanwiseError(
                f"Step {step}: the gradient is not finite; lower learning_rate or set dtype=float32. "
                "The best checkpoint so far is kept."
            )
        self._adamw.step()
        self._adamw.zero_grad(set_to_none=True)
        return {"sft/loss": total, "sft/learning_rate": rate, "sft/grad_norm": norm}

    def _loss(self, examples: Sequence[_Example]) -> Float[Tensor, ""]:
        """The negative log-likelihood of the responses, summed over their tokens."""
        policy = self._policy
        ids, mask = pad([example.response for example in examples], value=policy.pad_id, side="right")
        prompts = policy.stack_prompts([example.prompt for example in examples])
        narrow = precision(self._config.dtype, policy.device) == torch.bfloat16
        with torch.autocast(policy.device.type, torch.bfloat16, enabled=narrow):
            scored = policy.logprobs(prompts, ids.to(policy.device), mask.to(policy.device), sampling=Sampling())
        return -scored.logprobs.sum()

    def _micro_batches(self, examples: Sequence[_Example]) -> Iterator[list[_Example]]:
        part: list[_Example] = []
        for example in sorted(examples, key=len):
            if part and (len(part) + 1) * len(example) > self._config.micro_batch_tokens:
                yield part
                part = []
            part.append(example)
        yield part


def learning_rate(config: SFTConfig, *, step: int, steps: int) -> float:
    """The learning rate of `step`, counted from 1, out of `steps`."""
    warmup = math.ceil(config.warmup_ratio * steps)
    if step <= warmup:
        return config.learning_rate * step / (warmup + 1)
    if config.decay == "constant":
        return config.learning_rate
    return config.learning_rate * (steps + 1 - step) / (steps - warmup)


def _batches(lengths: Sequence[int], size: int, generator: torch.Generator) -> list[list[int]]:
    """All indices once, by chance, in batches of `size` with similar lengths."""
    order: list[int] = torch.randperm(len(lengths), generator=generator).tolist()
    window = size * _BATCHES_SORTED_TOGETHER
    batches: list[list[int]] = []
    for start in range(0, len(order), window):
        near = sorted(order[start : start + window], key=lambda index: lengths[index])
        batches += [near[first : first + size] for first in range(0, len(near), size)]
    shuffled: list[int] = torch.randperm(len(batches), generator=generator).tolist()
    return [batches[index] for index in shuffled]


def _examples(policy: Policy, records: Sequence[DemonstrationRecord], config: SFTConfig, kind: str) -> list[_Example]:
    if config.loss_on == "all" and policy.is_encoder_decoder:
        raise ConfigError("loss_on=all needs a causal policy; an encoder-decoder policy does not write its prompt.")
    return [_example(policy, record, config, f"{kind} {record.id or number}") for number, record in enumerate(records)]


def _example(policy: Policy, record: DemonstrationRecord, config: SFTConfig, place: str) -> _Example:
    if not record.completion.strip():
        raise DataError(f"{place}: the completion is blank; remove the record or write an answer.")
    example = _Example(policy.encode_prompt(record), policy.encode_response(record.completion))
    for name, ids, limit in (
        ("prompt", example.prompt, config.max_prompt_tokens),
        ("response", example.response, config.max_response_tokens),
    ):
        if len(ids) > limit:
            raise DataError(
                f"{place}: the {name} has {len(ids)} tokens, the limit is {limit}; "
                f"shorten it or raise max_{name}_tokens."
            )
    room = policy.room_for_prompt(len(example.response))
    if room is not None and len(example.prompt) > room:
        raise DataError(f"{place}: {len(example)} tokens do not fit the model's window of {policy.window}; shorten it.")
    if config.loss_on == "all":
        joined = example.prompt + example.response
        return _Example(joined[:1], joined[1:])
    return example


def _loss_tokens(examples: Sequence[_Example]) -> int:
    return sum(len(example.response) for example in examples)


def _goodness(result: SFTResult) -> float:
    value = -result.heldout_loss if result.score is None else result.score
    return value if math.isfinite(value) else -math.inf


def _heldout_metrics(result: SFTResult) -> dict[str, float]:
    score = {} if result.score is None else {"heldout/score": result.score}
    return {"heldout/loss": result.heldout_loss, **score}
