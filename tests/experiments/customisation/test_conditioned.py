"""Weights in the prompt: what the policy reads, what sources are asked, what their scores are worth."""

import pytest

from experiments.customisation.conditioned import conditioned, plain_sample, with_weights
from spanwise.core.errors import DataError
from spanwise.feedback.prompts import DemonstrationRecord, PromptRecord
from spanwise.feedback.scores import Sample, SegmentScore, SegmentScores, Unscored
from spanwise.rewards.config import MixtureConfig, SourceWeight
from spanwise.rewards.mixture import Mixture
from spanwise.text.spans import Span


class Echo:
    """Scores 3 and 5 for every response and remembers what it was asked."""

    category, density, version = "echo", "sub-sentence", "7"

    def __init__(self, name):
        self.name = name
        self.asked = []

    def score(self, samples):
        self.asked += samples
        return [
            SegmentScores((SegmentScore(Span(0, 1), 3.0), SegmentScore(Span(1, 2), 5.0)))
            if sample.response
            else SegmentScores((SegmentScore(Span(0, 0), Unscored("empty")),))
            for sample in samples
        ]


def sample_of(record, response="ab"):
    return Sample(record.prompt, response, record.passages, metadata=record.metadata)


def test_the_policy_reads_the_weights_and_sources_the_question():
    record = with_weights(PromptRecord(prompt="who?", metadata={"kept": 1}), {"a": 0.5, "b": 2.25})
    assert record.prompt == "[a 0.5, b 2.25] who?"
    assert "[a 0.5, b 2.25] who?" in record.model_input
    assert record.metadata["kept"] == 1
    assert plain_sample(sample_of(record)).prompt == "who?"
    shown = with_weights(DemonstrationRecord(prompt="who?", completion="me"), {"a": 1.0})
    assert shown.completion == "me"
    with pytest.raises(DataError, match="names no weights"):
        plain_sample(Sample("who?", "me"))


@pytest.mark.parametrize("weight", [0.0, 0.5, 3.0])
def test_a_conditioned_mixture_pays_what_the_mixture_with_that_weight_pays(weight):
    """The point of it: the reward of a prompt with weight w equals the reward of the sweep's run with weight w."""
    rules = {
        "a": SourceWeight(weight=99.0, center=2.0, scale=0.5, clip=4.0, aggregate="mean"),
        "b": SourceWeight(weight=0.7, center=1.0),
    }
    unit = 0.25
    record = with_weights(PromptRecord(prompt="who?"), {"a": weight})
    sources, mixture = conditioned([Echo("a"), Echo("b")], MixtureConfig(sources=rules), ("a",), unit=unit)
    raw = {source.name: source.score([sample_of(record)])[0] for source in sources}
    found = Mixture(mixture, [source.name for source in sources]).mix(raw)

    fixed = MixtureConfig(sources={**rules, "a": rules["a"].model_copy(update={"weight": weight * unit})})
    plain = {name: Echo(name).score([Sample("who?", "ab")])[0] for name in ("a", "b")}
    wanted = Mixture(fixed, ["a", "b"]).mix(plain)
    for name, own in (("a_by_prompt", "a"), ("b", "b")):
        assert sum(found.shares[name].values) == pytest.approx(sum(wanted.shares[own].values))
    assert sum(found.shares["a"].values) == 0.0
    assert raw["a"] == plain["a"], "what the source itself says stays in the log"


def test_every_source_is_asked_the_plain_question():
    a, b = Echo("a"), Echo("b")
    rules = MixtureConfig(sources={"a": SourceWeight(), "b": SourceWeight()})
    sources, _ = conditioned([a, b], rules, ("a",))
    record = with_weights(PromptRecord(prompt="who?"), {"a": 1.0})
    for source in sources:
        source.score([sample_of(record)])
    assert {sample.prompt for sample in a.asked + b.asked} == {"who?"}


def test_what_could_not_be_scored_stays_so_and_a_missing_weight_is_named():
    rules = MixtureConfig(sources={"a": SourceWeight()})
    (_, source), _ = conditioned([Echo("a")], rules, ("a",))
    record = with_weights(PromptRecord(prompt="who?"), {"a": 2.0})
    (scores,) = source.score([sample_of(record, "")])
    assert scores.scores[0].value == Unscored("empty")
    with pytest.raises(DataError, match="no weight for the reward 'a'"):
        source.score([sample_of(with_weights(PromptRecord(prompt="who?"), {"b": 2.0}))])


def test_the_version_changes_with_what_scores_are_multiplied_by():
    def version(**rule):
        sources, _ = conditioned([Echo("a")], MixtureConfig(sources={"a": SourceWeight(**rule)}), ("a",))
        return sources[1].version

    assert version() == version()
    assert version() != version(center=1.0)
