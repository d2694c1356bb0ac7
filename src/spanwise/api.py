"""The short way: what a notebook types. Each function takes paths or objects and calls the rooms; nothing is done here.

`**settings` are the fields of the step's config, as its YAML file and `--help` have them; an unknown one is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeVar

from spanwise import training
from spanwise.core import ConfigError, RunFolder
from spanwise.evals.statistics import Better, Comparison, MetricInfo, ScoreTable, compare_arms
from spanwise.feedback import (
    DemonstrationRecord,
    EditPair,
    FeedbackRecord,
    PromptRecord,
    Record,
    RewardSource,
    load_or_raise,
)
from spanwise.models import Policy
from spanwise.reward_models import HEADS, RewardModelConfig
from spanwise.reward_models.fitting import HeadQuality, train_reward_model
from spanwise.rewards import LearnedRewards, MixtureConfig, Placement, RewardPipeline, SourceWeight
from spanwise.rl import Trainer, TrainerConfig, TrainerParts, algorithms
from spanwise.rl.runtime import ConsoleProgress
from spanwise.training import DPOConfig, DPOResult, SFTConfig, SFTResult

RecordT = TypeVar("RecordT", bound=Record)
FILES_OF_THE_COMMAND = {"data", "test", "checkpoint"}
"""Settings of `spanwise reward` for which programs pass records and paths instead."""


class RewardModel(LearnedRewards):
    """A reward model with its tokenizer, whose heads score parts of responses and serve as reward sources.

    `train` and `from_pretrained` make one, `save_pretrained` keeps it, `sources` gives its heads one by one.
    """

    quality: Mapping[str, HeadQuality] = MappingProxyType({})
    """By head: how good it is on held-out questions, right after training."""

    @classmethod
    def train(
        cls,
        records: Sequence[FeedbackRecord] | str | Path,
        backbone: str | Path,
        *,
        heads: Sequence[str] = HEADS,
        heldout: Sequence[FeedbackRecord] | str | Path = (),
        run_dir: str | Path | None = None,
        **settings: Any,
    ) -> Self:
        """Trains heads on a pretrained encoder or decoder (`backbone`: folder or Hub name) and calibrates them.

        Without `heldout` a share of the questions chooses and calibrates. With a `run_dir`, which must not hold a run,
        config, metrics, results and `checkpoints/best` lie there; without one nothing is written. `settings` are those
        of RewardModelConfig. Raises ConfigError for them, DataError where a head has nothing to learn from.
        """
        for name in FILES_OF_THE_COMMAND & settings.keys():
            raise ConfigError(f"RewardModel.train: {name} is for the command line; pass records and heldout instead.")
        asked = {"backbone": str(backbone), "heads": tuple(heads), **settings}
        config = RewardModelConfig.from_values(asked, place="RewardModel.train")
        folder = None if run_dir is None else _new_run(run_dir)
        questions, judged = _records(records, FeedbackRecord), _records(heldout, FeedbackRecord)
        run = train_reward_model(config, questions, judged, folder=folder)
        model = cls(run.model, run.tokenizer)
        model.quality = run.heads
        return model


@dataclass(frozen=True, slots=True)
class PolicyRun:
    """What `train_policy` leaves behind."""

    run_dir: Path
    """Config, metrics.jsonl, samples.jsonl and checkpoints; `write_report` makes a page of it."""
    checkpoint: Path
    """The policy with the highest held-out reward, a Hugging Face folder."""
    metrics: dict[str, float]
    """The held-out mean reward: first_reward, best_reward (after step best_step) and last_reward."""


def train_sft(
    policy: Policy | str | Path,
    demonstrations: Sequence[DemonstrationRecord] | str | Path,
    heldout: Sequence[DemonstrationRecord] | str | Path,
    *,
    run_dir: str | Path,
    device: str = "auto",
    **settings: Any,
) -> SFTResult:
    """Fine-tunes a policy on demonstrations; the lowest loss on `heldout` chooses the checkpoint.

    A policy in memory is trained in place. `run_dir` must not hold a run. `settings` are those of SFTConfig.
    """
    config = SFTConfig.from_values(settings, place="train_sft")
    run = _new_run(run_dir)
    learned, judged = _records(demonstrations, DemonstrationRecord), _records(heldout, DemonstrationRecord)
    return training.train_sft(_policy(policy, device), learned, judged, config=config, run=run)


def train_dpo(
    policy: Policy | str | Path,
    pairs: Sequence[EditPair] | str | Path,
    heldout: Sequence[EditPair] | str | Path,
    *,
    run_dir: str | Path,
    device: str = "auto",
    **settings: Any,
) -> DPOResult:
    """Trains a policy on edit pairs, without rewards; the lowest loss on `heldout` chooses the checkpoint.

    A policy in memory is trained in place. `run_dir` must not hold a run. `settings` are those of DPOConfig.
    """
    config = DPOConfig.from_values(settings, place="train_dpo")
    run = _new_run(run_dir)
    learned, judged = _records(pairs, EditPair), _records(heldout, EditPair)
    return training.train_dpo(_policy(policy, device), learned, judged, config=config, run=run)


def train_policy(
    policy: Policy | str | Path,
    rewards: LearnedRewards | Sequence[RewardSource] | str | Path,
    prompts: Sequence[PromptRecord] | str | Path,
    heldout: Sequence[PromptRecord] | str | Path,
    *,
    weights: Mapping[str, float | SourceWeight],
    run_dir: str | Path,
    placement: Placement = "end",
    device: str = "auto",
    **settings: Any,
) -> PolicyRun:
    """Trains a policy with rewards on parts of its answers; the mean reward on `heldout` chooses the checkpoint.

    `rewards` is a reward model, its folder, or reward sources of your own; of a model the heads named in `weights`
    count. A policy in memory is trained in place. Where `run_dir` holds a part of this run, it goes on; ConfigError for
    another run. `settings` are those of TrainerConfig, for example steps=50 or algorithm="grpo".
    """
    config = TrainerConfig.from_values(settings, place="train_policy")
    shares = {name: {"weight": w} if isinstance(w, (int, float)) else w for name, w in weights.items()}
    mixture = MixtureConfig.from_values({"sources": shares}, place="train_policy: weights")
    asked, judged = _records(prompts, PromptRecord), _records(heldout, PromptRecord)
    if isinstance(rewards, (str, Path)):
        rewards = LearnedRewards.from_pretrained(rewards, device=device)
    sources = rewards.sources(list(weights)) if isinstance(rewards, LearnedRewards) else rewards
    parts = TrainerParts(
        policy=_policy(policy, device),
        pipeline=RewardPipeline(sources, mixture, placement),
        prompts=asked,
        heldout=judged,
        algorithm=algorithms.make_algorithm(config),
    )
    folder = RunFolder(Path(run_dir))
    with ConsoleProgress(config.steps) as progress:
        result = Trainer(config, parts, folder, progress=progress).run(resume=True)
    return PolicyRun(folder.path, folder.checkpoint("best"), asdict(result))


def compare(
    arm: ScoreTable,
    baseline: ScoreTable,
    *,
    rivals: Mapping[str, ScoreTable] = MappingProxyType({}),
    better: Better = "higher",
    seed: int = 0,
) -> Comparison:
    """The mean difference arm - baseline on the same prompts, with its interval, its chance and a verdict in words.

    `better` says which way the scores improve. `rivals` are the scores of what costs nothing by name, such as the
    baseline policy decoded greedily: the verdict is "better" only where the arm beats the best of them, "sharpens"
    where it does not, "not held" without any. Raises DataError when the tables are not of the same prompts and seeds.
    """
    if taken := {"arm", "baseline"} & rivals.keys():
        raise ConfigError(f"compare: a free rival cannot be called {taken.pop()!r}; name it after its decoding.")
    tables = {name: {"score": table} for name, table in rivals.items()}
    tables |= {"arm": {"score": arm}, "baseline": {"score": baseline}}
    (comparison,) = compare_arms(
        tables,
        {"score": MetricInfo(label="score", better=better)},
        [("arm", "baseline")],
        rivals={"arm": tuple(rivals)},
        seed=seed,
    )
    return comparison


def _policy(policy: Policy | str | Path, device: str) -> Policy:
    return policy if isinstance(policy, Policy) else Policy.load(policy, device=device)


def _records(records: Sequence[RecordT] | str | Path, model: type[RecordT]) -> Sequence[RecordT]:
    return load_or_raise(Path(records), model) if isinstance(records, (str, Path)) else records


def _new_run(run_dir: str | Path) -> RunFolder:
    folder = RunFolder(Path(run_dir))
    if (folder.path / "metrics.jsonl").exists():
        raise ConfigError(f"{run_dir}: holds a run already; choose another run_dir or remove it.")
    return folder
