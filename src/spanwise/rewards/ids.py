"""Sampled ids in, token rewards out: the way into the rewards for whatever samples, our own trainer or another engine.

Texts are decoded from the sampled ids and never tokenised again, so that a segment's reward lands on the token that
ended it. Knows nothing of masks, groups or advantages.
"""

import threading
from collections.abc import Sequence
from typing import Any

from spanwise.core import DataError
from spanwise.feedback import PromptRecord, Sample
from spanwise.rewards.pipeline import RewardPipeline, TokenScores
from spanwise.text import Alignment, TokenAligner

_ONE_AT_A_TIME = threading.Lock()
"""Engines ask from several threads; tokenizers and what sources remember are not made for that."""


class IdScorer:
    """Scores responses that are given as ids of `tokenizer`, which must be the tokenizer of what sampled them."""

    def __init__(self, tokenizer: Any, pipeline: RewardPipeline) -> None:
        self.pipeline = pipeline
        self._aligner = TokenAligner(tokenizer)

    def score_ids(
        self,
        ids: Sequence[Sequence[int]],
        records: Sequence[PromptRecord],
        *,
        step: int = 0,
        truncated: Sequence[bool] | None = None,
        texts: Sequence[str] | None = None,
    ) -> TokenScores:
        """The rewards of every token of every response, (b responses, t tokens of the longest), 0 behind its end.

        `records[i]` is what response i answers; `step` moves scheduled weights; `truncated` says which responses ran
        into the length limit (none). `texts` is what the engine itself read in the ids, special tokens left out.
        Raises DataError for an id that is not in the vocabulary and for ids that decode to another text than the
        engine's; ScoringError as the pipeline does.
        """
        with _ONE_AT_A_TIME:
            samples, alignments = read_ids(self._aligner, ids, records, truncated or [False] * len(ids))
            if texts is not None:
                for row, (sample, text) in enumerate(zip(samples, texts, strict=True)):
                    _check_text(row, sample.response, text.strip())
            return self.pipeline(samples, [alignment.spans for alignment in alignments], step=step)


def read_ids(
    aligner: TokenAligner, ids: Sequence[Sequence[int]], records: Sequence[PromptRecord], truncated: Sequence[bool]
) -> tuple[list[Sample], list[Alignment]]:
    """What reward sources see of sampled ids, and which characters of it each id wrote."""
    alignments = [aligner.align(row).stripped() for row in ids]
    samples = [
        Sample.of(record, alignment.text, truncated=cut, metadata=record.metadata)
        for record, alignment, cut in zip(records, alignments, truncated, strict=True)
    ]
    return samples, alignments


def _check_text(row: int, read: str, text: str) -> None:
    if read == text:
        return
    place = next((i for i, (a, b) in enumerate(zip(read, text, strict=False)) if a != b), min(len(read), len(text)))
    raise DataError(
        f"Response {row}: its ids decode to {read[place : place + 20]!r} at character {place}, the engine read "
        f"{text[place : place + 20]!r}; score with the tokenizer of the policy that sampled."
    )
