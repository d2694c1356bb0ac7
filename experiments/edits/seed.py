"""One seed of the study of edits: equal pairs, reward models, and one PPO run per arm (Xu et al. 2024).

Every part leaves its files under the root and is read from there on a restart: the answers, each reward
model and each arm. What several seeds say together is in `results.py`.
"""

import copy
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from experiments.edits.arms import ARMS, EDITS, LABELLED, ORIGINAL, SFT, EditArm, make_pipeline
from experiments.edits.pairs import PairSet, make_pairs
from experiments.edits.quality import localisation, pair_accuracies
from experiments.lib.outcomes import StoredTable
from spanwise.core import Config, RunFolder, derive_seed, read_json, write_json
from spanwise.feedback import RewardSource, Sample
from spanwise.models import Policy, Sampling
from spanwise.quickstart import answer_items, sample_texts, score_answers
from spanwise.reward_models import FittingConfig, RewardModelConfig, TokenLossConfig, TokenRewardConfig
from spanwise.reward_models.data import InputEncoder, PairExample, pair_examples
from spanwise.reward_models.fitting import TokenData, train_reward_model, train_token_model
from spanwise.reward_models.network import load_backbone, load_reward_model
from spanwise.rewards import Aggregate, LearnedRewards
from spanwise.rl import (
    EvaluationConfig,
    KLConfig,
    RolloutConfig,
    Trainer,
    TrainerConfig,
    TrainerParts,
    UpdateConfig,
)
from spanwise.rl.algorithms import PPO
from spanwise.sim import (
    EXACT,
    WINDOW,
    NoiseConfig,
    OracleSource,
    SimItem,
    base_checkpoint,
    make_items,
    policy_checkpoint,
)
from spanwise.training import OptimizerConfig

TEST_SEED = 0
"""All training seeds are tested on the same prompts, so that intervals over both can be had."""
REFERENCE_PAIRS = 128
"""Training pairs whose answers give the mean and deviation of each reward."""


class EditStudyConfig(Config):
    """Sizes and settings of the study."""

    arms: tuple[str, ...] = tuple(ARMS)
    """Which arms to train; see arms.py."""
    pair_prompts: int = Field(default=600, ge=8)
    """Prompts whose answers are compared and edited, the same for every reward model."""
    samples_per_prompt: int = Field(default=4, ge=2)
    """Answers per such prompt; neighbours make a pair."""
    quality_prompts: int = Field(default=200, ge=4)
    """Further prompts on whose pairs the reward models are measured."""
    localised_pairs: int = Field(default=100, ge=2)
    """Of those pairs, how many are searched for the changed tokens; occlusion is slow."""
    rl_prompts: int = Field(default=1000, ge=1)
    """Prompts for PPO."""
    curve_prompts: int = Field(default=64, ge=1)
    """Held-out prompts on which the oracle follows each arm step by step."""
    test_prompts: int = Field(default=400, ge=2)
    """Prompts on which the oracle judges every arm after its last step."""
    split: str = ""
    """Put before the names of the splits; settings are chosen on other ones than those of the results."""
    noise: NoiseConfig = NoiseConfig()
    """How unreliable annotator and editor are."""
    sampling: Sampling = Sampling(temperature=1.0, max_new_tokens=110)
    """How answers are sampled, for pairs, PPO and the test alike."""
    sequence_fitting: FittingConfig = FittingConfig(
        method="linear", strengths=(0.001, 0.01, 0.1, 1.0), state_scales=(0.0, 0.1, 0.3)
    )
    """Training of the sequence reward models."""
    token_fitting: FittingConfig = FittingConfig(
        method="linear", strengths=(0.01, 0.1, 1.0, 10.0), state_scales=(0.0, 0.1, 0.3)
    )
    """Training of the token reward models."""
    loss: TokenLossConfig = TokenLossConfig(temperature=3.0, consistency=1.0, neutral=1.0)
    """Temperature and weights of the token losses; the arm names the loss."""
    label_weight: float = 3.0
    """Weight of the labels where a model learns from labels, too."""
    aggregate: Aggregate = "fixed"
    """How token rewards add up to the reward of a response."""
    trainer: TrainerConfig = TrainerConfig(
        steps=16,
        rollout=RolloutConfig(prompts_per_step=16, samples_per_prompt=4),
        kl=KLConfig(coef=0.2),
        update=UpdateConfig(epochs=2, minibatch_size=32, micro_batch_size=32),
        policy_optimizer=OptimizerConfig(learning_rate=3e-4),
        value_optimizer=OptimizerConfig(learning_rate=1e-3),
        evaluation=EvaluationConfig(every=2, decoding="sample"),
    )
    """PPO; its sampling and its held-out prompts are replaced by the study's."""

    RENAMED: ClassVar[Mapping[str, str]] = {"responses_per_prompt": "samples_per_prompt"}


class EditSeed:
    """The files of one seed; a part is made when it is asked for and not there yet."""

    def __init__(self, config: EditStudyConfig, seed: int, root: Path, *, say: Callable[[str], None]) -> None:
        self.config = config
        self.seed = seed
        self.folder = root / f"seed-{seed}"
        self.say = say
        self._loaded: dict[str, RewardSource] = {}

    def run(self, *, only_quality: bool = False) -> None:
        """All parts that are missing: quality of the reward models, baseline, arms."""
        if not self.outcome_file("quality").exists():
            self._save("quality", self._quality())
        for arm in () if only_quality else (SFT, *self.config.arms):
            if not self.outcome_file(arm).exists():
                self._save(arm, self._arm(arm))

    def outcome_file(self, part: str) -> Path:
        """Where the outcome of an arm, of sft or of the quality lies."""
        return self.folder / "outcomes" / f"{part}.json"

    def items(self, split: str, count: int) -> list[SimItem]:
        """The first items of a split of this seed."""
        return make_items(count, seed=self.seed, split=self.config.split + split)

    @cached_property
    def policy(self) -> Policy:
        """The SFT policy that every arm starts from."""
        return Policy.load(str(policy_checkpoint()))

    @cached_property
    def pairs(self) -> PairSet:
        """The training pairs."""
        return self._pairs("pairs", self.config.pair_prompts, self.config.noise)

    def quality_pairs(self, noise: NoiseConfig) -> PairSet:
        """Pairs of other prompts, on which the reward models are measured."""
        return self._pairs("quality", self.config.quality_prompts, noise)

    @cached_property
    def reference(self) -> list[Sample]:
        """Answers of the SFT policy to training prompts, on which rewards are standardised."""
        records = self.pairs.original[:REFERENCE_PAIRS]
        return [Sample(r.prompt, response.text, r.passages) for r in records for response in r.responses]

    def source(self, name: str) -> RewardSource:
        """The reward source of a sequence model (original, edits), or of the token model of that loss or LABELLED."""
        if name not in self._loaded:
            folder = self.folder / "reward_models" / name
            if not (folder / "checkpoints" / "best").exists():
                self.say(f"Training the reward model: {name}")
                self._train(name, RunFolder(folder))
            (self._loaded[name],) = LearnedRewards(*load_reward_model(folder / "checkpoints" / "best")).sources()
        return self._loaded[name]

    def _train(self, name: str, folder: RunFolder) -> None:
        backbone = load_backbone(str(base_checkpoint()), language_model=True)
        seed = derive_seed(self.seed, f"sim/reward/{name}")
        if name in (ORIGINAL, EDITS):
            settings = RewardModelConfig(
                heads=("preference",), fitting=self.config.sequence_fitting, likelihoods=True, seed=seed, device="cpu"
            )
            records = self.pairs.original if name == ORIGINAL else self.pairs.edit_records
            train_reward_model(settings, records, backbone=backbone, folder=folder)
            return
        token = TokenRewardConfig.model_validate(
            {
                "loss": {**self.config.loss.model_dump(), **({} if name == LABELLED else {"name": name})},
                "label_edits": name == LABELLED,
                "label_weight": self.config.label_weight,
                "fitting": self.config.token_fitting.model_dump(),
                "likelihoods": True,
                "seed": seed,
                "device": "cpu",
            }
        )
        train_token_model(token, TokenData(edits=self.pairs.edits), backbone=backbone, folder=folder)

    def _quality(self) -> dict[str, Any]:
        tests = {name: self.quality_pairs(noise) for name, noise in (("noisy", self.config.noise), ("exact", EXACT))}
        models = dict.fromkeys([ORIGINAL, EDITS, *(arm.token for arm in self._arms() if arm.token)])
        found: dict[str, Any] = {"train_pairs": len(self.pairs.edits), "left_out": self.pairs.left_out}
        found |= {f"test_pairs/{name}": len(test.edits) for name, test in tests.items()}
        for model in models:
            self.say(f"Measuring the reward model: {model}")
            source = self.source(model)
            places = {name: self._localised(source, test) for name, test in tests.items()}
            found[model] = {"accuracy": pair_accuracies(source, tests), "localisation": places}
        return found

    def _localised(self, source: RewardSource, test: PairSet) -> dict[str, float]:
        # All models of the study have one tokenizer, so that one alignment says which tokens changed for all.
        encoder = InputEncoder(self.policy.tokenizer, max_length=WINDOW, use_passages=True, densities=("token",))
        examples: list[PairExample] = []
        samples: list[Sample] = []
        for pair in test.edits[: self.config.localised_pairs]:
            found, _ = pair_examples([pair], encoder, TokenRewardConfig())
            examples += found
            samples += [Sample(pair.prompt, pair.original, pair.passages)] * len(found)
        return localisation(source, examples, samples)

    def _arm(self, name: str) -> dict[str, Any]:
        start = time.perf_counter()
        folder = RunFolder(self.folder / "arms" / name)
        policy = self.policy if name == SFT else self._ppo(name, folder)
        trained = time.perf_counter() - start
        self.say(f"Judging {name}")
        items = make_items(self.config.test_prompts, seed=TEST_SEED, split=f"{self.config.split}test")
        answers = answer_items(policy, self.policy, items, sampling=self.config.sampling, seed=self.seed)
        tables = score_answers(items, answers, seed=self.seed)
        return {
            "tables": {metric: StoredTable.of(table).model_dump() for metric, table in tables.items()},
            "seconds": {"train": round(trained, 1), "all": round(time.perf_counter() - start, 1)},
        }

    def _ppo(self, name: str, folder: RunFolder) -> Policy:
        self.say(f"PPO, {ARMS[name].label}")
        config = self.config
        prompts = self.items("rl", config.rl_prompts)
        heldout = self.items("rl-heldout", config.curve_prompts)
        pairs = self.items("pairs", config.pair_prompts)
        shown = {"max_prompts": config.curve_prompts, "logged_samples": config.curve_prompts}
        trainer = config.trainer.model_copy(
            update={
                "seed": derive_seed(self.seed, "sim/rl"),
                "sampling": config.sampling,
                "evaluation": config.trainer.evaluation.model_copy(update=shown),
            }
        )
        arm = ARMS[name]
        parts = TrainerParts(
            policy=Policy(copy.deepcopy(self.policy.model), self.policy.tokenizer),
            pipeline=make_pipeline(
                arm,
                {model: self.source(model) for model in (arm.token, arm.sequence) if model},
                OracleSource([*prompts, *heldout, *pairs]),
                self.reference,
                aggregate=config.aggregate,
                seed=self.seed,
            ),
            prompts=[item.record for item in prompts],
            heldout=[item.record for item in heldout],
            algorithm=PPO(trainer.ppo),
        )
        Trainer(trainer, parts, folder).run(resume=True)
        return parts.policy

    def _pairs(self, split: str, prompts: int, noise: NoiseConfig) -> PairSet:
        file = self.folder / "answers" / f"{split}.json"
        items = self.items(split, prompts)
        if not file.exists():
            count = self.config.samples_per_prompt
            self.say(f"Sampling {count} answers to each of {prompts} prompts ({split})")
            rows = sample_texts(self.policy, items, sampling=self.config.sampling, samples=count, seed=self.seed)
            write_json(file, rows)
        return make_pairs(items, [[(t, c) for t, c in row] for row in read_json(file)], noise=noise, seed=self.seed)

    def _arms(self) -> list[EditArm]:
        return [ARMS[name] for name in self.config.arms]

    def _save(self, part: str, outcome: dict[str, Any]) -> None:
        stored = {"seed": self.seed, "config": self.config.model_dump(mode="json"), **outcome}
        write_json(self.outcome_file(part), stored)
