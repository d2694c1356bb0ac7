"""Token rewards from corrections tested on marked spans, and from marked spans tested on corrections; out of fold.

Two token models per fold of questions, one that saw only corrections and one that saw only marks, and a logistic
regression on surface features of words for each kind of supervision. Every word is judged by models that saw neither
its question nor the kind of label that it is tested on, beside those that saw the same kind. What a fold said is kept
in the output folder, so that a study that was stopped goes on. Shapes: n words.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field

from experiments.corrections.folds import Correction, corrections_of, minimal, span_agreement
from experiments.post_edits.surface import MarkedText, SurfaceModel
from experiments.post_edits.words import Localisation, Words, badness, best_threshold, localisation, touched, words_of
from experiments.qa_feedback.data import folds_by_question
from spanwise.core import Config, ConfigError, numpy_generator, parse, read_text, write_json
from spanwise.feedback import FeedbackRecord, Sample
from spanwise.reward_models import TokenRewardConfig
from spanwise.reward_models.fitting import Backbone, TokenData, train_token_model
from spanwise.rewards import LearnedRewards
from spanwise.text import Method

Kind = Literal["corrections", "spans"]
KINDS: tuple[Kind, ...] = ("corrections", "spans")
ALIGNMENTS: dict[str, tuple[Method, int]] = {
    "positional": ("positional", 0),
    "levenshtein": ("levenshtein", 0),
    "matching blocks": ("matching-blocks", 0),
    "matching blocks, gaps of 2 joined": ("matching-blocks", 2),
}
MINIMAL = 0.6

Say = Callable[[str], None]
Arms = dict[str, Float[np.ndarray, " n"]]


class CorrectionsStudyConfig(Config):
    """Sizes of the study; how the models learn is in their own config."""

    folds: int = Field(default=5, ge=2)
    """Folds of questions."""
    resamples: int = Field(default=1000, ge=2)
    """Bootstrap resamples of questions."""
    seed: int = 0
    """Seed of the folds and of the resamples."""


def run_corrections(
    config: CorrectionsStudyConfig,
    records: Sequence[FeedbackRecord],
    out: Path,
    *,
    token: TokenRewardConfig,
    backbone: Backbone,
    say: Say,
) -> dict[str, Any]:
    """Judges every fold that is not in `out` yet and returns all figures as plain values."""
    started = time.process_time()
    items = corrections_of(records)
    fold = folds_by_question([item.record for item in items], count=config.folds, seed=config.seed)
    settings = {"study": config.model_dump(mode="json"), "token": token.model_dump(mode="json"), "items": len(items)}
    said: list[dict[str, list[list[float]]]] = []
    for number in range(config.folds):
        path = out / f"fold-{number}.json"
        if not path.exists():
            write_json(path, {"settings": settings, "said": _fold(items, fold, number, token, backbone)})
            say(f"fold {number + 1} of {config.folds} is judged")
        stored = parse(read_text(path))
        if stored["settings"] != settings:
            raise ConfigError(f"{path}: was made with other settings; choose another output folder.")
        said.append(stored["said"])
    arms = _joined(items, fold, said)
    return {
        "settings": settings,
        "agreement": agreement_figures(items),
        "tests": {kind: _figures(config, items, fold, arms, kind) for kind in KINDS},
        "cpu_minutes": round((time.process_time() - started) / 60, 1),
    }


def agreement_figures(items: Sequence[Correction]) -> dict[str, Any]:
    """Precision, recall and F1 of changed words against marked ones: by alignment, of all items and of minimal ones."""
    return {
        part: {name: asdict(span_agreement(some, *how)) for name, how in ALIGNMENTS.items()}
        for part, some in (("all", list(items)), ("minimal", minimal(items, kept=MINIMAL)))
    }


def target(items: Sequence[Correction], kind: Kind) -> Words:
    """Every word of the answers; bad by the marks, or by the corrections."""
    group: list[int] = []
    bad: list[bool] = []
    for number, item in enumerate(items):
        marked = _marked(item, kind)
        flags = touched(words_of(marked.text), marked.bad)
        group += [number] * len(flags)
        bad += flags
    return Words(np.array(group, dtype=np.int64), np.array(bad, dtype=np.bool_))


def _marked(item: Correction, kind: Kind) -> MarkedText:
    return item.changed if kind == "corrections" else item.marked


def _fold(
    items: Sequence[Correction], fold: Sequence[int], number: int, token: TokenRewardConfig, backbone: Backbone
) -> dict[str, list[list[float]]]:
    """What each arm says of the words of each answer of one fold."""
    seen = [item for item, of in zip(items, fold, strict=True) if of != number]
    judged = [item for item, of in zip(items, fold, strict=True) if of == number]
    said: dict[str, list[list[float]]] = {}
    for kind in KINDS:
        data = (
            TokenData(edits=[item.pair for item in seen])
            if kind == "corrections"
            else TokenData(spans=[item.marks_only for item in seen])
        )
        run = train_token_model(token, data, backbone=backbone)
        (source,) = LearnedRewards(run.model, run.tokenizer).sources()
        samples = [Sample(item.pair.prompt, item.pair.original, item.pair.passages) for item in judged]
        scored = source.score(samples)
        said[f"token rewards from {kind}"] = [
            badness(sample.response, scores) for sample, scores in zip(samples, scored, strict=True)
        ]
        surface = SurfaceModel([_marked(item, kind) for item in seen])
        said[f"surface features from {kind}"] = [surface.badness([item.response.text]).tolist() for item in judged]
    said["place"] = [_places(item.response.text) for item in judged]
    said["length"] = [[float(len(word)) for word in words_of(item.response.text)] for item in judged]
    return said


def _places(text: str) -> list[float]:
    count = len(words_of(text))
    return [place / count for place in range(count)]


def _joined(
    items: Sequence[Correction], fold: Sequence[int], said: Sequence[dict[str, list[list[float]]]]
) -> dict[str, list[list[float]]]:
    """The folds in the order of the items."""
    found: dict[str, list[list[float]]] = {}
    for arm in said[0]:
        rows = [iter(one[arm]) for one in said]
        found[arm] = [next(rows[of]) for of, _ in zip(fold, items, strict=True)]
    return found


def _figures(
    config: CorrectionsStudyConfig,
    items: Sequence[Correction],
    fold: Sequence[int],
    arms: dict[str, list[list[float]]],
    kind: Kind,
) -> dict[str, Any]:
    """AUROC and Matthews correlation of all arms on one kind of label; the first arm learnt from the other kind.

    The threshold of a fold is the best one on the other folds.
    """
    other = KINDS[1 - KINDS.index(kind)]
    words = target(items, kind)
    of = np.array(fold)[words.group]
    order = sorted(arms, key=lambda arm: arm != f"token rewards from {other}")
    scores: Arms = {arm: np.array([value for row in arms[arm] for value in row]) for arm in order}
    shifted: Arms = {}
    for arm, values in scores.items():
        thresholds = np.zeros(len(values))
        for number in range(config.folds):
            rest = of != number
            thresholds[~rest] = best_threshold(words.where(rest), values[rest])
        shifted[arm] = values - thresholds
    generator = numpy_generator(config.seed, "corrections/interval")
    by_area = localisation(words, scores, dict.fromkeys(scores, 0.0), generator=generator, resamples=config.resamples)
    generator = numpy_generator(config.seed, "corrections/interval")
    by_call = localisation(words, shifted, dict.fromkeys(scores, 0.0), generator=generator, resamples=config.resamples)
    return {"bad_share": float(words.bad.mean()), "words": len(words.bad), **_plain(by_area, by_call)}


def _plain(by_area: Localisation, by_call: Localisation) -> dict[str, Any]:
    """AUROC of the scores as they are, Matthews correlation of the scores less the threshold of their fold."""
    parts = {
        "auroc": by_area.auroc,
        "auroc_gain": by_area.auroc_gain,
        "matthews": by_call.matthews,
        "matthews_gain": by_call.matthews_gain,
    }
    return {name: {arm: one.model_dump(mode="json") for arm, one in part.items()} for name, part in parts.items()}
