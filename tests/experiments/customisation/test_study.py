"""The customisation experiment in miniature: equal compute, resuming, and pages that come from the folders."""

from contextlib import nullcontext

import pytest
import yaml

from experiments.customisation.page import customisation_page, finished, keep_config, summarize_custom
from experiments.customisation.seed import CustomConfig, CustomSeed
from spanwise.core.errors import ConfigError
from spanwise.evals.pages.tradeoff import write_trade_off
from spanwise.evals.runs.scores import RunScores
from spanwise.models.config import Sampling
from spanwise.quickstart.config import FINE_GRAINED, AnnotationConfig, SimStudyConfig
from spanwise.reward_models.config import FittingConfig
from spanwise.rl.config import EvaluationConfig, RolloutConfig, TrainerConfig, UpdateConfig
from spanwise.rl.runtime.progress import NoProgress
from spanwise.training.config import SFTConfig

SMALL = CustomConfig(
    weights=(0.5, 1.5, 3.0),
    example_prompts=2,
    study=SimStudyConfig(
        arms=(FINE_GRAINED,),
        demonstrations=24,
        heldout_demonstrations=4,
        annotation=AnnotationConfig(minutes=144),
        rl_prompts=8,
        heldout_prompts=4,
        test_prompts=8,
        sampling=Sampling(max_new_tokens=32),
        sft=SFTConfig(epochs=1, learning_rate=1e-4),
        fitting=FittingConfig(method="linear", strengths=(0.1,), state_scales=(0.1,)),
        trainer=TrainerConfig(
            steps=2,
            value_warmup_steps=1,
            rollout=RolloutConfig(prompts_per_step=2, samples_per_prompt=2),
            update=UpdateConfig(epochs=1),
            evaluation=EvaluationConfig(every=2, max_prompts=4),
        ),
    ),
)


def run(root, said):
    CustomSeed(SMALL, 4, root, say=said.append, watch=lambda _steps: nullcontext(NoProgress())).run()


@pytest.fixture(name="root", scope="module")
def a_seed_that_ran(tmp_path_factory):
    root = tmp_path_factory.mktemp("custom")
    keep_config(root, SMALL)
    run(root, [])
    return root


def steps_of(root, arm):
    return yaml.safe_load((root / arm / "seed-4" / "config.yaml").read_text())["steps"]


def test_all_kinds_train_for_the_same_number_of_steps(root):
    sweep = sum(steps_of(root, f"sweep-{weight:g}") for weight in SMALL.weights)
    soups = sum(steps_of(root, f"soup-end-{weight:g}") for weight in (0.5, 3.0))
    assert sweep == soups == steps_of(root, "conditioned-policy") == SMALL.total_steps() == 6


def test_every_setting_is_measured_on_the_same_prompts(root):
    assert finished(root, SMALL, 4)
    found = [RunScores.load(root / arm / "seed-4") for own in SMALL.arms().values() for arm in own]
    assert len({scores.ids for scores in found}) == 1
    assert {len(scores.ids) for scores in found} == {8}


def test_the_conditioned_policy_reads_weights_that_judges_and_pages_do_not_show(root):
    samples = (root / "conditioned-policy" / "seed-4" / "samples.jsonl").read_text()
    assert "[relevance " in samples
    shown = RunScores.load(root / "conditioned-3" / "seed-4").answers
    assert shown
    assert all("[relevance" not in one.prompt for one in shown)


def test_the_sweeps_soups_end_in_the_sweep_itself():
    arms = SMALL.arms()
    assert arms["sweep-soup"] == ("sweep-0.5", "sweep-soup-0.5", "sweep-3")


def test_only_the_weight_of_relevance_differs_along_the_sweep(root):
    mixtures = [
        yaml.safe_load((root / arm / "seed-4" / "mixture.yaml").read_text())["sources"] for arm in SMALL.arms()["sweep"]
    ]
    weights = [mixture["relevance"].pop("weight") for mixture in mixtures]
    # all on one scale: the weights of the mixture stand to each other as those of the config
    assert [weight / weights[1] for weight in weights] == pytest.approx([0.5 / 1.5, 1.0, 3.0 / 1.5])
    assert mixtures[0] == mixtures[1] == mixtures[2]


def test_a_second_run_measures_nothing_and_a_lost_score_comes_back_the_same(root):
    said = []
    run(root, said)
    assert said == []
    lost = root / "soup-0.5" / "seed-4"
    before = RunScores.load(lost)
    (lost / "scores.json").unlink()
    run(root, said)
    assert said == ["soup-0.5"]
    assert RunScores.load(lost).columns == before.columns


def test_page_and_dial_come_from_the_folders(root):
    results, plan = summarize_custom(root, SMALL, [4], command="a test")
    page = customisation_page(results, plan)
    for title in ("Sweep", "One conditioned policy", "Soups", "How much each kind covers"):
        assert f"## {title}" in page
    write_trade_off(root, root / "dial.html")
    html = (root / "dial.html").read_text()
    assert html.count('type="range"') == 4
    assert html.count("<svg") >= 3


def test_another_config_is_refused(root):
    with pytest.raises(ConfigError, match="other settings"):
        keep_config(root, CustomConfig(weights=(0.5, 3.0), study=SMALL.study))


def test_weights_must_rise_and_leave_two_equal_ends():
    with pytest.raises(ValueError, match="lowest to the highest"):
        CustomConfig(weights=(3.0, 0.5))
    odd = SMALL.study.model_copy(update={"trainer": SMALL.study.trainer.model_copy(update={"steps": 3})})
    with pytest.raises(ValueError, match="even"):
        CustomConfig(weights=(0.5, 1.0, 3.0), study=odd)
