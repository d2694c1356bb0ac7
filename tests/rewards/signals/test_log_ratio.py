"""Implicit rewards: the tokens' sum to beta times the log-ratio of the answer, and stand where the tokens stand."""

import pytest
import torch
from doubles.chat_models import chat_policy
from doubles.models import tiny_gpt2, tiny_llama, tiny_t5

from spanwise.core import ConfigError
from spanwise.feedback import Passage, Sample, SegmentScore, SegmentScores, Unscored
from spanwise.models import Policy, Sampling
from spanwise.rewards import MixtureConfig, RewardPipeline, SourceWeight, load_pipeline
from spanwise.rewards.config import RewardsConfig
from spanwise.rewards.signals import LogRatioConfig, LogRatioReward
from spanwise.text import Span

SETTINGS = LogRatioConfig(policy="a", ref_policy="b", beta=0.3, batch_size=2)
SAMPLES = [
    Sample(
        "where was Ada Veld born?", " Ada Veld was born in Oslo, in 1912 ", (Passage(title="A", sentences=("b.",)),)
    ),
    Sample("who?", "Ines Korr, a painter."),
    Sample("who?", ""),
    Sample("who?", "Zoë — naïve 😀 so", truncated=True),
]


def policies(make):
    return Policy(*make(0)), Policy(*make(1))


@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2, tiny_t5])
def test_the_tokens_sum_to_the_log_ratio_of_the_answer(make):
    tuned, start = policies(make)
    source = LogRatioReward("implicit", SETTINGS, tuned, start)
    for sample, scores in zip(SAMPLES, source.score(SAMPLES), strict=True):
        ids = tuned.encode_response(sample.response.strip())
        ids = ids[:-1] if sample.truncated else ids
        rows = torch.tensor([ids]), torch.ones((1, len(ids)), dtype=torch.bool)

        def total(policy, rows=rows, sample=sample):
            prompts = policy.stack_prompts([policy.encode_prompt(sample)])
            return float(policy.logprobs(prompts, *rows, sampling=Sampling()).logprobs.sum().detach())

        assert len(scores.scores) == len(ids)
        assert sum(score.value for score in scores.scores) == pytest.approx(
            0.3 * (total(tuned) - total(start)), abs=1e-4
        )


def test_tokens_stand_where_they_were_written():
    tuned, start = policies(tiny_llama)
    text = SAMPLES[0].response
    spans = [score.span for score in LogRatioReward("implicit", SETTINGS, tuned, start).score(SAMPLES[:1])[0].scores]
    assert spans[-1] == Span(len(text), len(text))
    assert "".join(span.of(text) for span in spans[:-1]).replace(" ", "") == text.replace(" ", "")
    cut = LogRatioReward("implicit", SETTINGS, tuned, start).score([SAMPLES[3]])[0].scores
    assert len(cut[-1].span) > 0


def test_a_chat_policys_tokens_are_those_of_its_turn():
    tuned, start = chat_policy("qwen", 0), chat_policy("qwen", 1)
    scores = LogRatioReward("implicit", SETTINGS, tuned, start).score([Sample("who?", "In Oslo.")])[0].scores
    assert len(scores) == len(tuned.encode_response("In Oslo."))
    assert "".join(score.span.of("In Oslo.") for score in scores) == "In Oslo."


def test_a_policy_against_itself_pays_nothing():
    tuned, _ = policies(tiny_llama)
    for scores in LogRatioReward("implicit", SETTINGS, tuned, tuned).score(SAMPLES):
        assert all(score.value == 0 for score in scores.scores)


def test_an_answer_beyond_the_window_is_unscored():
    tuned, start = policies(tiny_llama)
    long, short = LogRatioReward("implicit", SETTINGS, tuned, start).score([Sample("q", "x " * 600), Sample("q", "x")])
    assert isinstance(long.missing, Unscored)
    assert "the policies read 512" in long.missing.reason
    assert short.scores


def test_policies_of_two_tokenizers_are_refused():
    with pytest.raises(ConfigError, match=r"sources.implicit: policy and ref_policy have different tokenizers"):
        LogRatioReward("implicit", SETTINGS, Policy(*tiny_llama()), Policy(*tiny_t5()))


def test_one_line_of_config_makes_it(tmp_path):
    tuned, start = policies(tiny_llama)
    tuned.save(tmp_path / "tuned")
    start.save(tmp_path / "start")
    use = {"kind": "log-ratio", "policy": str(tmp_path / "tuned"), "ref_policy": str(tmp_path / "start")}
    values = {"sources": {"implicit": use}, "mixture": {"sources": {"implicit": {"clip": 0.05}}}}
    pipeline = load_pipeline(RewardsConfig.from_values(values, place="test"), device="cpu")
    (source,) = pipeline.sources
    assert (source.name, source.density) == ("implicit", "token")
    other = LogRatioReward("implicit", SETTINGS, tuned, tuned)
    assert other.version != source.version


class Said:
    """A source of given scores."""

    category = version = "test"

    def __init__(self, name, density, *scores):
        self.name, self.density, self._scores = name, density, scores

    def score(self, samples):
        return [SegmentScores(tuple(SegmentScore(span, value) for span, value in self._scores)) for _ in samples]


def test_rto_is_a_weight_and_a_clip():
    """rivals.md 5.11: log-ratios [.4, -2, .1], scale .05, clip .05, and 1.2 for the whole answer."""
    tokens = [Span(0, 1), Span(1, 2), Span(2, 3)]
    ratios = Said("ratio", "token", *zip(tokens, (0.05 * ratio for ratio in (0.4, -2.0, 0.1)), strict=True))
    whole = Said("whole", "sequence", (Span(0, 3), 1.2))
    mixture = MixtureConfig(sources={"ratio": SourceWeight(clip=0.05), "whole": SourceWeight()})
    rewards = RewardPipeline([ratios, whole], mixture)([Sample("q", "abc")], [tokens])
    assert rewards.total[0].tolist() == pytest.approx([0.02, -0.05, 1.205])
