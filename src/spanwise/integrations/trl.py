"""Spanwise's token rewards in TRL's GRPO trainer (trl 1.16): dense advantages, or sums as a plain reward function.

`DenseGRPOTrainer` is TRL's trainer with one difference: the advantages of a batch are a row of numbers, one per token,
from the same function as those of our own trainer. Generation, losses, KL, LoRA, several processes and checkpoints stay
TRL's. `SummedRewards` is for TRL's own trainers: one number an answer. Shapes: b answers, t tokens.
"""

# The engine is no dependency of Spanwise and has no types; where it is not installed, nothing of it is known, and this
# very file is what its name means to pyright.
# pyright: reportMissingImports=false, reportUntypedBaseClass=false, reportUnknownParameterType=false
# pyright: reportUntypedFunctionDecorator=false, reportUntypedClassDecorator=false, reportGeneralTypeIssues=false
# pyright: reportIndexIssue=false, reportAttributeAccessIssue=false, reportFunctionMemberAccess=false

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from datasets import Dataset
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerBase
from trl import GRPOConfig, GRPOTrainer

from spanwise.core import ConfigError, DataError
from spanwise.feedback import PromptConfig, PromptRecord
from spanwise.integrations.registry import RECORD, check_version, prompt_of, record_of, row_of
from spanwise.rewards import IdScorer, RewardPipeline, TokenScores
from spanwise.rl import DenseEstimator, Match
from spanwise.rl.algorithms import dense_advantages

check_version("trl")

SUMS = "spanwise"
"""TRL's name for the summed rewards in its log: rewards/spanwise/mean."""
WHOLE_ANSWERS = {
    "loss_type": ({"vespo", "luspo"}, "weighs whole answers"),
    "importance_sampling_level": ({"sequence"}, "weighs whole answers"),
    "scale_rewards": ({"batch"}, "scales one number an answer"),
    "multi_objective_aggregation": ({"normalize_then_sum"}, "scales one number an answer"),
}
"""Settings of GRPOConfig under which an advantage per token has no meaning, and why."""


def training_rows(records: Iterable[PromptRecord], form: PromptConfig | None = None) -> Dataset:
    """TRL's dataset for prompts: `prompt` is what the policy reads, `record` what the reward sources need.

    A conversation stays a list of turns, which TRL writes by the tokenizer's template; other prompts are texts in a
    form of plain text (`form`, without it wu2023). Raises DataError where there are both.
    """
    rows = [{"prompt": prompt_of(record, form or PromptConfig()), **row_of(record)} for record in records]
    if len({type(row["prompt"]) for row in rows}) > 1:
        raise DataError("Some prompts are conversations and some are not; TRL takes one kind at a time.")
    return Dataset.from_list(rows)


class SummedRewards:
    """A reward function for `reward_funcs`: the sum of an answer's token rewards, None for one that was not scored.

    Needs the column `record` of `training_rows`. `tokenizer` must be the trainer's `processing_class`.
    """

    def __init__(self, pipeline: RewardPipeline, tokenizer: PreTrainedTokenizerBase) -> None:
        self.__name__ = SUMS
        self.scorer = IdScorer(tokenizer, pipeline)
        self._ends = [tokenizer.eos_token_id, tokenizer.pad_token_id]
        self.scored: tuple[list[list[int]], TokenScores] | None = None
        """The ids of the last call and the rewards of each of them."""

    def __call__(
        self, *, completions: Sequence[Any], completion_ids: Sequence[Sequence[int]], **columns: Any
    ) -> list[float | None]:
        """As TRL calls reward functions: once per batch of answers, with the columns of their rows."""
        lines = columns.get(RECORD) or [None] * len(completion_ids)
        records = [record_of({RECORD: line}, f"dataset, answer {row}") for row, line in enumerate(lines)]
        ids = [list(row) for row in completion_ids]
        scores = self.scorer.score_ids(
            ids,
            records,
            step=columns["trainer_state"].global_step if "trainer_state" in columns else 0,
            truncated=[not row or row[-1] not in self._ends for row in ids],
            texts=list(completions) if all(isinstance(text, str) for text in completions) else None,
        )
        self.scored = ids, scores
        if "log_metric" in columns:
            for name, share in scores.shares.items():
                columns["log_metric"](f"share/{name}", float(share.sum(1).mean()))
            columns["log_metric"]("share_dropped", float(scores.dropped.float().mean()))
        sums = scores.total.sum(1).tolist()
        return [None if left_out else total for total, left_out in zip(sums, scores.dropped.tolist(), strict=True)]


class DenseGRPOTrainer(GRPOTrainer):
    """TRL's GRPO trainer with a reward on every token.

    `estimator`, `match` and `gamma` are those of `dense_advantages`; `GRPOConfig.scale_rewards` says whether advantages
    are divided by the group's deviation ("group") or not ("none"). Raises ConfigError for settings under which token
    rewards would be lost or mean nothing.
    """

    def __init__(
        self,
        model: Any,
        pipeline: RewardPipeline,
        args: GRPOConfig,
        *,
        processing_class: PreTrainedTokenizerBase,
        estimator: DenseEstimator = "grpo",
        match: Match = "position",
        gamma: float = 1.0,
        **settings: Any,
    ) -> None:
        _check(args, settings)
        self.estimator: DenseEstimator = estimator
        self.match: Match = match
        self.gamma = gamma
        self._sums = SummedRewards(pipeline, processing_class)
        super().__init__(
            model=model, reward_funcs=[self._sums], args=args, processing_class=processing_class, **settings
        )

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """TRL's batch, with advantages of shape (b, t)."""
        batch = super()._generate_and_score_completions(inputs)
        ids, width = batch["completion_ids"], batch["completion_ids"].shape[1]
        scores = self._taken(ids)
        mask = batch["completion_mask"].bool()
        if "tool_mask" in batch:
            mask = mask & batch["tool_mask"].bool()
        rewards = functional.pad(scores.total, (0, width - scores.total.shape[1])).to(ids.device)
        batch["advantages"] = self._dense(rewards, mask, scores.dropped.to(ids.device))
        return batch

    def _taken(self, ids: Tensor) -> TokenScores:
        """The scores of the last batch, which must be those of `ids`."""
        if self._sums.scored is None:
            raise DataError("TRL made a batch without asking for its rewards; the plug-in does not fit this version.")
        (scored, scores), self._sums.scored = self._sums.scored, None
        for row, (there, here) in enumerate(zip(ids.tolist(), scored, strict=True)):
            if there[: len(here)] != here:
                raise DataError(f"Answer {row} of the batch is not the one that was scored; its rewards would be lost.")
        return scores

    def _dense(
        self, rewards: Float[Tensor, "b t"], mask: Bool[Tensor, "b t"], dropped: Bool[Tensor, " b"]
    ) -> Float[Tensor, "b t"]:
        """Advantages of this process's answers; groups may lie in several processes, so all see all."""
        mode = "train" if self.model.training else "eval"
        generations = self.num_generations if mode == "train" else self.num_generations_eval
        every_reward, every_mask = (
            self.accelerator.gather(self.accelerator.pad_across_processes(x, dim=1)) for x in (rewards, mask.float())
        )
        every_dropped = self.accelerator.gather(dropped.float()).bool()
        groups = torch.arange(len(every_reward), device=rewards.device) // generations
        credit = dense_advantages(
            every_reward,
            every_mask.bool(),
            groups,
            dropped=every_dropped,
            estimator=self.estimator,
            match=self.match,
            gamma=self.gamma,
            divide_by_std=self.scale_rewards == "group",
        )
        left_out = every_dropped | ~every_mask.bool().any(1)
        self._metrics[mode]["share_left_out"].append(left_out.float().mean().item())
        first = self.accelerator.process_index * len(rewards)
        return credit.advantages[first : first + len(rewards), : rewards.shape[1]].clone()


def _check(args: GRPOConfig, settings: dict[str, Any]) -> None:
    for name, (values, reason) in WHOLE_ANSWERS.items():
        if getattr(args, name, None) in values:
            raise ConfigError(f"GRPOConfig.{name}={getattr(args, name)} {reason}; token rewards need another value.")
    if args.off_policy_mask_threshold is not None:
        raise ConfigError("GRPOConfig.off_policy_mask_threshold masks whole answers by one advantage; set it to None.")
    if settings.pop("reward_funcs", None) is not None:
        raise ConfigError("reward_funcs would be left out of the token rewards; make them sources of the pipeline.")
    for name in ("tools", "environment_factory"):
        if settings.get(name):
            raise ConfigError(f"{name}: what tools write would be scored as if the policy had; leave it out.")
