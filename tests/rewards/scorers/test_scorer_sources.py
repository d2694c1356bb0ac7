"""From a config to reward sources."""

import pytest

from spanwise.feedback.scores import Sample
from spanwise.rewards.change import ChangeReward, HolisticReward
from spanwise.rewards.scorers.config import ScorerConfig, ScorerUse
from spanwise.rewards.scorers.ngrams import NgramScorer
from spanwise.rewards.sources import scorer_sources


def test_each_entry_becomes_a_source_of_its_name(tmp_path):
    NgramScorer({"fool": 3.0}, -1.0).save(tmp_path)
    scorer = ScorerConfig(kind="ngrams", model=str(tmp_path))
    uses = {
        "whole": ScorerUse(reward="holistic", scorer=scorer, category="insult"),
        "words": ScorerUse(scorer=scorer, density="token"),
    }
    whole, words = scorer_sources(uses)
    assert isinstance(whole, HolisticReward)
    assert isinstance(words, ChangeReward)
    assert (whole.name, whole.category, whole.density) == ("whole", "insult", "sequence")
    assert (words.name, words.category, words.density) == ("words", "toxicity", "token")
    first, second = (score.value for score in words.score([Sample("You", "old fool")])[0].scores)
    assert first == 0.0
    assert second == pytest.approx(0.2689 - 0.8808, abs=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {"reward": "change"},
        {"reward": "marked-words"},
        {"reward": "marked-words", "checkpoint": "x", "scorer": {"kind": "ngrams", "model": "x"}},
        {"reward": "change", "checkpoint": "x", "scorer": {"kind": "ngrams", "model": "x"}},
        {"reward": "change", "density": "sequence", "scorer": {"kind": "ngrams", "model": "x"}},
    ],
)
def test_a_reward_without_what_it_needs_is_refused(settings):
    with pytest.raises(ValueError, match=r"marked-words takes a checkpoint|needs parts"):
        ScorerUse.model_validate(settings)
