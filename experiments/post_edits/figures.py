"""Token rewards from human post-edits, tested on tags of words that no training saw: arms, baselines, figures.

Arms: token rewards; a model of whole responses trained on the same pairs as preferences, with occlusion; a logistic
regression on surface features of words, from the same pairs; its best features by themselves. Epochs and thresholds
are chosen on a part of the train files, every figure is of the dev files. A trained model in the output folder is read
again, so that a study that was stopped goes on. Shapes: n words, s texts.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from pydantic import Field

from experiments.post_edits.data import (
    LANGUAGES,
    PostEdits,
    as_preferences,
    drawn,
    language_of,
    select_pairs,
    tagged_words,
)
from experiments.post_edits.surface import FEATURES, SINGLE, MarkedText, SurfaceModel
from experiments.post_edits.words import (
    Localisation,
    Words,
    badness,
    best_threshold,
    localisation,
    mean_scores,
    occlusion_badness,
    sequence_scores,
    words_of,
)
from spanwise.core import Config, ConfigError, RunFolder, numpy_generator
from spanwise.feedback import EditPair, Sample
from spanwise.reward_models import RewardModelConfig, TokenRewardConfig
from spanwise.reward_models.fitting import Backbone, TokenData, train_reward_model, train_token_model
from spanwise.rewards import LearnedSource, load_sources
from spanwise.text import align_texts

TOKEN, OCCLUSION, SURFACE = "token rewards", "sequence model, occlusion", "surface features"

Say = Callable[[str], None]


class PostEditStudyConfig(Config):
    """Sizes of the study; how the models learn is in their own configs."""

    train: int = Field(default=2500, ge=1)
    """Pairs to learn from, per language."""
    tune: int = Field(default=300, ge=1)
    """Pairs to choose epochs and thresholds by, per language."""
    dev: int | None = Field(default=None, ge=1)
    """Pairs to judge on, per language; empty = all."""
    occluded: int = Field(default=150, ge=1)
    """Dev pairs per language on which the sequence model is asked word by word, one forward pass each."""
    resamples: int = Field(default=1000, ge=2)
    """Bootstrap resamples of sentences."""
    seed: int = 0
    """Seed of the choice of pairs and of the resamples."""


@dataclass(frozen=True, slots=True)
class _Models:
    token: LearnedSource
    sequence: LearnedSource
    surface: SurfaceModel


def run_study(
    config: PostEditStudyConfig,
    data: Path,
    out: Path,
    *,
    token: TokenRewardConfig,
    sequence: RewardModelConfig,
    backbone: Backbone,
    say: Say,
) -> dict[str, Any]:
    """Trains what is not in `out` yet and returns all figures as plain values."""
    started = time.process_time()
    parts = select_pairs(data, train=config.train, tune=config.tune, dev=config.dev, seed=config.seed)
    models = _models(parts, out, token=token, sequence=sequence, backbone=backbone, say=say)
    found: dict[str, Any] = {
        "settings": config.model_dump(mode="json"),
        "token": token.model_dump(mode="json"),
        "sequence": sequence.model_dump(mode="json"),
        "pairs": {"train": len(parts.train), "tune": len(parts.tune), "dev": len(parts.dev)},
        "words": _plain(_word_figures(config, parts, models)),
        "occluded": _plain(_occluded_figures(config, parts, models)),
    }
    say("words are judged")
    found |= {"edit_pairs": _pair_accuracy(parts.dev, models), "translations": _concordance(parts.dev, models)}
    return found | {"cpu_minutes": round((time.process_time() - started) / 60, 1)}


def marked_text(pair: EditPair) -> MarkedText:
    """The original with the words that the edit changed; words that stay between changes are not changed."""
    edit = align_texts(pair.original, pair.edited, merge_gap=0)
    return MarkedText(pair.original, tuple(part.original for part in edit.changes), pair.edited)


def is_trained(folder: Path, config: Config) -> bool:
    """Whether `folder` holds a model that was trained by `config`; ConfigError where by another one."""
    if not (folder / "checkpoints" / "best").exists():
        return False
    config_then = type(config).load(folder / "config.yaml")
    if config_then != config:
        raise ConfigError(f"{folder}: holds a model trained by another config; choose another output folder.")
    return True


def _models(
    parts: PostEdits,
    out: Path,
    *,
    token: TokenRewardConfig,
    sequence: RewardModelConfig,
    backbone: Backbone,
    say: Say,
) -> _Models:
    if not is_trained(out / "token", token):
        heldout = TokenData(edits=parts.tune)
        train_token_model(
            token, TokenData(edits=parts.train), heldout=heldout, backbone=backbone, folder=RunFolder(out / "token")
        )
        say("token rewards are trained")
    if not is_trained(out / "sequence", sequence):
        train_reward_model(
            sequence,
            as_preferences(parts.train),
            as_preferences(parts.tune),
            backbone=backbone,
            folder=RunFolder(out / "sequence"),
        )
        say("the sequence model is trained")
    surface = SurfaceModel([marked_text(pair) for pair in parts.train])
    (rewards,), (preference,) = (load_sources(out / name / "checkpoints" / "best") for name in ("token", "sequence"))
    return _Models(rewards, preference, surface)


def _word_figures(config: PostEditStudyConfig, parts: PostEdits, models: _Models) -> dict[str, Localisation]:
    """Of all languages together and of each; the threshold is that of the tuning pairs of all languages."""
    words, tuning = tagged_words(parts.dev), tagged_words(parts.tune)
    arms, known = _arms(parts.dev, models), _arms(parts.tune, models)
    thresholds = {name: best_threshold(tuning, scores) for name, scores in known.items()}
    language = np.array([language_of(pair) for pair in parts.dev])[words.group]
    found: dict[str, Localisation] = {}
    for name in ("all", *LANGUAGES):
        kept = np.ones(len(language), dtype=np.bool_) if name == "all" else language == name
        mine = {arm: scores[kept] for arm, scores in arms.items()}
        found[name] = _localisation(config, words.where(kept), mine, thresholds)
    return found


def _occluded_figures(config: PostEditStudyConfig, parts: PostEdits, models: _Models) -> dict[str, Localisation]:
    """The sequence model beside the token model on the same few pairs; its threshold is from as many tuning pairs."""
    few = config.occluded
    judged = drawn(parts.dev, per_language=few, seed=config.seed, purpose="occluded")
    tuning = drawn(parts.tune, per_language=min(few, config.tune) // 3 or 1, seed=config.seed, purpose="occluded")
    thresholds: dict[str, float] = {}
    arms: dict[str, Float[np.ndarray, " n"]] = {}
    for name, score in ((TOKEN, _token_badness), (OCCLUSION, _occlusion)):
        thresholds[name] = best_threshold(tagged_words(tuning), score(tuning, models))
        arms[name] = score(judged, models)
    return {"all": _localisation(config, tagged_words(judged), arms, thresholds)}


def _arms(pairs: Sequence[EditPair], models: _Models) -> dict[str, Float[np.ndarray, " n"]]:
    texts = [pair.original for pair in pairs]
    columns = models.surface.features(texts)
    single = {name: columns[:, FEATURES.index(name)] for name in SINGLE}
    return {TOKEN: _token_badness(pairs, models), SURFACE: models.surface.badness(texts), **single}


def _token_badness(pairs: Sequence[EditPair], models: _Models) -> Float[np.ndarray, " n"]:
    scored = models.token.score(_samples([pair.original for pair in pairs]))
    return np.concatenate(
        [np.array(badness(pair.original, scores)) for pair, scores in zip(pairs, scored, strict=True)]
    )


def _occlusion(pairs: Sequence[EditPair], models: _Models) -> Float[np.ndarray, " n"]:
    return occlusion_badness(models.sequence, _samples([pair.original for pair in pairs]))


def _localisation(
    config: PostEditStudyConfig, words: Words, arms: dict[str, Float[np.ndarray, " n"]], thresholds: dict[str, float]
) -> Localisation:
    generator = numpy_generator(config.seed, "post-edits/interval")
    return localisation(words, arms, thresholds, generator=generator, resamples=config.resamples)


def _wholes(texts: Sequence[str], models: _Models) -> dict[str, Float[np.ndarray, " s"]]:
    """What each arm says of whole texts, the higher the better; `longer` is the trivial one."""
    return {
        "token rewards": mean_scores(models.token, _samples(texts)),
        "sequence model": sequence_scores(models.sequence, _samples(texts)),
        "surface features": -np.array([float(models.surface.badness([text]).mean()) for text in texts]),
        "longer": np.array([float(len(words_of(text))) for text in texts]),
    }


def _pair_accuracy(pairs: Sequence[EditPair], models: _Models) -> dict[str, dict[str, float]]:
    """How often the post-edit is preferred to the translation; equal scores count half, identical pairs do not."""
    differing = [pair for pair in pairs if pair.original.split() != pair.edited.split()]
    before = _wholes([pair.original for pair in differing], models)
    after = _wholes([pair.edited for pair in differing], models)
    language = np.array([language_of(pair) for pair in differing])
    counts = {"all": float(len(differing))} | {name: float((language == name).sum()) for name in LANGUAGES}
    found: dict[str, dict[str, float]] = {"pairs": counts}
    for arm in before:
        right = (after[arm] > before[arm]) + 0.5 * (after[arm] == before[arm])
        found[arm] = {"all": float(right.mean())} | {n: float(right[language == n].mean()) for n in LANGUAGES}
    return found


def _concordance(pairs: Sequence[EditPair], models: _Models) -> dict[str, dict[str, float]]:
    """Transfer: of two translations of one language, is the one that needed less editing preferred?"""
    wholes = _wholes([pair.original for pair in pairs], models)
    effort = np.array([float(pair.provenance["hter"]) for pair in pairs])
    language = np.array([language_of(pair) for pair in pairs])
    return {
        arm: {name: _concordant(scores[language == name], -effort[language == name]) for name in LANGUAGES}
        for arm, scores in wholes.items()
    }


def _concordant(scores: Float[np.ndarray, " s"], truth: Float[np.ndarray, " s"]) -> float:
    """Share of the pairs with different truths that the scores put in the right order; equal scores count half."""
    order = np.sign(scores[:, None] - scores[None])[np.triu_indices(len(scores), 1)]
    right = np.sign(truth[:, None] - truth[None])[np.triu_indices(len(truth), 1)]
    decided = right != 0
    return float((1 + (order * right)[decided]).mean() / 2)


def _samples(texts: Sequence[str]) -> list[Sample]:
    return [Sample("", text) for text in texts]


def _plain(found: dict[str, Localisation]) -> dict[str, Any]:
    return {
        part: {
            figure: {arm: one.model_dump(mode="json") for arm, one in getattr(figures, figure).items()}
            for figure in ("auroc", "auroc_gain", "matthews", "matthews_gain")
        }
        for part, figures in found.items()
    }
