"""Models of other trainers as reward sources: sequence classifiers, process reward models, token classifiers.

They read what they were trained to read: a chat template's whole conversation, or the prompt and the response behind
it; a process reward model the steps with the separator that TRL puts after each. Responses beyond the window are
Unscored. Shapes: b rows, l tokens, c labels.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from spanwise.core import CheckpointError, ConfigError, resolve_device
from spanwise.feedback import Density, PromptConfig, Sample, SegmentScore, SegmentScores, Unscored
from spanwise.models import adapter_base, merge_adapter, pad
from spanwise.models.encoding import PromptEncoder, TextEncoder
from spanwise.reward_models.data import EncodedResponse, InputEncoder
from spanwise.reward_models.network import pad_id_of, window_of
from spanwise.rewards.foreign.config import SourceConfig
from spanwise.text import Span, get_segmenter

_KINDS = {"reward": AutoModelForSequenceClassification}
"""What is loaded for a kind; a token classifier otherwise."""


@dataclass(frozen=True)
class Read:
    """A response as a model reads it, and at which of its tokens each part is judged."""

    ids: tuple[int, ...]
    parts: tuple[tuple[Span, int], ...]


class ModelReward:
    """What the three kinds have in common: a model, how it reads, and one label or number per part."""

    def __init__(
        self, name: str, config: SourceConfig, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
    ) -> None:
        self.name = name
        self.category = config.category or name
        self.density: Density = "token" if config.kind == "labels" else config.density
        self._config = config
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._pad_id = pad_id_of(tokenizer)
        if getattr(model.config, "pad_token_id", None) is None:
            model.config.pad_token_id = self._pad_id  # a decoder finds the last token of a row by it
        self._label = _label_of(model, config.label, f"sources.{name}.label")
        self._form = _form(tokenizer, config.prompt, f"sources.{name}")
        self._window = window_of(model, tokenizer)

    @property
    def version(self) -> str:
        """Changes with any weight and with how the model is read."""
        return self._version

    @cached_property
    def _version(self) -> str:
        digest = hashlib.sha256(self._config.model_dump_json(exclude={"batch_size", "category"}).encode())
        for key, tensor in sorted(cast("torch.nn.Module", self._model).state_dict().items()):
            digest.update(key.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return f"{self._config.kind}-{digest.hexdigest()[:12]}"

    def score(self, samples: Sequence[Sample]) -> list[SegmentScores]:
        """The scores of each response; rows of like length are read together."""
        read = [self._fitting(item) for item in self._read(samples)]
        results = [SegmentScores(missing=item if isinstance(item, Unscored) else None) for item in read]
        readable = sorted(
            ((index, item) for index, item in enumerate(read) if isinstance(item, Read)), key=lambda p: len(p[1].ids)
        )
        size = self._config.batch_size
        for start in range(0, len(readable), size):
            group = readable[start : start + size]
            for (index, item), row in zip(group, self._values([item for _, item in group]), strict=True):
                results[index] = SegmentScores(
                    tuple(SegmentScore(span, value) for (span, _), value in zip(item.parts, row, strict=True))
                )
        return results

    def _fitting(self, item: Read | Unscored) -> Read | Unscored:
        if isinstance(item, Read) and len(item.ids) > self._window:
            return Unscored(f"prompt and response have {len(item.ids)} tokens, the model reads {self._window}")
        return item

    def _read(self, samples: Sequence[Sample]) -> Sequence[Read | Unscored]:
        kind = self._config.kind
        if kind == "reward":
            return [self._whole(sample) for sample in samples]
        return [self._steps(sample) for sample in samples] if kind == "steps" else self._tokens(samples)

    def _whole(self, sample: Sample) -> Read:
        """One score of the whole, which the classifier reads at its own place."""
        encoder = PromptEncoder(self._tokenizer, self._form)
        if self._form.takes_turns:
            ids = encoder.conversation(sample, sample.response)
        else:
            ids = _closed(TextEncoder(self._tokenizer), encoder.text(sample) + " " + sample.response, self._tokenizer)
        return Read(tuple(ids), ((Span(0, len(sample.response)), 0),))

    def _steps(self, sample: Sample) -> Read:
        """TRL's layout: prompt, then each step and the separator behind it, at whose last token the step is judged."""
        encoder, plain = PromptEncoder(self._tokenizer, self._form), TextEncoder(self._tokenizer)
        bos = cast("int | None", self._tokenizer.bos_token_id)
        ids = [] if bos is None or self._form.takes_turns else [bos]
        ids += (
            encoder.ids(sample, sample.passages)
            if self._form.takes_turns
            else plain.ids(encoder.text(sample), add_special_tokens=False)
        )
        between = plain.ids(self._config.separator, add_special_tokens=False) if self._config.separator else []
        parts: list[tuple[Span, int]] = []
        for span in get_segmenter(self._config.density)(sample.response) if sample.response.strip() else ():
            text = span.of(sample.response)
            ids += plain.ids(text.strip() if between else text, add_special_tokens=False) + between
            parts.append((span, len(ids) - 1))
        return Read(tuple(ids), tuple(parts))

    def _tokens(self, samples: Sequence[Sample]) -> list[Read | Unscored]:
        encoder = InputEncoder(
            self._tokenizer, max_length=self._window, use_passages=True, densities=("token",), form=self._form
        )
        return [
            Read(item.ids, _written(item)) if isinstance(item, EncodedResponse) else item
            for item in encoder.encode(samples)
        ]

    @torch.inference_mode()
    def _values(self, group: Sequence[Read]) -> list[list[float]]:
        ids, mask = pad([item.ids for item in group], value=self._pad_id, side="right")
        inputs: dict[str, Tensor] = {"input_ids": ids, "attention_mask": mask.long()}
        logits = self._model(**{key: value.to(self._model.device) for key, value in inputs.items()}).logits.float()
        scores = self._scores(logits).double().cpu()
        if self._config.kind == "reward":
            return [[value] for value in scores.tolist()]
        return [[float(row[token]) for _, token in item.parts] for item, row in zip(group, scores, strict=True)]

    def _scores(self, logits: Float[Tensor, "*b c"]) -> Float[Tensor, "*b"]:
        """The one output as it is, or the probability of the label; of a step 2 P - 1, from -1 to 1."""
        if logits.shape[-1] == 1:
            return logits[..., 0]
        several = getattr(self._model.config, "problem_type", None) == "multi_label_classification"
        share = (logits.sigmoid() if several else logits.softmax(-1))[..., self._label]
        return 2 * share - 1 if self._config.kind == "steps" else share


def load_model(name: str, config: SourceConfig, *, device: str) -> ModelReward:
    """The model that the config names, a PEFT adapter put into its base; CheckpointError where there is none."""
    base = adapter_base(config.model)
    kind: Any = _KINDS.get(config.kind, AutoModelForTokenClassification)
    options: dict[str, Any] = {"num_labels": 1} if base and config.kind == "reward" and not config.label else {}
    try:
        model, report = kind.from_pretrained(
            base or config.model, dtype=torch.float32, output_loading_info=True, **options
        )
        merged = merge_adapter(model, config.model) if base else model
        has_tokenizer = (Path(config.model) / "tokenizer_config.json").is_file()
        tokenizer = AutoTokenizer.from_pretrained(config.model if not base or has_tokenizer else base)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise CheckpointError(
            f"sources.{name}: {config.model} cannot be loaded ({reason}); check the place."
        ) from error
    missing = sorted(report["missing_keys"])
    if missing and not base:
        raise CheckpointError(
            f"sources.{name}: {config.model} has no weights for {missing[0]}, so its scores would be noise; "
            f"give a model trained as kind={config.kind}."
        )
    module = cast("torch.nn.Module", merged).to(resolve_device(device))
    return ModelReward(name, config, cast("PreTrainedModel", module), cast("PreTrainedTokenizerBase", tokenizer))


def _form(tokenizer: PreTrainedTokenizerBase, asked: PromptConfig, place: str) -> PromptConfig:
    has_chat = bool(getattr(tokenizer, "chat_template", None))
    if asked.form == "auto" and not has_chat:
        asked = PromptConfig.from_values({**asked.model_dump(), "form": "plain"}, place=f"{place}.prompt")
    return asked.agreed(None, has_chat=has_chat, place=place)


def _written(item: EncodedResponse) -> tuple[tuple[Span, int], ...]:
    """The tokens that wrote characters of the response: labels of the closing one say nothing."""
    rows = zip(item.segments["token"], item.pieces["token"], strict=True)
    return tuple((span, token) for span, (token, _) in rows if len(span))


def _closed(encoder: TextEncoder, text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    ids, end = encoder.ids(text), tokenizer.eos_token_id
    return ids if (ids and ids[-1] in tokenizer.all_special_ids) or not isinstance(end, int) else [*ids, end]


def _label_of(model: PreTrainedModel, label: str, place: str) -> int:
    names = {str(name): int(number) for number, name in (model.config.id2label or {}).items()}
    if label and label not in names:
        raise ConfigError(f"{place}: the model has no label {label!r}; it has {', '.join(names)}.")
    if not label and len(names) > 2:
        raise ConfigError(f"{place}: the model has {len(names)} labels; name one of {', '.join(names)}.")
    return names[label] if label else len(names) - 1
