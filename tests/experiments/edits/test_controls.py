"""The placebo pays what its source pays, elsewhere in the same response."""

from experiments.edits.arms import PermutedSource
from spanwise.feedback.scores import Sample, SegmentScore, SegmentScores, Unscored
from spanwise.text.spans import Span


class Counting:
    """The n-th token of every response scores n."""

    name = category = "token"
    density = "token"
    version = "7"

    def score(self, samples):
        return [
            SegmentScores(tuple(SegmentScore(Span(n, n + 1), float(n)) for n in range(len(sample.response))))
            for sample in samples
        ]


class Silent(Counting):
    def score(self, samples):
        return [SegmentScores(missing=Unscored("no reason")) for _ in samples]


def test_the_sum_stays_and_the_places_change_alike_each_time():
    samples = [Sample("q", "a" * 40), Sample("q", "b" * 40), Sample("q", "")]
    placebo = PermutedSource(Counting(), seed=3)
    first, second, empty = placebo.score(samples)
    assert [score.span for score in first.scores] == [Span(n, n + 1) for n in range(40)]
    values = [score.value for score in first.scores]
    assert sorted(values) == [float(n) for n in range(40)]
    assert values != sorted(values)
    assert values != [score.value for score in second.scores], "each response has an order of its own"
    assert placebo.score(samples[:1]) == [first], "the order does not depend on the batch"
    assert PermutedSource(Counting(), seed=4).score(samples[:1]) != [first]
    assert empty.scores == ()


def test_it_speaks_for_its_source_under_another_version():
    placebo = PermutedSource(Counting(), seed=3)
    assert (placebo.name, placebo.category, placebo.density) == ("token", "token", "token")
    assert placebo.version == "7-permuted-3"


def test_what_was_not_scored_stays_so():
    (found,) = PermutedSource(Silent()).score([Sample("q", "a")])
    assert found.missing == Unscored("no reason")
