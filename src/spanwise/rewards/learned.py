"""Reward sources that are learned reward models: one forward pass, one source per head.

Turns calibrated logits into segment scores. Knows nothing of weights, tokens of the policy or RL.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import torch
from scipy.special import expit
from transformers import PreTrainedTokenizerBase

from spanwise.core import ConfigError, resolve_device
from spanwise.feedback import Density, PromptConfig, Sample, SegmentScore, SegmentScores, Unscored
from spanwise.models import Adapters
from spanwise.reward_models import HeadSpec
from spanwise.reward_models.data import EncodedResponse, collate, reading_order
from spanwise.reward_models.network import (
    AdaptedRewardModel,
    SpanRewardModel,
    encoder_of,
    fingerprint,
    load_reward_model,
    pad_id_of,
    save_reward_model,
)

RewardsT = TypeVar("RewardsT", bound="LearnedRewards")
_Key = tuple[object, ...]


class LearnedRewards:
    """A loaded reward model whose heads are reward sources that share each forward pass.

    A segment head scores 2 * P(right) - 1, from -1 to 1, or with `hard` its sign; a sequence head scores
    (logit - mean) / std, and so does a token head for each of the model's own tokens. Calibration and statistics are
    from the checkpoint.
    """

    def __init__(
        self,
        model: SpanRewardModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        hard: bool = False,
        batch_size: int = 32,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.hard = hard
        self.heads = model.config.head_specs
        self._batch_size = batch_size
        self._pad_id = pad_id_of(tokenizer)
        self._encoder = encoder_of(model, tokenizer)
        self._remembered: dict[_Key, dict[str, SegmentScores]] = {}

    @classmethod
    def from_pretrained(
        cls: type[RewardsT],
        checkpoint: str | Path,
        *,
        hard: bool = False,
        batch_size: int = 32,
        device: str = "auto",
        onto: Adapters | None = None,
    ) -> RewardsT:
        """The reward model at a folder or Hub name; CheckpointError where there is none.

        One that is an adapter is put `onto` weights in memory where these are its base model's.
        """
        model, tokenizer = load_reward_model(checkpoint, onto=onto)
        if not (isinstance(model, AdaptedRewardModel) and model.shares):
            torch.nn.Module.to(model, resolve_device(device))
        return cls(model, tokenizer, hard=hard, batch_size=batch_size)

    @property
    def form(self) -> PromptConfig:
        """The form in which it reads prompts."""
        return self._encoder.form

    def save_pretrained(self, path: str | Path) -> None:
        """Writes a folder that `from_pretrained` reads, model and tokenizer, beside-then-rename."""
        save_reward_model(Path(path), self.model, self.tokenizer)

    def sources(self, names: Sequence[str] = ()) -> list["LearnedSource"]:
        """One source per head, or per named head; ConfigError for a head that the model does not have."""
        known = {head.name: head for head in self.heads}
        for name in names:
            if name not in known:
                raise ConfigError(f"The reward model has no head {name!r}; it has {', '.join(known)}.")
        return [LearnedSource(self, known[name]) for name in names or known]

    @cached_property
    def version(self) -> str:
        """Changes with any weight, calibration or setting."""
        return fingerprint(self.model) + ("-hard" if self.hard else "")

    def score_all(self, samples: Sequence[Sample]) -> list[dict[str, SegmentScores]]:
        """The scores of every head for each sample; those of the last call are remembered."""
        keys = [_key(sample) for sample in samples]
        unknown = {key: sample for key, sample in zip(keys, samples, strict=True) if key not in self._remembered}
        fresh = dict(zip(unknown, self._compute(list(unknown.values())), strict=True))
        self._remembered = {key: fresh[key] if key in fresh else self._remembered[key] for key in keys}
        return [self._remembered[key] for key in keys]

    def _compute(self, samples: Sequence[Sample]) -> list[dict[str, SegmentScores]]:
        encoded = self._encoder.encode(samples)
        readable = [(index, item) for index, item in enumerate(encoded) if isinstance(item, EncodedResponse)]
        results = [
            {head.name: SegmentScores(missing=item if isinstance(item, Unscored) else None) for head in self.heads}
            for item in encoded
        ]
        pack_to = self.model.pack_to
        for batch in reading_order([item for _, item in readable], batch_size=self._batch_size, pack_to=pack_to):
            group = [readable[position] for position in batch]
            for (index, _), scores in zip(group, self._forward([item for _, item in group]), strict=True):
                results[index] = scores
        return results

    def _forward(self, encoded: Sequence[EncodedResponse]) -> Iterator[dict[str, SegmentScores]]:
        batch = collate(encoded, self.heads, pad_id=self._pad_id, pack_to=self.model.pack_to)
        with torch.inference_mode():
            logits = iter(self.model.score(batch.to(self.model.device)).float().cpu().tolist())
        for item in encoded:
            yield {head.name: self._scores(head, item, logits) for head in self.heads}

    def _scores(self, head: HeadSpec, item: EncodedResponse, logits: Iterator[float]) -> SegmentScores:
        """Takes the next logits, which come in the order of `collate`: response, head, segment."""
        spans = item.segments[head.density]
        return SegmentScores(tuple(SegmentScore(span, self._value(head, next(logits))) for span in spans))

    def _value(self, head: HeadSpec, logit: float) -> float:
        if head.kind != "segment":
            return (logit - head.mean) / head.std
        value = float(2 * expit(head.slope * logit + head.offset) - 1)
        return value if not self.hard else (1.0 if value >= 0 else -1.0)


def _key(sample: Sample) -> _Key:
    """What scores depend on."""
    return sample.prompt, sample.response, sample.passages, sample.truncated, sample.messages, sample.tools


class LearnedSource:
    """One head of a reward model as a `RewardSource`."""

    def __init__(self, rewards: LearnedRewards, head: HeadSpec) -> None:
        self._rewards = rewards
        self._head = head

    @property
    def name(self) -> str:
        """The head's name."""
        return self._head.name

    @property
    def category(self) -> str:
        """What the head was trained on."""
        return self._head.name

    @property
    def density(self) -> Density:
        """How often the head speaks."""
        return self._head.density

    @property
    def version(self) -> str:
        """Changes with the reward model."""
        return self._rewards.version

    @property
    def model(self) -> SpanRewardModel:
        """The reward model whose head this is."""
        return self._rewards.model

    @property
    def form(self) -> PromptConfig:
        """The form in which the reward model reads prompts."""
        return self._rewards.form

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """This head's scores; the other heads' come from the same forward pass."""
        return [scores[self.name] for scores in self._rewards.score_all(samples)]


def load_sources(
    checkpoint: str | Path,
    *,
    heads: Sequence[str] = (),
    hard: bool = False,
    batch_size: int = 32,
    device: str = "auto",
    onto: Adapters | None = None,
) -> list[LearnedSource]:
    """The reward sources of a checkpoint, one per (named) head; errors and `onto` as in `from_pretrained`."""
    return LearnedRewards.from_pretrained(
        checkpoint, hard=hard, batch_size=batch_size, device=device, onto=onto
    ).sources(heads)
