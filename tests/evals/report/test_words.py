import pytest

from spanwise.evals.report.words import caveats, pair_findings, verdict_sentences
from spanwise.evals.statistics.estimates import Estimate
from spanwise.evals.statistics.results import Arm, Comparison, ExperimentResults, MetricInfo
from spanwise.evals.statistics.verdicts import judge

INFOS = {
    "error": MetricInfo(label="Wrong sentences", unit="%", better="lower"),
    "rouge": MetricInfo(label="ROUGE-Lsum", better="higher"),
    "words": MetricInfo(label="Length", unit="words", digits=1),
}


def results(differences, *, seeds=(0, 1), means=None, rivals=None):
    """`rivals`: the difference to the free rival by metric; none at all where None."""
    means = means or {"error": (0.30, 0.20), "rouge": (0.5, 0.51), "words": (40.0, 30.0)}
    arms = {
        name: Arm(label=label, metrics={m: Estimate(mean=pair[place]) for m, pair in means.items()})
        for place, (name, label) in enumerate([("base", "SFT"), ("new", "Fine-grained")])
    }
    arms["free"] = Arm(label="SFT", decoding="greedy", policy="base")
    comparisons = tuple(
        Comparison(
            arm="new", baseline="base", metric=metric, difference=one, rival="free" if rivals else "",
            rival_difference=rivals[metric] if rivals else None,
            verdict=judge(one, INFOS[metric].better, [rivals[metric]] if rivals else []),
        )
        for metric, one in differences.items()
    )  # fmt: skip
    return ExperimentResults(title="t", created="now", seeds=seeds, metrics=INFOS, arms=arms, comparisons=comparisons)


def difference(mean, low, high, **more):
    return Estimate(mean=mean, low=low, high=high, n=200, seeds=2, **more)


def test_a_clear_gain_a_null_result_and_a_described_change_are_told_apart():
    found = results(
        {
            "error": difference(-0.1, -0.13, -0.07),
            "rouge": difference(0.01, -0.02, 0.04),
            "words": difference(-10.0, -12.0, -8.0),
        },
        rivals=dict.fromkeys(INFOS, difference(-0.04, -0.06, -0.02)),
    )
    assert verdict_sentences(found) == [
        "Fine-grained against SFT, 200 prompts, 2 seeds: better on wrong sentences; no clear difference on ROUGE-Lsum.",
        "Better, also than SFT (greedy): wrong sentences fell from 30.0 % to 20.0 %, by 10.0 points "
        "(95 % interval 7.0 to 13.0).",
        "No clear difference: ROUGE-Lsum, 0.500 to 0.510 (95 % interval from 0.020 lower to 0.040 higher).",
        "Length fell from 40.0 to 30.0 words, by 10.0 words (95 % interval 8.0 to 12.0).",
    ]


@pytest.mark.parametrize(
    ("to_rival", "words", "note"),
    [
        (
            (0.01, -0.01, 0.03),
            "decoding greedily does as well",
            "(less it +1.0 points, 95 % [\N{MINUS SIGN}1.0, +3.0])",
        ),
        ((0.02, 0.01, 0.03), "decoding greedily does better", "(less it +2.0 points, 95 % [+1.0, +3.0])"),
    ],
)
def test_what_decoding_gives_for_nothing_only_sharpens(to_rival, words, note):
    found = results({"error": difference(-0.1, -0.13, -0.07)}, rivals={"error": difference(*to_rival)})
    assert verdict_sentences(found) == [
        f"Fine-grained against SFT, 200 prompts, 2 seeds: sharpens on wrong sentences, where {words}.",
        f"Sharpens; {words}: wrong sentences fell from 30.0 % to 20.0 %, by 10.0 points (95 % interval 7.0 to 13.0).",
    ]
    assert pair_findings(found)[0].findings[0].body.endswith(f"{words.capitalize()} {note}.")


def test_without_free_rivals_nothing_is_called_better():
    found = results({"error": difference(-0.1, -0.13, -0.07)})
    assert verdict_sentences(found)[1:] == [
        "Better than SFT, not held against greedy decoding: wrong sentences fell from 30.0 % to 20.0 %, by 10.0 points "
        "(95 % interval 7.0 to 13.0).",
        "Free rivals were not measured for every arm: what improved may be had for nothing by decoding greedily.",
    ]


def test_a_loss_is_said_plainly():
    found = results({"rouge": difference(-0.1, -0.2, -0.05)}, means={"rouge": (0.5, 0.4)})
    assert verdict_sentences(found)[:2] == [
        "Fine-grained against SFT, 200 prompts, 2 seeds: worse on ROUGE-Lsum.",
        "Worse: ROUGE-Lsum fell from 0.500 to 0.400, by 0.100 (95 % interval 0.050 to 0.200).",
    ]


def test_one_seed_and_unscored_answers_are_told():
    found = results({"rouge": difference(0.1, 0.05, 0.2, unscored=3)}, seeds=(0,))
    words = caveats(found)
    assert "say nothing of what another seed would give" in words[0]
    assert "3 pairs of answers" in words[1]


def test_answers_of_unknown_training_have_no_seeds():
    found = results({"rouge": difference(0.1, 0.05, 0.2)}, seeds=())
    assert verdict_sentences(found)[0] == (
        "Fine-grained against SFT, 200 prompts: better than SFT on ROUGE-Lsum, not held against greedy decoding."
    )
    assert caveats(found)[0].startswith("Each arm is one model: the intervals are over prompts")


def test_without_an_interval_nothing_is_claimed():
    found = results({"rouge": Estimate(mean=0.2, n=1), "error": Estimate(mean=None, unscored=4)})
    findings = {finding.metric: finding.text for finding in pair_findings(found)[0].findings}
    assert findings["rouge"].startswith("Not known: ROUGE-Lsum, 0.500 to 0.510; too few prompts")
    assert findings["error"].startswith("Not known: wrong sentences, as no prompt was scored")


def test_equal_arms_are_called_equal():
    found = results({"error": difference(0.0, 0.0, 0.0)}, means={"error": (0.25, 0.25)})
    assert verdict_sentences(found)[1] == "No clear difference: wrong sentences, the same in both (25.0 % to 25.0 %)."


def test_nothing_compared_is_told():
    assert verdict_sentences(results({})) == ["Nothing was compared: no two arms were measured on the same prompts."]


@pytest.mark.parametrize("verdict", ["better", "worse"])
def test_no_sentence_claims_a_direction_when_the_interval_holds_zero(verdict):
    found = results({"error": difference(-0.05, -0.2, 0.1), "rouge": difference(0.0, 0.0, 0.0)})
    assert not any(verdict in sentence.lower() for sentence in verdict_sentences(found))
