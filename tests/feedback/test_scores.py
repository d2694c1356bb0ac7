"""What reward sources owe: one result per sample, of the right kind, with finite numbers; a broken one is named."""

import pytest

from spanwise.core import ScoringError
from spanwise.feedback.scores import Sample, SegmentScores, scores_of


class Source:
    name, category, density, version = "odd", "relevance", "sequence", "1"

    def __init__(self, results):
        self.results = results

    def score(self, samples):
        return self.results


@pytest.mark.parametrize(("results", "words"), [
    ([SegmentScores()], "gave 1 results for 2 responses"),
    ([SegmentScores()] * 3, "gave 3 results for 2 responses"),
    ([], "gave 0 results for 2 responses"),
    (None, "gave a NoneType for 2 responses"),
    (iter([SegmentScores()] * 2), "for 2 responses; let `score` return a list"),
    ([1.0, 2.0], "gave a float for the response 'a'"),
    ([SegmentScores(), None], "gave a NoneType for the response 'b'"),
])  # fmt: skip
def test_a_source_that_breaks_its_contract_is_named(results, words):
    with pytest.raises(ScoringError, match="Reward source 'odd'") as caught:
        scores_of(Source(results), [Sample("?", "a"), Sample("?", "b")])
    assert words in str(caught.value)
