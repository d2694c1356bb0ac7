"""The whole loop on the simulated world, in miniature: what it leaves behind, and that the judge stays apart."""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest
from pydantic import ValidationError

from experiments.sim_arms.page import results_page
from spanwise.core.errors import DataError
from spanwise.evals.report.report import render_report
from spanwise.evals.rivals.config import RivalSettings
from spanwise.evals.statistics.results import ExperimentResults
from spanwise.models.config import Sampling
from spanwise.quickstart.answers import SIM_METRICS, Answers, score_answers
from spanwise.quickstart.config import FINE_GRAINED, PREFERENCE, SFT, AnnotationConfig, SimStudyConfig
from spanwise.quickstart.results import greedy_sentences, save_outcome, summarize
from spanwise.quickstart.study import SeedStudy
from spanwise.reward_models.config import FittingConfig
from spanwise.rl.config import EvaluationConfig, RolloutConfig, TrainerConfig, UpdateConfig
from spanwise.rl.runtime.progress import NoProgress
from spanwise.sim import make_items
from spanwise.training.config import SFTConfig

SMALL = SimStudyConfig(
    arms=(SFT, PREFERENCE, FINE_GRAINED, "without-relevance"),
    demonstrations=24,
    heldout_demonstrations=4,
    annotation=AnnotationConfig(minutes=144),
    rl_prompts=8,
    heldout_prompts=4,
    test_prompts=12,
    test_samples=2,
    free_rivals=RivalSettings(temperatures=(0.5, 0.2), best_of=2),
    sampling=Sampling(max_new_tokens=48),
    sft=SFTConfig(epochs=1, learning_rate=1e-4),
    fitting=FittingConfig(method="linear", strengths=(0.1,), state_scales=(0.1,)),
    trainer=TrainerConfig(
        steps=2,
        value_warmup_steps=1,
        rollout=RolloutConfig(prompts_per_step=2, samples_per_prompt=2),
        update=UpdateConfig(epochs=1),
        evaluation=EvaluationConfig(every=2, max_prompts=4),
    ),
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ExperimentResults]:
    """A study of one seed: its folder and results."""
    root = tmp_path_factory.mktemp("study")
    outcome = SeedStudy(SMALL, 3, root, say=lambda _: None).run(lambda _arm, _steps: nullcontext(NoProgress()))
    save_outcome(root, 3, SMALL, outcome)
    results = summarize(root, SMALL, [3], title="Small", command="a test")
    results.save(root)
    return root, results


def test_every_arm_is_measured_greedily_and_sampled(study: tuple[Path, ExperimentResults]) -> None:
    _, results = study
    for arm in SMALL.arms:
        assert set(results.arms[arm].metrics) == set(SIM_METRICS)
        assert set(results.arms[f"{arm}@greedy"].metrics) == set(SIM_METRICS) - {"kl"}, "KL is of sampled answers"
        assert results.arms[f"{arm}@greedy"].decoding == "greedy"
    assert list(results.arms)[-4:] == [
        "fine-grained@greedy", "fine-grained", "without-relevance@greedy", "without-relevance",
    ]  # fmt: skip
    assert results.arms[SFT].metrics["kl"].mean == pytest.approx(0.0, abs=1e-4), (
        "the reference has no distance to itself"
    )


def test_every_arm_is_held_against_the_free_rivals_of_its_own_rewards(study: tuple[Path, ExperimentResults]) -> None:
    _, results = study
    free = {"sft@greedy", "sft", "sft@top-p"}
    for kind, arms in {PREFERENCE: [PREFERENCE], FINE_GRAINED: [FINE_GRAINED, "without-relevance"]}.items():
        chosen = {f"sft@{kind}-temperature", f"sft@{kind}-best-of", f"liked-{kind}"}
        for arm in arms:
            assert set(results.arms[arm].rivals) == set(results.arms[f"{arm}@greedy"].rivals) == free | chosen
    assert results.arms[SFT].rivals == ()
    assert {one.rival for one in results.comparisons} <= results.free | {""}
    first = results.comparisons[0]
    assert (first.arm, first.baseline) == ("fine-grained@greedy", "sft@greedy")
    headline = greedy_sentences(results)[0]
    assert headline.startswith("Fine-grained RLHF (greedy) against SFT (greedy), 12 prompts, 1 seed: ")
    assert not any("(temperature 1) against" in sentence for sentence in greedy_sentences(results))


def test_several_answers_to_an_item_count_as_their_mean() -> None:
    items = make_items(3, seed=0, split="test")
    texts = [item.record.prompt for item in items]
    twice = tuple(text for text in texts for text in (text, "Nothing."))
    once = [score_answers(items, Answers(tuple(own), (False,) * 3), seed=0) for own in (texts, ["Nothing."] * 3)]
    both = score_answers(items, Answers(twice, (False,) * 6), seed=0)
    assert Answers(twice, (False,) * 6).taken([1, 2, 4]).texts == ("Nothing.", texts[1], texts[2])
    for metric in ("relevance_error", "quality", "words"):
        for name in ("totals", "counts"):
            mean = (getattr(once[0][metric], name) + getattr(once[1][metric], name)) / 2
            assert getattr(both[metric], name) == pytest.approx(mean)


def test_a_study_whose_answers_make_no_whole_groups_is_refused() -> None:
    with pytest.raises(ValidationError, match="no multiple of free_rivals"):
        SimStudyConfig(test_samples=3)


def test_heads_and_examples_are_in_the_results(study: tuple[Path, ExperimentResults]) -> None:
    _, results = study
    assert set(results.reward_models) == {"relevance", "factuality", "completeness", "preference"}
    for example in results.examples:
        for answer in example.answers.values():
            assert sum(answer.token_scores) == pytest.approx(
                sum(sum(share) for share in answer.shares.values()), abs=1e-4
            )


def test_an_arm_without_a_reward_pays_nothing_for_it(study: tuple[Path, ExperimentResults]) -> None:
    root, _ = study
    rows = [
        json.loads(line) for line in (root / "without-relevance" / "seed-3" / "samples.jsonl").read_text().splitlines()
    ]
    assert rows
    assert all(value == 0 for row in rows for value in row["shares"]["relevance"])
    assert any(value != 0 for row in rows for value in row["shares"]["factuality"])


def test_report_and_page_are_functions_of_the_files(study: tuple[Path, ExperimentResults]) -> None:
    root, results = study
    assert ExperimentResults.load(root) == results
    assert "Fine-grained RLHF" in render_report([root])
    page = results_page(results)
    assert all(arm.title in page for arm in results.arms.values())


def test_outcomes_of_another_config_are_refused(study: tuple[Path, ExperimentResults]) -> None:
    root, _ = study
    other = SMALL.model_copy(update={"test_prompts": 13})
    with pytest.raises(DataError, match="another config"):
        summarize(root, other, [3], title="Small", command="a test")
