"""One run of `spanwise rl` from its config: loads what it names and trains. Knows nothing of the command line."""

from collections.abc import Callable
from itertools import chain

from spanwise.core import ConfigError, RunFolder, device_line, resolve_device
from spanwise.feedback import PromptRecord, load_or_raise
from spanwise.models import Adapters, Policy, precision
from spanwise.reward_models.network import AdaptedRewardModel
from spanwise.rewards import RewardPipeline, foreign_sources, learned_sources, scorer_sources
from spanwise.rl.algorithms import make_algorithm
from spanwise.rl.config import RLConfig
from spanwise.rl.parts import TrainerParts
from spanwise.rl.runtime import ProgressView, Sampler, VllmSampler, VllmServerSampler, check_same_settings, holds_run
from spanwise.rl.trainer import Trainer, TrainingResult
from spanwise.training import Processes, launched


def train_policy(settings: RLConfig, progress: ProgressView) -> TrainingResult:
    """Trains in `settings.run_dir` and goes on where it holds a part of this run; ConfigError for another run."""
    asked = settings.device
    settings = settings.model_copy(update={"device": resolve_device(asked)})
    if holds_run(settings.run_dir):
        if settings.resume == "never":
            raise ConfigError(f"{settings.run_dir}: holds a run already; set resume=auto, or choose another run_dir.")
        check_same_settings(settings.run_dir, settings)
    processes, process_device = launched()
    device = process_device or settings.device
    if processes.writes:
        progress.noted(device_line(asked, device))
    prompts, heldout = (load_or_raise(path, PromptRecord) for path in (settings.prompts, settings.heldout))
    # Copies of weights that will be split are made where there is room for whole ones.
    start_device = "cpu" if processes.splits and settings.lora is None else device
    policy = Policy.load(
        settings.policy, device=start_device, dtype=precision(settings.dtype, device), attention=settings.attention
    )
    policy.use_prompts(settings.prompt)
    parts = TrainerParts(
        prompts=prompts,
        heldout=heldout,
        policy=policy,
        pipeline=reward_pipeline(
            settings.model_copy(update={"device": device}), policy, progress.noted if processes.writes else None
        ),
        algorithm=make_algorithm(settings),
        sampler=_sampler(settings, policy, processes),
    )
    trainer = Trainer(settings, parts, RunFolder(settings.run_dir), progress=progress, processes=processes)
    return trainer.run(resume=True)


def _sampler(settings: RLConfig, policy: Policy, processes: Processes) -> Sampler | None:
    rollout = settings.rollout
    if rollout.backend == "transformers":
        return None
    if rollout.backend == "vllm":
        return VllmSampler.load(policy, settings.policy, memory_share=rollout.vllm_memory)
    folder = settings.run_dir / "rollout-weights"
    return VllmServerSampler.load(policy, rollout.server, settings.sampling, folder, processes=processes)


def reward_pipeline(
    settings: RLConfig, policy: Policy | None = None, say: Callable[[str], None] | None = None
) -> RewardPipeline:
    """The reward models and scorers of the config as sources, weighed by its mixture.

    With lora, reward models that are adapters on the policy's own base model share its weights. `say` is told whether
    they do or not.
    """
    onto = None
    if policy is not None and settings.lora is not None:
        onto = Adapters(policy.model)
        policy.role = onto.role(None)
    learned = learned_sources(settings.reward_models, device=settings.device, onto=onto)
    for name, (source, *_) in learned.items():
        if policy is not None:
            policy.form.check_beside(source.form, place=f"reward_models.{name}")
        if say is not None and isinstance(source.model, AdaptedRewardModel):
            say(_whose_weights(name, source.model, settings))
    own = [*chain.from_iterable(learned.values()), *scorer_sources(settings.scorers, device=settings.device)]
    others = foreign_sources(settings.sources, device=settings.device, beside=own, policy=policy)
    sources = [*own, *others]
    return RewardPipeline(sources, settings.mixture, settings.placement)


def _whose_weights(name: str, model: AdaptedRewardModel, settings: RLConfig) -> str:
    if model.shares:
        return f"reward model {name} shares the policy's weights."
    reason = "the policy trains all weights (no lora)" if settings.lora is None else "the policy is another model"
    return f"reward model {name} holds its base model {model.base} by itself: {reason}."
