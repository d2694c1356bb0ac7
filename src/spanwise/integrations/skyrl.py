"""Spanwise's token rewards in SkyRL (0.3.0): a generator that scores sampled ids, and dense estimators.

SkyRL takes a list of rewards a token for every answer. Its own grpo, rloo and maxrl add them up and its gae and
reinforce++ keep them; `spanwise_grpo` and `spanwise_rloo` compare them token by token. It pads answers on the left,
where a comparison column by column would be off: ours goes by the mask. Shapes: b answers, t tokens.

`main` starts a run: as `skyrl.train.entrypoints.main_base`, with this generator and these estimators.
"""

# The engine is no dependency of Spanwise and has no types; where it is not installed, nothing of it is known, and this
# very file is what its name means to pyright.
# pyright: reportMissingImports=false, reportUntypedBaseClass=false, reportUnknownParameterType=false
# pyright: reportUntypedFunctionDecorator=false, reportUntypedClassDecorator=false, reportGeneralTypeIssues=false
# pyright: reportIndexIssue=false, reportAttributeAccessIssue=false, reportFunctionMemberAccess=false

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import ray
import torch
from jaxtyping import Float
from skyrl.backends.skyrl_train.utils.ppo_utils import register_advantage_estimator
from skyrl.train.generators.base import GeneratorInput, GeneratorOutput
from skyrl.train.generators.skyrl_gym_generator import SkyRLGymGenerator
from torch import Tensor

from spanwise.core import ConfigError, DataError, ScoringError
from spanwise.integrations.estimators import ESTIMATORS, engine_estimator
from spanwise.integrations.registry import check_version, record_of, rewards_of_environment
from spanwise.rewards import IdScorer, RewardPipeline, TokenScores
from spanwise.rl.algorithms import check_placed

check_version("skyrl")

REFUSED = {
    "zero_reward_on_non_stop": "it would take away token rewards",
    "apply_overlong_filtering": "SkyRL compares left-out answers with the others of their group all the same",
    "step_wise_trajectories": "it keeps one reward of each step",
}
"""Settings of the generator that would lose token rewards, and why."""


class SpanwiseGenerator(SkyRLGymGenerator):
    """SkyRL's generator; the rewards of its environments make room for token rewards.

    The data's rows need `record` beside their prompt (`spanwise.integrations.row_of`). Raises ConfigError for settings
    under which token rewards would be lost.
    """

    def __init__(self, *arguments: Any, pipeline: RewardPipeline, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        for name, reason in REFUSED.items():
            if getattr(self.generator_cfg, name, False):
                raise ConfigError(f"generator.{name}=true: {reason}; set it to false.")
        self._scorer = IdScorer(self.tokenizer, pipeline)

    async def generate(self, input_batch: GeneratorInput, *arguments: Any, **settings: Any) -> GeneratorOutput:
        """SkyRL's answers, each with a list of rewards, one per token."""
        output = await super().generate(input_batch, *arguments, **settings)
        extras = input_batch["env_extras"] or [{}] * len(output["response_ids"])
        step = input_batch.get("batch_metadata")
        scores = await asyncio.to_thread(self._scores, output, extras, 0 if step is None else step.global_step)
        lengths = [len(ids) for ids in output["response_ids"]]
        output["rewards"] = [row[:length].tolist() for row, length in zip(scores.total, lengths, strict=True)]
        metrics = {f"share/{name}": float(share.sum(1).mean()) for name, share in scores.shares.items()}
        output["rollout_metrics"] = {**(output["rollout_metrics"] or {}), **metrics}
        return output

    def _scores(self, output: GeneratorOutput, extras: Sequence[dict[str, Any]], step: int) -> TokenScores:
        records = [record_of(fields, f"row {row} of the batch") for row, fields in enumerate(extras)]
        reasons = output["stop_reasons"] or ["stop"] * len(records)
        scores = self._scorer.score_ids(
            output["response_ids"], records, step=step, truncated=[reason == "length" for reason in reasons]
        )
        if bool(scores.dropped.any()):
            row = int(scores.dropped.nonzero()[0])
            raise ScoringError(
                f"Answer {row} to {records[row].prompt!r:.80} could not be scored, and SkyRL cannot leave an answer "
                'out of its group; use sources that score every answer (missing: "raise" names the one that did not).'
            )
        _check_masks(output["loss_masks"], scores.total)
        return scores


def _check_masks(masks: Sequence[Sequence[int]], rewards: Float[Tensor, "b t"]) -> None:
    """Raises DataError for tokens that the policy did not write: SkyRL's gae reads values through such holes."""
    mask = torch.zeros_like(rewards, dtype=torch.bool)
    for row, counted in enumerate(masks):
        mask[row, : len(counted)] = torch.tensor(counted, dtype=torch.bool)
        if 0 in counted:
            raise DataError(
                f"Answer {row}: token {list(counted).index(0)} is masked, as in dialogues of several turns; use "
                "environments of one turn."
            )
    check_placed(rewards, mask)


def _settings(others: Mapping[str, Any]) -> tuple[float, bool]:
    return others.get("gamma", 1.0), others.get("grpo_norm_by_std", True)


for _name in ESTIMATORS:
    register_advantage_estimator(_name)(engine_estimator(_name, _settings))


def main() -> None:
    """Runs SkyRL with the rewards in the file that SPANWISE_REWARDS names; arguments as `main_base` takes them."""
    from skyrl.train.config import SkyRLTrainConfig  # noqa: PLC0415 - only a run needs SkyRL's engine side
    from skyrl.train.entrypoints.main_base import BasePPOExp, resolve_policy_model_name  # noqa: PLC0415
    from skyrl.train.utils import initialize_ray, validate_cfg  # noqa: PLC0415

    class SpanwiseExp(BasePPOExp):
        def get_generator(self, cfg: Any, tokenizer: Any, inference_engine_client: Any) -> SpanwiseGenerator:
            return SpanwiseGenerator(
                generator_cfg=cfg.generator,
                skyrl_gym_cfg=cfg.environment.skyrl_gym,
                inference_engine_client=inference_engine_client,
                tokenizer=tokenizer,
                policy_model_name=resolve_policy_model_name(cfg),
                pipeline=rewards_of_environment(),
            )

    @ray.remote(num_cpus=1)
    def run(cfg: Any) -> None:
        SpanwiseExp(cfg).run()

    cfg = SkyRLTrainConfig.from_cli_overrides(sys.argv[1:])
    validate_cfg(cfg)
    initialize_ray(cfg)
    ray.get(run.remote(cfg))
