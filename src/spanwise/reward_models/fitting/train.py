"""Trains a reward model of any kind: the one order of steps that objectives for segments and for tokens fill in.

Model on a backbone, held-out data apart from the rest, labelled examples, the fit, checkpoint and results. An objective
brings its heads, its examples and how they are fitted and measured (`segments.py`, `tokens.py`).
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Generic, Protocol, TypeVar, cast, runtime_checkable

from rich.progress import Progress
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from spanwise.core import DataError, RunFolder, numpy_generator, torch_generator
from spanwise.models.encoding import form_of, keep_form
from spanwise.reward_models.config import RewardConfig
from spanwise.reward_models.data import InputEncoder
from spanwise.reward_models.fitting.evaluate import HeadQuality
from spanwise.reward_models.network import (
    AdaptedRewardModel,
    SpanRewardModel,
    encoder_of,
    first_layers,
    load_backbone,
    pad_id_of,
    save_reward_model,
    window_of,
)

Data = TypeVar("Data")
Example = TypeVar("Example")
Backbone = tuple[PreTrainedModel, PreTrainedTokenizerBase]


@dataclass(frozen=True, slots=True)
class RewardModelRun:
    """A trained model with its tokenizer, the held-out quality by head, and what the data left out."""

    model: SpanRewardModel
    tokenizer: PreTrainedTokenizerBase
    heads: dict[str, HeadQuality]
    left_out: dict[str, int]

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """The held-out metrics by head."""
        return {name: head.metrics for name, head in self.heads.items()}


@dataclass(frozen=True, slots=True)
class Fitting(Generic[Example]):
    """What an objective fits, on which examples, and where it tells of it."""

    model: SpanRewardModel
    encoder: InputEncoder
    pad_id: int
    train: Sequence[Example]
    judge: Sequence[Example]
    """Held-out examples; none where the objective does without."""
    folder: RunFolder | None
    progress: Progress | None


@runtime_checkable
class RewardObjective(Protocol[Data, Example]):
    """What one kind of reward model learns."""

    @property
    def needs_heldout(self) -> bool:
        """Whether a share of the training data is held out where none is given."""
        ...

    def build(self, body: PreTrainedModel, *, window: int) -> SpanRewardModel:
        """A fresh model on a backbone."""
        ...

    def split(self, data: Data) -> tuple[Data, Data]:
        """(training, held-out) data; all that belongs to one question falls on the same side."""
        ...

    def examples(self, data: Data, encoder: InputEncoder) -> tuple[list[Example], dict[str, int]]:
        """Labels and encodes data; the counts say what was left out and why."""
        ...

    def check(self, examples: Sequence[Example], left_out: Mapping[str, int], /, *, label: str) -> None:
        """DataError where the examples, called `label`, have nothing to learn from."""
        ...

    def fit(self, fitting: Fitting[Example]) -> dict[str, HeadQuality]:
        """Fits and calibrates the model in place; the held-out quality by head."""
        ...


def train(
    config: RewardConfig,
    data: Data,
    objective: RewardObjective[Data, Example],
    *,
    heldout: Data | None = None,
    backbone: Backbone | None = None,
    folder: RunFolder | None = None,
    progress: Progress | None = None,
) -> RewardModelRun:
    """Fits a reward model on `data`, chosen, calibrated and measured on `heldout` (else on a share of the questions).

    `backbone` is copied, not changed; without one, config.backbone is loaded. With a `folder`, config, metrics,
    results and checkpoints/best are written. Raises DataError where there is nothing to learn from.
    """
    model, tokenizer = _fresh_model(config, objective, backbone)
    if heldout is None and objective.needs_heldout:
        data, heldout = objective.split(data)
    encoder, pad_id = encoder_of(model, tokenizer), pad_id_of(tokenizer)
    examples, left_out = objective.examples(data, encoder)
    objective.check(examples, left_out, label="training")
    judge: list[Example] = []
    if heldout is not None:
        judge, _ = objective.examples(heldout, encoder)
        objective.check(judge, left_out, label="held-out")
    if folder is not None:
        folder.save_config(config)
    heads = objective.fit(Fitting(model, encoder, pad_id, examples, judge, folder, progress))
    if folder is not None:
        save_reward_model(folder.checkpoint("best"), model, tokenizer)
        qualities = {name: asdict(quality) for name, quality in heads.items()}
        folder.save_results({"reward_models": qualities, "left_out": left_out})
    return RewardModelRun(model, tokenizer, heads, left_out)


def held_out(questions: list[str], *, share: float, seed: int, unit: str) -> set[str]:
    """A share of the questions drawn by chance, at least one and never all; DataError where there are not two."""
    if len(questions) < 2:
        raise DataError(f"{len(questions)} {unit} cannot be split into training and held-out; give more data.")
    order = numpy_generator(seed, "reward/heldout").permutation(len(questions))
    count = min(len(questions) - 1, max(1, round(share * len(questions))))
    return {questions[index] for index in order[:count]}


def _fresh_model(
    config: RewardConfig, objective: RewardObjective[Data, Example], backbone: Backbone | None
) -> tuple[SpanRewardModel, PreTrainedTokenizerBase]:
    body, tokenizer = backbone or load_backbone(config.backbone, language_model=config.likelihoods)
    if backbone is not None:
        body = copy.deepcopy(body)
    window, base = window_of(body, tokenizer), config.backbone or body.name_or_path
    if config.layers is not None:
        body = first_layers(cast("PreTrainedModel", body.base_model), config.layers)
    model = objective.build(body, window=min(window, config.max_length or window))
    has_chat = bool(getattr(tokenizer, "chat_template", None))
    keep_form(model, config.prompt.agreed(form_of(body), has_chat=has_chat, place=base or "backbone"))
    if config.lora is not None:
        model = AdaptedRewardModel.on(model, base, config.lora, torch_generator(config.seed, "reward/adapter"))
    return cast("SpanRewardModel", nn.Module.to(model, config.device)), tokenizer
