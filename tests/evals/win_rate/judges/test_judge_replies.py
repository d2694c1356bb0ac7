import ast
import gzip
import json
import math
import random
from pathlib import Path

import pytest

from spanwise.evals.win_rate.alpaca_files import preference_share
from spanwise.evals.win_rate.judges.chat import share_of_label, share_of_logprobs, share_of_text
from spanwise.evals.win_rate.judging import shown_first
from spanwise.feedback.scores import Unscored

DATA = Path(__file__).parents[4] / ".." / "shared" / "data" / "alpaca_eval" / "results"


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("Verdict: A", 0.0),
        ("b is better\n**Verdict: B**", 1.0),
        ("verdict: Tie.", 0.5),
        ("Verdict: A\nVerdict: A", 0.0),
    ],
)
def test_verdicts_are_read(text, share):
    assert share_of_text(text) == share


@pytest.mark.parametrize("text", [None, "", " \n", "A", "Verdict: C", "Verdict: A or B", "Verdict: A\nVerdict: tie"])
def test_what_is_no_verdict_is_unscored(text):
    assert isinstance(share_of_text(text), Unscored)


def test_letters_are_told_apart_by_case():
    assert (share_of_label(" m"), share_of_label("M\n")) == (0.0, 1.0)
    assert isinstance(share_of_label("mM"), Unscored)


def test_a_letter_that_is_not_listed_has_no_probability():
    assert share_of_logprobs({"M": -0.3}) == 1.0
    assert share_of_logprobs({"m": math.log(0.2), "M": math.log(0.6)}) == pytest.approx(0.75)
    assert isinstance(share_of_logprobs({}), Unscored)


def test_the_order_rule_is_a_fair_coin_that_remembers():
    draws = [shown_first(f"instruction {number}", seed=0) for number in range(400)]
    assert draws == [shown_first(f"instruction {number}", seed=0) for number in range(400)]
    assert 150 < sum(draws) < 250
    assert draws != [shown_first(f"instruction {number}", seed=1) for number in range(400)]
    seeded = random.Random("is_switched_outputsinstruction 30").choices([False, True])[0]
    assert draws[3] == random.Random("is_switched_outputsinstruction 30").choices([False, True])[0] == seeded


@pytest.mark.skipif(not DATA.is_dir(), reason="AlpacaEval's files are not in ../shared/data/alpaca_eval")
@pytest.mark.parametrize("model", ["NullModel", "alpaca-7b", "vicuna-7b-v1.5"])
def test_stored_preferences_follow_from_what_the_judge_said_and_the_order_rule(model):
    path = DATA / model / "weighted_alpaca_eval_gpt4_turbo" / "annotations.json.gz"
    rows = json.loads(gzip.decompress(path.read_bytes()))
    checked = 0
    for row in rows:
        raw = row["raw_completion"]
        if raw is None:
            continue
        listed = (ast.literal_eval(raw) if isinstance(raw, str) else raw)["logprobs"]["content"][0]["top_logprobs"]
        share = share_of_logprobs({one["token"]: one["logprob"] for one in listed if one["token"] in ("m", "M")})
        # The judge's first answer is the reference unless the rule swaps them.
        own = 1 - share if shown_first(row["instruction"], seed=0) else share
        assert own == pytest.approx(preference_share(row["preference"]), abs=1e-9)
        checked += 1
    assert checked > 790
