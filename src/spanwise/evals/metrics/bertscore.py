"""BERTScore of answers against their references (Zhang et al. 2020), by torchmetrics with an encoder that is at hand.

Precision, recall and F from greedy matches of token states by cosine, unscaled, with the encoder's last layer; so only
numbers of the same encoder compare. Nothing is downloaded for a folder.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from spanwise.core import CheckpointError
from spanwise.evals.metrics.rouge import AnswerText, Score, score_table
from spanwise.evals.statistics import MetricInfo, ScoreTable
from spanwise.feedback import PromptRecord, Unscored
from spanwise.models import check_downloaded, load_body, load_tokenizer
from spanwise.reward_models.network import window_of

BERTSCORE = MetricInfo(
    label="BERTScore", better="higher", digits=3, description="F of matched token states, best reference, unscaled."
)


class BertScoreMetric:
    """BERTScore as a metric of `evaluate`; a text beyond the encoder's window is unscored, never cut."""

    infos: Mapping[str, MetricInfo] = {"bertscore": BERTSCORE}

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self._model, self._tokenizer = model.eval(), tokenizer
        self._window = window_of(model, tokenizer)

    @classmethod
    def load(cls, path_or_name: str) -> "BertScoreMetric":
        """Reads the encoder from a folder or a Hub name; CheckpointError where there is none."""
        options: dict[str, Any] = {"local_files_only": Path(path_or_name).is_dir()}
        check_downloaded(path_or_name)
        try:
            model = load_body(path_or_name, **options)
        except Exception as error:  # whatever a damaged folder makes of transformers
            raise CheckpointError(
                f"bertscore_model {path_or_name}: no encoder there; give a folder with config.json, weights and "
                "tokenizer, or a Hub name and the network."
            ) from error
        return cls(model, load_tokenizer(path_or_name))

    def tables(self, answers: Sequence[AnswerText], prompts: Sequence[PromptRecord]) -> dict[str, ScoreTable]:  # noqa: ARG002 - what was asked does not count
        """The best F over an answer's references."""
        scores = [self.score(answer.response, answer.references) for answer in answers]
        return {"bertscore": score_table([answer.id for answer in answers], scores)}

    def score(self, response: str, references: Sequence[str]) -> Score:
        """From 0 to 1; the best reference counts."""
        known = [text for text in references if text.strip()]
        if not known:
            return Unscored("no reference")
        if not response.strip():
            return 0.0
        longest = max(len(row) for row in self._ids([response, *known]))
        if longest > self._window:
            return Unscored("longer than the encoder's window")
        return max(self._pair(response, reference, longest) for reference in known)

    def _pair(self, response: str, reference: str, tokens: int) -> float:
        from torchmetrics.functional.text.bert import bert_score  # noqa: PLC0415 - heavy, and only this metric needs it

        # One pair at a time: with several, torchmetrics 1.9 pairs texts of different places after sorting by length.
        scores = bert_score(
            [response],
            [reference],
            model=self._model,
            user_tokenizer=self._tokenizer,
            device=self._model.device,
            max_length=tokens,
        )
        return float(cast("torch.Tensor", scores["f1"]))

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return cast("list[list[int]]", self._tokenizer(list(texts), verbose=False)["input_ids"])
