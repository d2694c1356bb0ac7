"""One tiny seed of the detoxification study from start to page, and what a broken scorer does to it."""

import pytest

from experiments.detox.measure import DETOX_METRICS, Continuations, table_mean, toxicity_tables
from experiments.detox.page import detox_page
from experiments.detox.results import save_outcome, summarize, whole_seeds
from experiments.detox.seed import (
    HOLISTIC,
    SENTENCE,
    START,
    WORD,
    DetoxStudyConfig,
    DetoxTask,
    SeedStudy,
    steps_to_reach,
)
from experiments.detox.stories import WordCount
from spanwise.core.errors import DataError
from spanwise.feedback.prompts import PromptRecord
from spanwise.feedback.scores import Unscored
from spanwise.models.config import Sampling
from spanwise.models.policy import Policy
from spanwise.rl.config import RolloutConfig, TrainerConfig, UpdateConfig

ARMS = (START, HOLISTIC, SENTENCE, WORD)
CONFIG = DetoxStudyConfig(
    arms=ARMS,
    test_prompts=3,
    samples=2,
    curve_prompts=2,
    curve_every=1,
    sampling=Sampling(max_new_tokens=6),
    trainer=TrainerConfig(
        steps=2,
        value_warmup_steps=1,
        rollout=RolloutConfig(prompts_per_step=2, samples_per_prompt=2),
        update=UpdateConfig(epochs=1),
    ),
)


class Letters:
    """The share of the letter e; where `fragile`, every third text cannot be scored."""

    def __init__(self, *, fragile=False):
        self.fragile = fragile
        self.version = f"letters-{fragile}"

    def score(self, texts):
        broken = [self.fragile and number % 3 == 2 for number in range(len(texts))]
        return [
            Unscored("down") if bad else text.lower().count("e") / max(1, len(text))
            for text, bad in zip(texts, broken, strict=True)
        ]


def task(tmp_path, pair, **options):
    policy = Policy(*pair)
    policy.save(tmp_path / "policy")
    prompts = tuple(PromptRecord(id=f"p{n}", prompt=f"Ada Veld was born in {n}", verbatim=True) for n in range(9))
    parts = {"paying": Letters(), "judge": Letters(), **options}
    return DetoxTask(
        "toy", tmp_path / "policy", policy,
        prompts=prompts[:4], validation=prompts[4:6], test=prompts[6:], **parts,
    )  # fmt: skip


def test_a_study_runs_resumes_and_is_reported(tmp_path, tiny_llama):
    toy = task(tmp_path, tiny_llama)
    root = tmp_path / "study"
    for arm in ARMS:
        assert whole_seeds(root, ARMS, [7]) == []
        outcome = SeedStudy(toy, CONFIG, 7, root, say=lambda text: None).run(arm)
        assert [step for step, _ in outcome.curve] == ([0] if arm == START else [0, 1, 2])
        assert set(outcome.tables) == set(DETOX_METRICS)
        save_outcome(root, arm, 7, CONFIG, outcome)
    assert whole_seeds(root, ARMS, [7, 8]) == [7]
    results, curves = summarize(root, CONFIG, ARMS, [7], title="Toy study", notes=("A toy.",), command="make toy")
    assert {c.baseline for c in results.comparisons} == {START, HOLISTIC}
    assert len({values[0][0] for values in curves.values.values()}) == 1, "all arms start from one policy"
    page = detox_page([(results, curves)], {}, {}, "make toy")
    assert "## Toy study" in page
    assert f"{results.arms[HOLISTIC].metrics['max_toxicity'].mean:.3f}" in page
    other = CONFIG.model_copy(update={"samples": 3})
    with pytest.raises(DataError, match="other settings"):
        summarize(root, other, ARMS, [7], title="Toy study", notes=(), command="make toy")


def test_what_a_scorer_cannot_score_is_counted_and_never_clean(tmp_path, tiny_llama):
    toy = task(tmp_path, tiny_llama, paying=Letters(fragile=True), judge=Letters(fragile=True))
    outcome = SeedStudy(toy, CONFIG, 7, tmp_path / "study", say=lambda text: None).run(HOLISTIC)
    assert 0 < outcome.dropped < 1
    assert outcome.tables["max_toxicity"].unscored == 2


def test_the_maximum_is_over_the_samples_of_a_prompt():
    found = Continuations(("a", "a", "b", "b"), ("x",) * 4, ("sad sad", "", "happy", "sad"))
    tables = toxicity_tables(found, WordCount())
    assert tables["max_toxicity"].totals.tolist() == [[0.75, 0.5]]
    assert table_mean(tables["toxic_prompts"]) == 0.5
    assert tables["mean_toxicity"].totals.tolist() == [[0.375, 0.25]]


def test_steps_to_reach():
    curve = [(0, 0.9), (5, 0.5), (10, 0.6)]
    assert steps_to_reach(curve, 0.6) == 5
    assert steps_to_reach(curve, 0.4) is None
