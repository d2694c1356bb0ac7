"""Changes of a score: they telescope, they blame the right part, and what could not be scored is never 0."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.core.errors import ConfigError
from spanwise.feedback.scores import Sample, Unscored
from spanwise.rewards.change import ChangeReward, HolisticReward, probabilities, whole_text, words
from spanwise.rewards.config import MixtureConfig, SourceWeight
from spanwise.rewards.pipeline import RewardPipeline
from spanwise.text.spans import Span


class Counting:
    """1 - 2 ** -(number of bad words): grows with each, as a probability does; `broken` texts cannot be scored."""

    version = "counting"

    def __init__(self, broken=()):
        self.asked = []
        self.broken = set(broken)

    def score(self, texts):
        self.asked += texts
        return [Unscored("out of order") if t in self.broken else 1 - 2.0 ** -t.count("bad") for t in texts]


PIECES = st.lists(
    st.sampled_from(["bad", "good", "He said so.", "Why?", ", and", "\n\n", "é😀", "  ", "it", "!"]), max_size=14
)


@settings(deadline=None)
@given(PIECES, PIECES, st.sampled_from(["sentence", "sub-sentence", "paragraph", "token"]))
def test_changes_telescope_to_the_holistic_reward(prompt, response, density):
    sample = Sample(" ".join(prompt), " ".join(response))
    changes = ChangeReward("fine", Counting(), density).score([sample])[0]
    holistic = HolisticReward("whole", Counting()).score([sample])[0]
    before = probabilities(Counting(), [sample.prompt])[0]
    total = sum(score.value for score in changes.scores)
    assert math.isclose(total, holistic.scores[0].value - (1 - before), abs_tol=1e-12)


@settings(deadline=None)
@given(PIECES.filter(lambda pieces: " ".join(pieces).strip()), st.sampled_from(["sentence", "token"]))
def test_undiscounted_returns_of_the_first_token_differ_by_the_prompt_alone(response, density):
    text = " ".join(response).strip()
    sample = Sample("a bad start", text)
    tokens = words(text)
    returns = {}
    for source in (ChangeReward("fine", Counting(), density), HolisticReward("whole", Counting())):
        pipeline = RewardPipeline([source], MixtureConfig(sources={source.name: SourceWeight()}))
        returns[source.name] = float(pipeline([sample], [tokens]).total.sum())
    assert math.isclose(returns["whole"] - returns["fine"], 1 - 0.5, abs_tol=1e-6)


def test_the_example_of_the_paper():
    said = {"": 0.0, "I am such an idiot.": 0.72, "I am such an idiot. She is so smart!": 0.60}

    class Table:
        version = "table"

        def score(self, texts):
            return [said[text] for text in texts]

    sample = Sample("", "I am such an idiot. She is so smart!")
    changes = [score.value for score in ChangeReward("fine", Table()).score([sample])[0].scores]
    assert changes == pytest.approx([-0.72, 0.12])
    assert HolisticReward("whole", Table()).score([sample])[0].scores[0].value == pytest.approx(0.40)


def test_each_word_is_blamed_for_itself_on_the_tokens_that_wrote_it():
    sample = Sample("You are", "a bad man")
    pipeline = RewardPipeline(
        [ChangeReward("fine", Counting(), "token")], MixtureConfig(sources={"fine": SourceWeight()})
    )
    tokens = [Span(0, 1), Span(1, 3), Span(3, 5), Span(5, 9)]  # "a", " b", "ad", " man"
    assert torch.equal(pipeline([sample], [tokens]).total, torch.tensor([[0.0, 0.0, -0.5, 0.0]]))


def test_a_failed_prefix_leaves_both_its_changes_unscored_and_the_response_is_masked():
    sample = Sample("Well,", "One bad thing. Two good things. Three.")
    source = ChangeReward("fine", Counting(broken=["Well, One bad thing."]))
    first, second, third = (score.value for score in source.score([sample])[0].scores)
    assert isinstance(first, Unscored)
    assert isinstance(second, Unscored)
    assert third == 0.0
    mixture = MixtureConfig(sources={"fine": SourceWeight(missing="mask")})
    assert RewardPipeline([source], mixture)([sample], [[Span(0, len(sample.response))]]).dropped.tolist() == [True]


def test_a_failed_whole_is_missing_and_not_zero():
    found = HolisticReward("whole", Counting(broken=["a b"])).score([Sample("a", "b"), Sample("a", "c")])
    assert found[0].missing == Unscored("out of order")
    assert found[1].scores[0].value == 1.0


def test_the_prompt_of_several_samples_is_scored_once():
    scorer = Counting()
    ChangeReward("fine", scorer).score(
        [Sample("same start", "One."), Sample("same start", "Two."), Sample("other", "")]
    )
    assert sorted(scorer.asked) == ["same start", "same start One.", "same start Two."]


@pytest.mark.parametrize(
    ("prompt", "response", "expected"),
    [("You", "are", "You are"), ("You ", ", too", "You, too"), ("", "alone", "alone"), ("only", "", "only")],
)
def test_prompt_and_response_are_one_text(prompt, response, expected):
    text, start = whole_text(prompt, response)
    assert (text, text[start:]) == (expected, response)


def test_the_change_of_a_whole_is_refused():
    with pytest.raises(ConfigError, match="needs parts"):
        ChangeReward("fine", Counting(), "sequence")
