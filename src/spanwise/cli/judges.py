"""From a judge's settings to the judge: clients and models are imported only for the kind that needs them."""

from collections.abc import Mapping

from spanwise.cli.runner import on_device
from spanwise.core import ConfigError
from spanwise.evals.win_rate.judges import CachedJudge, Judge, JudgeConfig
from spanwise.feedback import PromptRecord

CLIENTS = ("openai", "anthropic")
"""What the extra `judges` installs."""


Asked = Mapping[str, PromptRecord]
"""Prompts by instruction, for judges that take prompt and passages apart."""


def build_judge(config: JudgeConfig, asked: Asked) -> Judge:
    """The judge, behind its cache where one is named."""
    if config.kind in ("local", "reward"):
        config = on_device(config)
    try:
        judge = _bare(config, asked)
    except ModuleNotFoundError as error:
        if error.name not in CLIENTS:
            raise
        raise ConfigError(f"This judge needs {error.name}; install it with: pip install 'spanwise[judges]'") from error
    return judge if config.cache is None else CachedJudge(judge, config.cache)


def _bare(config: JudgeConfig, asked: Asked) -> Judge:
    if config.kind == "openai":
        from spanwise.evals.win_rate.judges import OpenAIJudge

        return OpenAIJudge(config)
    if config.kind == "anthropic":
        from spanwise.evals.win_rate.judges import AnthropicJudge

        return AnthropicJudge(config)
    if config.kind == "local":
        from spanwise.evals.win_rate.judges import load_local

        return load_local(config)
    if config.kind == "reward":
        return _reward(config, asked)
    if config.kind == "oracle":
        return _oracle(config)
    if config.pairs is None:
        raise ConfigError("kind=people needs pairs, a file of feedback records.")
    from spanwise.evals.win_rate.judges import PeopleJudge

    return PeopleJudge(config.pairs, asked)


def _reward(config: JudgeConfig, asked: Asked) -> Judge:
    from spanwise.evals.win_rate.judges import RewardJudge
    from spanwise.rewards import load_sources

    sources = load_sources(config.model, heads=[config.head] if config.head else [], device=config.device)
    if len(sources) > 1:
        names = ", ".join(source.name for source in sources)
        raise ConfigError(f"{config.model}: has the heads {names}; name one with head.")
    return RewardJudge(sources[0], asked)


def _oracle(config: JudgeConfig) -> Judge:
    from spanwise.quickstart import OracleJudge
    from spanwise.sim import make_items

    return OracleJudge(make_items(config.items, seed=config.seed, split=config.split))
