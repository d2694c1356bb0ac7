"""What holds up elsewhere: the study's arms under changed prompts, and its reward sources against spoilt answers.

In the simulated world, where the oracle knows the true score of any answer to a changed prompt. Arms and reward models
are those of another study's folder: `runs`/ARM/seed-N/checkpoints/best and `runs`/reward_models/ARM-seed-N.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field

from experiments.lib.study import PagedStudy, Say
from experiments.robustness.page import robustness_page
from spanwise.core import Config, DataError, write_json
from spanwise.evals.robustness import PERTURBATIONS, perturbed, probe_sources, stress
from spanwise.feedback import PromptRecord
from spanwise.models import AnswerConfig, Policy, Sampling, answer_all, fits
from spanwise.rewards import load_sources
from spanwise.sim import SimItem, Truth, judge, make_items, policy_checkpoint

SFT = "sft"
Answered = dict[str, tuple[PromptRecord, str]]


class RobustnessStudyConfig(Config):
    """Sizes of the study."""

    runs: Path = Path("runs/sim_arms")
    """Folder of the study whose arms are held against changed prompts."""
    arms: tuple[str, ...] = ("preference", "fine-grained")
    """The arms, beside the packaged SFT policy."""
    prompts_a_seed: int = Field(default=64, ge=4)
    """Prompts a seed, each answered greedily."""
    perturbations: tuple[str, ...] = tuple(PERTURBATIONS)
    """How prompts are changed."""
    resamples: int = Field(default=1000, ge=100)
    """Draws of the bootstrap within a seed."""


class RobustnessStudy(PagedStudy[RobustnessStudyConfig, dict[int, dict[str, Any]]]):
    """One file of rows a seed."""

    name = "robustness"
    threads = 1

    @classmethod
    def defaults(cls) -> RobustnessStudyConfig:
        """64 prompts."""
        return RobustnessStudyConfig()

    @classmethod
    def tiny(cls) -> RobustnessStudyConfig:
        """The packaged policy alone, on four prompts."""
        return RobustnessStudyConfig(arms=(), prompts_a_seed=4, perturbations=("reworded", "renamed"), resamples=100)

    def run_seed(self, seed: int, say: Say) -> None:
        """Every policy under every change, then every reward source against spoilt answers of the SFT policy."""
        world = _World(make_items(self.settings.prompts_a_seed, seed=seed, split="robustness"), self.settings, seed)
        rows: list[dict[str, Any]] = []
        ordinary: dict[str, str] = {}
        for name, folder in self._folders(seed).items():
            policy = Policy.load(str(folder), device="cpu")
            plain = world.answered(policy, world.records)
            ordinary = ordinary or {key: text for key, (_, text) in plain.items()}
            for change, records in world.changed.items():
                after = world.answered(policy, records)
                rows += [row.as_dict() for row in stress(name, change, plain, after, truth=world.true_score)]
            say(f"{name} under {len(world.changed)} changes")
        sources = [(arm, source) for arm in self.settings.arms for source in self._sources(arm, seed)]
        probes = [
            {**row.as_dict(), "source": f"{row.source} ({arm})"}
            for arm, source in sources
            for row in probe_sources([source], world.records, ordinary, truth=world.true_score)
        ]
        write_json(self.file(seed), {"stress": rows, "probes": probes})

    def summarise(self, seeds: Sequence[int], say: Say, *, command: str) -> dict[int, dict[str, Any]]:  # noqa: ARG002
        """The rows of all seeds."""
        return {seed: json.loads(self.file(seed).read_text()) for seed in seeds}

    def page(self, result: dict[int, dict[str, Any]], command: str) -> str:
        """The page in Markdown."""
        return robustness_page(result, command)

    def _folders(self, seed: int) -> dict[str, Path]:
        folders = {SFT: policy_checkpoint()}
        for arm in self.settings.arms:
            folders[arm] = self.settings.runs / arm / f"seed-{seed}" / "checkpoints" / "best"
            if not folders[arm].exists():
                raise DataError(f"{folders[arm]} is absent; run the study of the arms first, or set runs=FOLDER.")
        return folders

    def _sources(self, arm: str, seed: int) -> Iterator[Any]:
        folder = self.settings.runs / "reward_models" / f"{arm}-seed-{seed}"
        best = folder / "checkpoints" / "best"
        yield from load_sources(str(best if best.exists() else folder), device="cpu")


class _World:
    """Prompts, their changes, and what is true of each."""

    def __init__(self, items: Sequence[SimItem], settings: RobustnessStudyConfig, seed: int) -> None:
        self.answering = AnswerConfig(sampling=Sampling(max_new_tokens=110))
        self.records = {item.record.id: item.record for item in items}
        self.changed = {name: perturbed(self.records, name, seed=seed) for name in settings.perturbations}
        self._truths: dict[tuple[str, str], Truth] = {}
        for item in items:
            for records in (self.records, *self.changed.values()):
                if item.record.id in records:
                    record = records[item.record.id]
                    self._truths[record.id, record.prompt] = _truth(item, record)

    def true_score(self, record: PromptRecord, text: str) -> float:
        """The oracle's score of an answer to a prompt, changed or not."""
        return judge(text, self._truths[record.id, record.prompt]).quality

    def answered(self, policy: Policy, records: Mapping[str, PromptRecord]) -> Answered:
        """Greedy answers to what fits the policy's window."""
        asked = {key: record for key, record in records.items() if fits(policy, record, self.answering)}
        answers = answer_all(policy, list(asked.values()), self.answering)
        return {answer.id: (asked[answer.id], answer.response) for answer in answers}


def _truth(item: SimItem, record: PromptRecord) -> Truth:
    """The item's own, under the name that the changed passages give its entity."""
    entity = item.truth.entity
    if entity.name in record.prompt:
        return item.truth
    titles = [passage.title for passage in record.passages]
    before = [passage.title for passage in item.record.passages]
    return replace(item.truth, entity=replace(entity, name=titles[before.index(entity.name)]))
