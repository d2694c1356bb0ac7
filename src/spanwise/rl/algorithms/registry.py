"""The algorithms by name. One file each; `make_algorithm` is the only place that knows them all."""

from spanwise.core import ConfigError, load_object
from spanwise.rl.algorithms.expert_iteration import ExpertIteration
from spanwise.rl.algorithms.grpo import GRPO
from spanwise.rl.algorithms.ppo import PPO
from spanwise.rl.algorithms.reinforce_plus_plus import ReinforcePlusPlus
from spanwise.rl.algorithms.rloo import RLOO
from spanwise.rl.algorithms.types import Algorithm
from spanwise.rl.config import TrainerConfig

__all__ = ["GRPO", "PPO", "RLOO", "ExpertIteration", "ReinforcePlusPlus", "make_algorithm"]


def make_algorithm(config: TrainerConfig) -> Algorithm:
    """The algorithm that `config.algorithm` names, with its settings; one of one's own is made with `config`."""
    match config.algorithm:
        case "ppo":
            return PPO(config.ppo)
        case "grpo":
            return GRPO(config.ppo, config.group)
        case "rloo":
            return RLOO(config.ppo, config.group)
        case "reinforce++":
            return ReinforcePlusPlus(config.ppo)
        case "expert-iteration":
            return ExpertIteration()
        case path:
            return _own(path, config)


def _own(path: str, config: TrainerConfig) -> Algorithm:
    algorithm = load_object(path, place="algorithm")(config)
    if not isinstance(algorithm, Algorithm):
        raise ConfigError(f"algorithm: {path} makes no algorithm; it needs the methods advantages and policy_loss.")
    return algorithm
