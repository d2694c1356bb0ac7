from doubles.experiment import write_experiment

from spanwise.evals.report.panels import arm_panels, curve_groups, difference_panels, reliability_panels
from spanwise.evals.runs.folders import Run


def curves(*keys):
    return dict.fromkeys(keys, ((0, 1.0), (5, 2.0)))


def titles(groups):
    return {group.title: [panel.title for panel in group.panels] for group in groups}


def test_held_out_rewards_come_first_and_the_rest_is_grouped():
    run = Run(
        "r",
        curves=curves(
            "time/step_s", "reward/facts", "eval/reward/facts", "eval/kl/response", "odd", "eval/reward/dropped"
        ),
    )
    groups = curve_groups({"arm": (run,)}, ["arm"], "s0")
    assert titles(groups) == {
        "": ["Reward: facts", "KL: response"],
        "More on held-out prompts": ["Reward: dropped"],
        "Reward of the training rollouts": ["Reward: facts"],
        "Seconds": ["step s"],
        "odd": ["odd"],
    }
    assert groups[0].note == "On held-out prompts."


def test_rollouts_stand_in_for_what_was_not_held_out_and_anything_for_what_is_not_known():
    rollouts = curve_groups({"a": (Run("r", curves=curves("reward/facts", "kl/response", "time/s")),)}, ["a"], "s0")
    assert titles(rollouts)[""] == ["Reward: facts", "KL: response"]
    other = curve_groups({"a": (Run("r", curves=curves("sft/loss")),)}, ["a"], "s0")
    assert titles(other) == {"": ["loss"]}


def test_a_curve_without_a_single_number_is_no_panel():
    assert curve_groups({"a": (Run("r", curves={"x": ((0, None),)}),)}, ["a"], "s0") == []
    assert curve_groups({}, ["a"], "s0") == []


def test_descriptions_say_what_the_plots_show(tmp_path):
    results = write_experiment(tmp_path, seeds=(0, 1), prompts=10, steps=2)
    arms = {panel.title: panel.svg for panel in arm_panels(results, "s0")}
    assert "ROUGE-Lsum \N{UPWARDS ARROW}" in arms
    assert "KL to SFT" not in arms  # no arm ran it
    assert "SFT on twice the demonstrations not run" in arms["ROUGE-Lsum \N{UPWARDS ARROW}"]
    assert "no clear difference" in "".join(panel.svg for panel in difference_panels(results, "s0"))
    reliability = reliability_panels(results.reward_models, "s0")
    assert [panel.title for panel in reliability] == ["Relevance", "Factuality"]
    assert "said 0.1, was 0.13" in reliability[0].svg
