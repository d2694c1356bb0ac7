"""Passages lose their least related sentences, whole and no more than needed."""

from spanwise.feedback.schema import Passage
from spanwise.reward_models.data.inputs import without_least_related

PASSAGES = (
    Passage(title="A", sentences=("the red house burned", "cows eat grass", "the house was sold")),
    Passage(title="B", sentences=("nothing to see",)),
)


def kept(excess):
    found = without_least_related(
        PASSAGES, "who sold the red house?", excess=excess, count=lambda text: len(text.split())
    )
    return [(passage.title, passage.sentences) for passage in found]


def test_the_least_related_go_first_and_later_before_earlier():
    assert kept(1) == [("A", PASSAGES[0].sentences)]
    assert kept(4) == [("A", ("the red house burned", "the house was sold"))]
    assert kept(7) == [("A", ("the house was sold",))]


def test_everything_may_go():
    assert kept(99) == []
