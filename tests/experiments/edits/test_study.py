"""The study of edits in miniature: equal pairs, arms that differ in the reward alone, and a page made of its files."""

import re
from pathlib import Path

import numpy as np
import pytest

from experiments.edits.arms import ARMS, make_pipeline
from experiments.edits.page import write_page
from experiments.edits.pairs import better_and_worse, make_pairs
from experiments.edits.results import collect, reach
from experiments.edits.seed import EditSeed, EditStudyConfig
from spanwise.core.errors import DataError
from spanwise.feedback.scores import Sample, SegmentScore, SegmentScores
from spanwise.models.config import Sampling
from spanwise.reward_models.config import FittingConfig
from spanwise.rl.config import EvaluationConfig, RolloutConfig, TrainerConfig, UpdateConfig
from spanwise.sim.annotator import EXACT
from spanwise.text.spans import Span

ARMS_TRIED = ("sequence-edits", "token", "token-labels", "placebo", "density", "hybrid", "oracle")
SMALL = EditStudyConfig(
    arms=ARMS_TRIED,
    pair_prompts=16,
    quality_prompts=6,
    localised_pairs=4,
    rl_prompts=8,
    curve_prompts=4,
    test_prompts=8,
    sampling=Sampling(max_new_tokens=48),
    sequence_fitting=FittingConfig(method="linear", strengths=(0.1,), state_scales=(0.1,)),
    token_fitting=FittingConfig(method="linear", strengths=(0.1,), state_scales=(0.1,)),
    trainer=TrainerConfig(
        steps=2,
        value_warmup_steps=1,
        rollout=RolloutConfig(prompts_per_step=2, samples_per_prompt=2),
        update=UpdateConfig(epochs=1),
        evaluation=EvaluationConfig(every=1, decoding="sample"),
    ),
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, EditSeed]:
    """A finished study of one seed."""
    root = tmp_path_factory.mktemp("edits")
    part = EditSeed(SMALL, 3, root, say=lambda _: None)
    part.run()
    return root, part


def test_both_kinds_of_pairs_are_of_the_same_answers(study: tuple[Path, EditSeed]) -> None:
    pairs = study[1].pairs
    assert len(pairs.original) == len(pairs.edits) == len(pairs.edit_records) > 8
    for record, edit, as_record in zip(pairs.original, pairs.edits, pairs.edit_records, strict=True):
        _, worse = better_and_worse(record)
        assert (worse.response, record.prompt) == (edit.original, edit.prompt)
        better, original = better_and_worse(as_record)
        assert (better.response, original.response) == (edit.edited, edit.original)
    assert {record.preferences[0].winner for record in pairs.edit_records} == {"first", "second"}


def test_a_page_with_curves_of_all_arms_comes_from_the_files(study: tuple[Path, EditSeed], tmp_path: Path) -> None:
    root, _ = study
    results = collect(root, SMALL, [3], command="a test")
    assert set(results.table.arms) == {"sft", *ARMS_TRIED}
    assert results.table.arms["sft"].metrics["kl"].mean == pytest.approx(0.0, abs=1e-4)
    for quantity, curves in results.curves.items():
        assert set(curves) == set(ARMS_TRIED), quantity
        assert all(sorted(curve) == [0, 1, 2] for own in curves.values() for curve in own)
    starts = {own[0][0] for own in results.curves["gold"].values()}
    assert len(starts) == 1, "all arms start from one policy and the same sampled answers"
    assert set(results.quality) == {"original", "edits", "edited+consistency", "labelled"}
    write_page(results, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert all(ARMS[arm].label in page for arm in ARMS_TRIED)
    for picture in re.findall(r"\((images/.*?)\)", page):
        assert (tmp_path / picture).read_text().startswith("<?xml")


def test_a_finished_study_does_nothing_and_a_missing_arm_is_made_again(study: tuple[Path, EditSeed]) -> None:
    root, _ = study
    said: list[str] = []
    again = EditSeed(SMALL, 3, root, say=said.append)
    again.run()
    assert said == []
    kept = again.outcome_file("placebo").read_bytes()
    again.outcome_file("placebo").unlink()
    again.run()
    assert [line for line in said if "Training" in line or "Fine-tuning" in line] == []
    drop = rb'"seconds".*'
    assert re.sub(drop, b"", again.outcome_file("placebo").read_bytes(), flags=re.S) == re.sub(
        drop, b"", kept, flags=re.S
    )


def test_outcomes_of_other_settings_are_refused(study: tuple[Path, EditSeed]) -> None:
    with pytest.raises(DataError, match="other settings"):
        collect(study[0], SMALL.model_copy(update={"test_prompts": 7}), [3], command="a test")
    with pytest.raises(DataError, match="run the study first"):
        collect(study[0], SMALL, [4], command="a test")


class Letters:
    """A token source: every character scores its code; or the sum over the response as a sequence source."""

    category = version = "letters"

    def __init__(self, name: str, density: str) -> None:
        self.name, self.density = name, density

    def score(self, samples: list[Sample]) -> list[SegmentScores]:
        return [self._one(sample.response) for sample in samples]

    def _one(self, text: str) -> SegmentScores:
        codes = [float(ord(letter) - ord("m")) for letter in text]
        if self.density == "sequence":
            return SegmentScores((SegmentScore(Span(0, len(text)), sum(codes)),))
        return SegmentScores(tuple(SegmentScore(Span(n, n + 1), code) for n, code in enumerate(codes)))


@pytest.mark.parametrize("name", ["token", "token-labels", "placebo", "density", "hybrid", "sequence-edits"])
def test_the_totals_of_every_arm_have_deviation_one(name: str) -> None:
    generator = np.random.default_rng(0)
    texts = ["".join(chr(ord("a") + k) for k in generator.integers(0, 26, size=size)) for size in range(5, 60)]
    tokens = dict.fromkeys(("edited+consistency", "labelled"), Letters("token", "token"))
    models = {**tokens, "edits": Letters("preference", "sequence")}
    reference = [Sample("q", text) for text in texts]
    pipeline = make_pipeline(ARMS[name], models, Letters("oracle", "token"), reference, aggregate="fixed", seed=0)
    letters = [tuple(Span(n, n + 1) for n in range(len(text))) for text in texts]
    scores = pipeline(reference, letters)
    totals = scores.total.sum(1).double().numpy()
    assert totals.std(ddof=1) == pytest.approx(1.0, rel=1e-3)
    paid = [int((row[: len(text)] != 0).sum()) for row, text in zip(scores.total, texts, strict=True)]
    if name == "sequence-edits":
        assert set(paid) == {1}
    else:
        assert all(count >= 0.8 * len(text) for count, text in zip(paid, texts, strict=True))
    if name == "hybrid":
        shares = [share.sum(1).double().numpy().std(ddof=1) for share in scores.shares.values()]
        assert shares[0] == pytest.approx(shares[1], rel=1e-3), "both sources count alike"


def test_steps_to_the_best_of_a_baseline() -> None:
    curves = {
        "slow": ({0: 0.0, 2: 0.1, 4: 0.5, 6: 0.4}, {0: 0.9, 2: 0.2, 4: 0.3, 6: 0.6}),
        "fast": ({0: 0.0, 2: 0.6, 4: 0.2, 6: 0.1}, {0: 0.9, 2: 0.1, 4: 0.5, 6: 0.5}),
    }
    found = reach(curves, "fast", "slow")
    assert (found.baseline_steps, found.steps, found.ratio) == ((4, 6), (2, None), None)
    assert reach(curves, "slow", "slow").ratio == 1.0


def test_pairs_that_teach_nothing_are_counted(study: tuple[Path, EditSeed]) -> None:
    items = study[1].items("pairs", 2)
    answers = [[("", False), ("A.", False)], [("Same.", False), ("Same.", False)]]
    found = make_pairs(items, answers, noise=EXACT, seed=0)
    assert (found.original, found.edits, found.left_out) == ((), (), 2)
