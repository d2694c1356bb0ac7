"""Any text classifier of Hugging Face as a scorer: one label's probability of a whole text.

Classifiers whose labels exclude each other (softmax) and those with independent labels (sigmoid, as detoxify's) are
told apart by their config. Knows nothing of what the label means.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from spanwise.core import CheckpointError, ConfigError, resolve_device
from spanwise.feedback import Unscored
from spanwise.models import check_downloaded, load_tokenizer, weights_digest
from spanwise.models.encoding import TextEncoder
from spanwise.reward_models.network import window_of
from spanwise.rewards.scorers.scorer import Probability, check_pin, checked


class TextClassifier:
    """The probability of `label` by a sequence classifier; a text beyond its window is Unscored, never cut."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, label: str = "", batch_size: int = 32
    ) -> None:
        self.model = model.eval()
        self._tokenizer = tokenizer
        self._text = TextEncoder(tokenizer)
        self._batch_size = batch_size
        self._label = _label_id(model, label)
        self._window = window_of(model, tokenizer)
        self._version: str | None = None

    @property
    def version(self) -> str:
        """Twelve hex digits of the weights, and the label."""
        if self._version is None:
            self._version = f"classifier-{weights_digest(self.model)}-{self._label}"
        return self._version

    def score(self, texts: Sequence[str]) -> list[Probability]:
        """One probability per text; texts of like length are read together."""
        rows = self._text.rows(texts) if texts else []
        scores: list[Probability] = [
            Unscored(f"the text has {len(row)} tokens, the classifier reads {self._window}") for row in rows
        ]
        fitting = sorted((p for p, row in enumerate(rows) if len(row) <= self._window), key=lambda p: len(rows[p]))
        for start in range(0, len(fitting), self._batch_size):
            places = fitting[start : start + self._batch_size]
            for row_index, value in zip(places, self._forward([rows[row_index] for row_index in places]), strict=True):
                scores[row_index] = checked(value, source="the classifier")
        return scores

    @torch.inference_mode()
    def _forward(self, rows: Sequence[Sequence[int]]) -> list[float]:
        batch = self._tokenizer.pad({"input_ids": [list(row) for row in rows]}, return_tensors="pt")
        inputs = {name: cast("torch.Tensor", batch[name]) for name in ("input_ids", "attention_mask")}
        logits = self.model(**{name: x.to(self.model.device) for name, x in inputs.items()}).logits.float()
        kind = getattr(self.model.config, "problem_type", None)
        independent = logits.shape[1] == 1 or kind == "multi_label_classification"
        scores = logits.sigmoid() if independent else logits.softmax(-1)
        return scores[:, self._label].double().cpu().tolist()


def load_classifier(
    path: str | Path, *, label: str = "", device: str = "auto", batch_size: int = 32, pinned: str = ""
) -> TextClassifier:
    """The classifier at a folder or Hub name.

    Raises CheckpointError where there is none, or where `pinned` is not the version that lies there; ConfigError for a
    label that it does not have.
    """
    check_downloaded(path)
    try:
        model = AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32)
    except Exception as error:  # whatever a damaged folder makes of transformers
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"{path}: no text classifier can be read here ({reason}); give its folder or name."
        ) from error
    tokenizer = load_tokenizer(path)
    scorer = TextClassifier(model.to(resolve_device(device)), tokenizer, label=label, batch_size=batch_size)
    check_pin(scorer, pinned, str(path))
    return scorer


def _label_id(model: PreTrainedModel, label: str) -> int:
    """The column of `label`; without a name that of the only label, or of the second of two."""
    names = {str(name): int(number) for number, name in (model.config.id2label or {}).items()}
    if label:
        if label not in names:
            raise ConfigError(f"The classifier has no label {label!r}; it has {', '.join(names)}.")
        return names[label]
    if len(names) > 2:
        raise ConfigError(f"The classifier has {len(names)} labels; name one of {', '.join(names)}.")
    return len(names) - 1
