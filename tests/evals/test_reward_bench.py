import gzip
import json

import numpy as np
import pytest

from spanwise.errors import DataError
from spanwise.evals.reward_bench import BenchPair, bench_accuracy, read_bench
from spanwise.scores import SegmentScore, SegmentScores, Unscored
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
    BenchPair("1", "p", "a b c", "a b", "hep-go"),
    BenchPair("2", "p", "a", "a b", "hep-go"),
    BenchPair("3", "p", "a b", "c d", "own"),
    BenchPair("4", "p", "a b", "why?", "own"),
]


def test_accuracy_is_told_by_subset_section_and_in_all():
    found = bench_accuracy(WordSource(), PAIRS, generator=np.random.default_rng(0))
    assert set(found) == {"hep-go", "own", "reasoning", "all"}
    assert found["hep-go"].accuracy.mean == found["reasoning"].accuracy.mean == 0.5
    assert (found["own"].accuracy.mean, found["own"].accuracy.unscored, found["own"].ties) == (0.5, 1, 1)
    assert found["all"].accuracy.mean == pytest.approx((1 + 0 + 0.5) / 3)
    assert found["all"].longer_wins == pytest.approx((1 + 0 + 0.5 + 0) / 4)


def test_files_are_read_with_or_without_subset(tmp_path):
    rows = [{"prompt": "p", "chosen": "a", "rejected": "b", "subset": "donotanswer", "id": 7}]
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(json.dumps(rows).encode()))
    (tmp_path / "b.jsonl").write_text('{"prompt": "p", "chosen": "a", "rejected": "b"}\n', "utf-8")
    assert read_bench(tmp_path / "b.json.gz") == [BenchPair("1", "p", "a", "b", "donotanswer")]
    assert read_bench(tmp_path / "b.jsonl")[0].subset == "all"


@pytest.mark.parametrize(("row", "told"), [({"chosen": "a"}, "no text under 'prompt'"), (None, "one text")])
def test_what_is_wrong_with_a_row_is_told(tmp_path, row, told):
    rows = [{"prompt": "p", "chosen": "a", "rejected": "a"}] if row is None else [row]
    (tmp_path / "b.json").write_text(json.dumps(rows), "utf-8")
    with pytest.raises(DataError, match=told):
        read_bench(tmp_path / "b.json")
