"""Supervised fine-tuning: a policy learns to answer as demonstrations do, and the best checkpoint is kept.

One optimiser step is the mean loss per token of `batch_size` demonstrations, read in micro-batches of similar length
that change memory and speed but not the result. The loss is on the completion and its end token, or on all tokens.
The rule by which texts become ids is the policy's. Dropout stays off. Knows nothing of rewards or of how answers are
judged: a caller may pass a score of the policy to choose the checkpoint by.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from spanwise.core import ConfigError, DataError, RunFolder, torch_generator
from spanwise.feedback import DemonstrationRecord
from spanwise.models import Policy, pad, precision, weighted_logprobs
from spanwise.training.config import SFTConfig
from spanwise.training.loop import Evaluation, Watch, bucketed, micro_batches, run_loop
from spanwise.training.optimizer import Optimizer


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


Score = Callable[[Policy], float]
"""How good a policy is: the higher, the better."""


def train_sft(
    policy: Policy,
    demonstrations: Sequence[DemonstrationRecord],
    heldout: Sequence[DemonstrationRecord],
    *,
    config: SFTConfig,
    run: RunFolder,
    score: Score | None = None,
    watch: Watch | None = None,
) -> SFTResult:
    """Trains `policy` in place and writes the best checkpoint to `checkpoints/best` of `run`.

    Best is the lowest held-out loss or, when given, the highest `score`. Raises DataError that names the first
    demonstration which is empty or too long, before any work.
    """
    if not demonstrations or not heldout:
        raise DataError(f"No {'held-out ' if demonstrations else ''}demonstrations; give at least one.")
    policy.use_prompts(config.prompt)
    examples = _examples(policy, demonstrations, config, "Demonstration")
    heldout_examples = _examples(policy, heldout, config, "Held-out demonstration")
    run.save_config(config)
    checkpoint = run.checkpoint("best")
    best = run_loop(
        _Demonstrations(policy, examples, heldout_examples, config, checkpoint, score), run=run, watch=watch
    )
    metrics = best.evaluation.metrics
    return SFTResult(checkpoint, best.step, metrics["loss"], metrics.get("score"))


@dataclass
class _Demonstrations:
    """The objective: the mean negative log-likelihood per token of a batch."""

    policy: Policy
    examples: Sequence[_Example]
    heldout: Sequence[_Example]
    config: SFTConfig
    checkpoint: Path
    score: Score | None

    name = "sft"
    remedy = "lower learning_rate or set dtype=float32. The best checkpoint so far is kept."
    later_of_equals = False

    def __post_init__(self) -> None:
        self.generator = torch_generator(self.config.seed, "sft/order")

    @property
    def size(self) -> int:
        return len(self.examples)

    def optimizer(self) -> Optimizer:
        return Optimizer(self.policy.trained_parameters(), self.config)

    def batches(self) -> list[list[_Example]]:
        return bucketed(self.examples, self.config.batch_size, self.generator, length=len)

    def parts(self, batch: Sequence[_Example]) -> Iterator[list[_Example]]:
        return micro_batches(batch, self.config.micro_batch_tokens, length=len)

    def loss(self, part: Sequence[_Example], batch: Sequence[_Example]) -> tuple[Float[Tensor, ""], Tensor]:
        loss = self._share(part, _loss_tokens(batch))
        return loss, loss.detach()

    def figures(self, terms: Sequence[Tensor]) -> dict[str, float]:
        return {"loss": sum(float(term) for term in terms)}

    def evaluate(self) -> Evaluation:
        with torch.no_grad():
            tokens = _loss_tokens(self.heldout)
            loss = sum(float(self._share(part, tokens)) for part in self.parts(self.heldout))
        if self.score is None:
            return Evaluation(-loss, {"loss": loss})
        score = self.score(self.policy)
        return Evaluation(score, {"loss": loss, "score": score})

    def keep(self) -> None:
        self.policy.save(self.checkpoint)

    def _share(self, examples: Sequence[_Example], tokens: int) -> Float[Tensor, ""]:
        """The negative log-likelihood of the responses, summed over their tokens, of a mean over so many tokens."""
        policy = self.policy
        ids, mask = pad([example.response for example in examples], value=policy.pad_id, side="right")
        prompts = policy.stack_prompts([example.prompt for example in examples])
        ids, mask = ids.to(policy.device), mask.to(policy.device)
        narrow = precision(self.config.dtype, policy.device) == torch.bfloat16
        with torch.autocast(policy.device.type, torch.bfloat16, enabled=narrow):
            states = policy.hidden(prompts, ids, mask)[mask]
            weights = torch.full((len(states),), -1.0 / tokens, device=states.device)
            return weighted_logprobs(states, policy.head, ids[mask], weights)


def _examples(policy: Policy, records: Sequence[DemonstrationRecord], config: SFTConfig, kind: str) -> list[_Example]:
    if config.loss_on == "all" and policy.is_encoder_decoder:
        raise ConfigError("loss_on=all needs a causal policy; an encoder-decoder policy does not write its prompt.")
    return [_example(policy, record, config, f"{kind} {record.id or number}") for number, record in enumerate(records)]


def _example(policy: Policy, record: DemonstrationRecord, config: SFTConfig, label: str) -> _Example:
    if not record.completion.strip():
        raise DataError(f"{label}: the completion is blank; remove the record or write an answer.")
    example = _Example(policy.encode_prompt(record), policy.encode_response(record.completion))
    for name, ids, limit in (
        ("prompt", example.prompt, config.max_prompt_tokens),
        ("response", example.response, config.max_response_tokens),
    ):
        if len(ids) > limit:
            raise DataError(
                f"{label}: the {name} has {len(ids)} tokens, the limit is {limit}; "
                f"shorten it or raise max_{name}_tokens."
            )
    room = policy.room_for_prompt(len(example.response))
    if room is not None and len(example.prompt) > room:
        raise DataError(f"{label}: {len(example)} tokens do not fit the model's window of {policy.window}; shorten it.")
    if config.loss_on == "all":
        joined = example.prompt + example.response
        return _Example(joined[:1], joined[1:])
    return example


def _loss_tokens(examples: Sequence[_Example]) -> int:
    return sum(len(example.response) for example in examples)
