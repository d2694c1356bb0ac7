"""Dense GRPO and RLOO in the form in which verl and SkyRL ask for advantages. Shapes: b answers, t tokens."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from jaxtyping import Float
from torch import Tensor

from spanwise.rl import DenseEstimator, Match
from spanwise.rl.algorithms import dense_advantages, group_numbers

ESTIMATORS: dict[str, tuple[DenseEstimator, Match]] = {
    "spanwise_grpo": ("grpo", "position"),
    "spanwise_rloo": ("rloo", "position"),
    "spanwise_grpo_relative": ("grpo", "relative"),
    "spanwise_rloo_relative": ("rloo", "relative"),
}
"""Names under which verl and SkyRL know our estimators, each with what it is and its match."""


class EngineEstimator(Protocol):
    """What an engine calls: advantages and returns, both (b, t); `index` names the prompt of each answer."""

    def __call__(
        self,
        token_level_rewards: Float[Tensor, "b t"],
        response_mask: Tensor,
        index: Sequence[Any],
        **others: Any,
    ) -> tuple[Float[Tensor, "b t"], Float[Tensor, "b t"]]: ...


def engine_estimator(name: str, settings: Callable[[Mapping[str, Any]], tuple[float, bool]]) -> EngineEstimator:
    """The estimator of ESTIMATORS with this name.

    `settings` finds gamma, and whether GRPO divides by the deviation, in what else the engine hands over. Errors
    as `dense_advantages` has them.
    """
    estimator, match = ESTIMATORS[name]

    def advantages(
        token_level_rewards: Float[Tensor, "b t"],
        response_mask: Tensor,
        index: Sequence[Any],
        **others: Any,
    ) -> tuple[Float[Tensor, "b t"], Float[Tensor, "b t"]]:
        gamma, divide_by_std = settings(others)
        credit = dense_advantages(
            token_level_rewards,
            response_mask.bool(),
            group_numbers(map(str, index)).to(token_level_rewards.device),
            estimator=estimator,
            match=match,
            gamma=gamma,
            divide_by_std=divide_by_std,
        )
        return credit.advantages, credit.returns

    return advantages
