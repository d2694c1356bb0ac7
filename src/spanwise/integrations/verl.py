"""Spanwise's token rewards in verl (0.9.1): a reward manager, an agent loop and estimators that keep them dense.

verl carries one number an answer. The reward manager hands it the sum, and the token rewards beside it as text; the
agent loop, which sees its own output again when that is stored, puts them where the sum would have gone; the estimators
`spanwise_grpo` and `spanwise_rloo` compare them token by token, while verl's own grpo, rloo, opo, gpg and
reinforce_plus_plus_baseline would add them up again (gae and reinforce_plus_plus keep them). Every process of Ray must
import this module: VERL_USE_EXTERNAL_MODULES=spanwise.integrations.verl. `spanwise export verl` writes all settings.
Shapes: b answers, t tokens.
"""

# The engine is no dependency of Spanwise and has no types; where it is not installed, nothing of it is known, and this
# very file is what its name means to pyright.
# pyright: reportMissingImports=false, reportUntypedBaseClass=false, reportUnknownParameterType=false
# pyright: reportUntypedFunctionDecorator=false, reportUntypedClassDecorator=false, reportGeneralTypeIssues=false
# pyright: reportIndexIssue=false, reportAttributeAccessIssue=false, reportFunctionMemberAccess=false

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

import torch
from verl import DataProto
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput
from verl.experimental.agent_loop.agent_loop import register as register_agent_loop
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop
from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase
from verl.trainer.ppo.core_algos import register_adv_est

from spanwise.core import DataError, SpanwiseError
from spanwise.integrations.estimators import ESTIMATORS, engine_estimator
from spanwise.integrations.registry import check_version, record_of, rewards_of_environment
from spanwise.rewards import IdScorer
from spanwise.rl.algorithms import check_placed

check_version("verl")

AGENT_LOOP = "spanwise_single_turn"
TOKEN_REWARDS, DROPPED = "spanwise_token_rewards", "spanwise/dropped"
"""Under these names the reward manager says more than the sum: a JSON list, and 1 for an answer that is left out."""
logger = logging.getLogger(__name__)


class SpanwiseRewardManager(RewardManagerBase):
    """Scores the sampled ids of one answer; chosen by `reward.reward_manager`."""

    def __init__(self, config: Any, tokenizer: Any, compute_score: Any, *_: Any, **__: Any) -> None:
        super().__init__(config, tokenizer, compute_score)
        self._scorer = IdScorer(tokenizer, rewards_of_environment())
        self._longest = int(config.actor_rollout_ref.rollout.response_length)

    async def run_single(self, data: DataProto) -> dict[str, Any]:
        """The sum of the token rewards, and in `reward_extra_info` the token rewards themselves.

        verl counts a prompt whose rewards raise as a failure and goes on, so what was wrong is logged here as well.
        """
        try:
            return await asyncio.to_thread(self._score, data[-1:][0])
        except SpanwiseError as error:
            logger.error("Spanwise could not score an answer: %s", error)
            raise

    def _score(self, item: Any) -> dict[str, Any]:
        fields, ids = item.non_tensor_batch, item.batch["responses"]
        length = fields.get("response_len")
        if length is None:
            length = item.batch["attention_mask"][-ids.shape[-1] :].sum()
        ids = ids[: int(length)].tolist()
        record = record_of(fields.get("extra_info") or {}, "extra_info of a row of the data")
        step = fields.get("global_steps")
        scores = self._scorer.score_ids(
            [ids], [record], step=0 if step is None else int(step), truncated=[len(ids) >= self._longest]
        )
        dropped = bool(scores.dropped[0])
        rewards = [0.0] * len(ids) if dropped else scores.total[0].tolist()
        shares = {f"share/{name}": float(share.sum()) for name, share in scores.shares.items()}
        info = {TOKEN_REWARDS: json.dumps(rewards), DROPPED: float(dropped), **shares}
        return {"reward_score": float(sum(rewards)), "reward_extra_info": info}


class DenseOutput(AgentLoopOutput):
    """What an agent loop gives back; when it is stored, its token rewards are `rm_scores`."""

    def as_dict(self) -> dict[str, Any]:
        """As verl's own, with a reward on every token; an answer that was left out has an empty mask.

        Raises DataError where the sum would go on without its tokens, or on tokens that do not count.
        """
        output = super().as_dict()
        if "rm_scores" not in output:
            return output
        info = self.extra_fields.get("reward_extra_info") or {}
        if TOKEN_REWARDS not in info:
            raise DataError(
                "An answer has a reward and no token rewards; set reward.reward_manager to SpanwiseRewardManager, "
                "reward.reward_model.enable to False and no reward.custom_reward_function."
            )
        rewards = torch.tensor(json.loads(info[TOKEN_REWARDS]), dtype=torch.float32)
        if rewards.shape != output["responses"].shape:
            raise DataError(f"{len(rewards)} token rewards do not fit an answer of {len(output['responses'])} tokens.")
        if info[DROPPED]:
            output["response_mask"] = torch.zeros_like(output["response_mask"])
        elif len(rewards):
            check_placed(rewards[None], output["response_mask"].bool()[None])
        output["rm_scores"] = rewards
        return output


@register_agent_loop(AGENT_LOOP)
class SpanwiseSingleTurn(SingleTurnAgentLoop):
    """verl's loop of one question and one answer, for answers with a reward on every token."""

    async def run(self, sampling_params: dict[str, Any], **fields: Any) -> AgentLoopOutput:
        """As verl's own."""
        plain = await super().run(sampling_params, **fields)
        values = {name: getattr(plain, name) for name in type(plain).model_fields}
        return DenseOutput.model_construct(_fields_set=set(plain.model_fields_set), **values)


def _settings(others: Mapping[str, Any]) -> tuple[float, bool]:
    settings = others.get("config") or {}
    return float(settings.get("gamma", 1.0)), bool(settings.get("norm_adv_by_std_in_grpo", True))


for _name in ESTIMATORS:
    register_adv_est(_name)(engine_estimator(_name, _settings))
