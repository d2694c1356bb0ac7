import gzip
import json
from dataclasses import replace

import numpy as np
import pytest

from spanwise.core.errors import DataError
from spanwise.evals.reward_models.bench import (
    BEST_OF_FOUR,
    SECTIONS,
    BenchCase,
    Margins,
    bench_findings,
    overall,
    share,
    ties_score,
)
from spanwise.evals.reward_models.bench_files import read_bench
from spanwise.feedback.scores import SegmentScore, SegmentScores, Unscored
from spanwise.text.spans import Span


class WordSource:
    """One segment per word, each worth 1; "?" cannot be scored."""

    name, category, density, version = "words", "preference", "token", "1"

    def score(self, samples):
        return [
            SegmentScores(missing=Unscored("a question"))
            if "?" in one.response
            else SegmentScores(tuple(SegmentScore(Span(0, 1), 1.0) for _ in one.response.split()))
            for one in samples
        ]


PAIRS = [
    BenchCase("1", "p", ("a b c",), ("a b",), "hep-go"),
    BenchCase("2", "p", ("a",), ("a b",), "hep-go"),
    BenchCase("3", "p", ("a b",), ("c d",), "own"),
    BenchCase("4", "p", ("a b",), ("why?",), "own"),
]


def test_accuracy_is_told_by_subset_section_and_in_all():
    findings = bench_findings(WordSource(), PAIRS, generator=np.random.default_rng(0))
    found = findings.groups
    assert findings.score is None
    assert set(found) == {"hep-go", "own", "reasoning", "all"}
    assert found["hep-go"].accuracy.mean == found["reasoning"].accuracy.mean == 0.5
    assert (found["own"].accuracy.mean, found["own"].accuracy.unscored, found["own"].ties) == (0.5, 1, 1)
    assert found["all"].accuracy.mean == pytest.approx((1 + 0 + 0.5) / 3)
    assert found["all"].longer_wins == pytest.approx((1 + 0 + 0.5 + 0) / 4)


def test_the_interval_draws_prompts_and_not_the_cases_of_one_prompt():
    single = [BenchCase(f"{n}", f"p{n}", ("a b",), ("a",) if n % 3 else ("a b c",)) for n in range(30)]
    tenfold = [replace(case, id=f"{case.id}.{turn}") for case in single for turn in range(10)]
    once, often = (
        bench_findings(WordSource(), cases, generator=np.random.default_rng(0)).groups["all"].accuracy
        for cases in (single, tenfold)
    )
    assert (once.n, often.n) == (30, 300)
    assert (often.mean, often.low, often.high) == (once.mean, once.low, once.high)


def test_files_are_read_with_or_without_subset(tmp_path):
    rows = [{"prompt": "p", "chosen": "a", "rejected": "b", "subset": "donotanswer", "id": 7}]
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(json.dumps(rows).encode()))
    (tmp_path / "b.jsonl").write_text('{"prompt": "p", "chosen": "a", "rejected": "b"}\n', "utf-8")
    assert read_bench(tmp_path / "b.json.gz") == [BenchCase("1", "p", ("a",), ("b",), "donotanswer", "7")]
    assert read_bench(tmp_path / "b.jsonl")[0].subset == "all"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"chosen": "a"}, "no text under 'rejected'"),
        ({"chosen": "a", "rejected": "b"}, "no text under 'prompt'"),
        ({"prompt": "p", "chosen": [{"role": "user"}], "rejected": "b"}, "neither text nor messages"),
        (None, "one text"),
    ],
)
def test_what_is_wrong_with_a_row_is_told(tmp_path, row, told):
    rows = [{"prompt": "p", "chosen": "a", "rejected": "a"}] if row is None else [row]
    (tmp_path / "b.json").write_text(json.dumps(rows), "utf-8")
    with pytest.raises(DataError, match=told):
        read_bench(tmp_path / "b.json")


def said(role, content):
    return {"role": role, "content": content}


def test_conversations_and_lists_of_answers_are_read(tmp_path):
    rows = [
        {
            "prompt": [said("user", "q")],
            "chosen": [said("user", "q"), said("assistant", "a")],
            "rejected": [said("assistant", "b")],
        },
        {
            "chosen": [said("user", "x"), said("assistant", "y"), said("user", "z"), said("assistant", "a")],
            "rejected": [said("user", "x"), said("assistant", "y"), said("user", "z"), said("assistant", "b")],
        },
        {"id": "tied:3", "prompt": "q", "chosen": ["a", "b"], "rejected": ["c", "d", "e"], "subset": "Ties"},
        {"prompt": "q", "chosen": [[said("assistant", "a")]], "rejected": [[said("assistant", "c")], "d"]},
    ]
    (tmp_path / "b.json").write_text(json.dumps(rows), "utf-8")
    assert read_bench(tmp_path / "b.json") == [
        BenchCase("1", "q", ("a",), ("b",)),
        BenchCase("2", "user: x\n\nassistant: y\n\nuser: z", ("a",), ("b",)),
        BenchCase("3", "q", ("a", "b"), ("c", "d", "e"), "Ties", "tied:3"),
        BenchCase("4", "q", ("a",), ("c", "d")),
    ]


@pytest.mark.parametrize(
    ("scores", "wanted"),
    [((3, 1, 2, 0), 1.0), ((1, 3, 2, 0), 0.0), ((3, 3, 2, 0), 0.5), ((3, 3, 3, 3), 0.25), ((3, 4, 4, 0), 0.0)],
)
def test_the_best_of_four_is_won_at_the_top_and_shared_there(scores, wanted):
    assert share(BenchCase("1", "p", ("a",), ("b", "c", "d")), scores) == wanted


def test_several_chosen_answers_must_all_be_above_all_rejected_ones():
    case = BenchCase("1", "p", ("a", "b"), ("c",))
    assert [share(case, scores) for scores in ((3, 2, 1), (3, 1, 1), (3, 0, 1))] == [1.0, 0.0, 0.0]
    assert share(case, (3, Unscored("down"), 1)) == Unscored("down")


def test_the_score_of_rewardbench_weighs_math_as_all_code_and_sections_alike():
    """Everything is won but math (2 cases) and one of the twelve code cases: reasoning is (0 * 12 + 11) / 24."""
    shares = [(subset, 1.0) for name, own in SECTIONS.items() if name != "reasoning" for subset in own]
    shares += [("math-prm", 0.0)] * 2
    shares += [(subset, 1.0) for subset in SECTIONS["reasoning"][1:]] * 2
    shares[-1] = (shares[-1][0], 0.0)
    found = overall({subset for subset, _ in shares}, shares, {})
    assert found.benchmark == "RewardBench"
    assert found.score == pytest.approx((3 + 11 / 24) / 4)
    assert overall({subset for subset, _ in shares}, shares[1:], {}) is None


def test_the_score_of_rewardbench_2_is_the_mean_of_its_six_subsets():
    margins = {
        "ref:1": Margins(2.0, 0.0),
        "tied:1": Margins(3.0, 1.0),
        "ref:2": Margins(-1.0, 0.0),
        "tied:2": Margins(2, 4),
    }
    # accuracy 1/2 and 1; wider than the spread 1/2, in both 1/2; by tanh(2/1 - 1) and tanh(-1/4 - 1)
    ties = 0.3 * 1.5 + 0.2 * 1.0 + 0.01 * (np.tanh(1.0) + np.tanh(-1.25)) / 2
    assert ties_score(margins) == pytest.approx(ties)
    shares = [*((subset, 0.5) for subset in BEST_OF_FOUR), ("Ties", 1.0)]
    found = overall({subset for subset, _ in shares}, shares, margins)
    assert (found.benchmark, found.score) == ("RewardBench 2", pytest.approx((5 * 0.5 + ties) / 6))
    assert ties_score({"ref:1": Margins(2.0, 0.0)}) is None
