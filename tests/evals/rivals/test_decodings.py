"""Decodings against brute force: best of n, liked demonstrations, the chosen temperature."""

from itertools import pairwise

import pytest
from pydantic import ValidationError

from spanwise.core.errors import ConfigError, DataError
from spanwise.core.seeding import torch_generator
from spanwise.evals.rivals.config import DecodingConfig, FreeRivalsConfig
from spanwise.evals.rivals.decodings import (
    AnswerReward,
    answers_under,
    best_of_n,
    choose_temperature,
    liked_demonstrations,
)
from spanwise.evals.rivals.free import arm_name, free_rivals
from spanwise.feedback.prompts import DemonstrationRecord, PromptRecord
from spanwise.feedback.scores import SegmentScore, SegmentScores, Unscored
from spanwise.models import Answer, AnswerConfig, Policy, Sampling
from spanwise.rewards import MixtureConfig, SourceWeight
from spanwise.text.spans import Span

RECORDS = [PromptRecord(id="a", prompt="who was born in Oslo?"), PromptRecord(prompt="who?")]
DRAWN = AnswerConfig(decoding="sample", samples_per_prompt=4, sampling=Sampling(max_new_tokens=5))


class Letters:
    """Pays a letter; what holds an x cannot be scored."""

    category, density, version = "facts", "sequence", "1"

    def __init__(self, letter):
        self.name = letter

    def score(self, samples):
        return [
            SegmentScores(missing=Unscored("x"))
            if "x" in sample.response
            else SegmentScores((SegmentScore(Span(0, 1), float(sample.response.count(self.name))),))
            for sample in samples
        ]


def answers(*texts, key="p"):
    return [
        Answer(id=key, sample=number, prompt="q", response=text, truncated=False, tokens=1)
        for number, text in enumerate(texts)
    ]


@pytest.mark.parametrize(
    ("values", "title"),
    [
        ({}, "greedy"),
        ({"temperature": 0.5}, "temperature 0.5"),
        ({"temperature": 1.0, "top_p": 0.9}, "temperature 1, top-p 0.9"),
        ({"temperature": 1.0, "best_of": 4}, "temperature 1, best of 4"),
    ],
)
def test_a_decoding_says_what_it_is(values, title):
    assert DecodingConfig(**values).title == title


@pytest.mark.parametrize("values", [{"top_p": 0.5}, {"best_of": 2}, {"temperature": -1.0}])
def test_a_greedy_decoding_draws_nothing(values):
    with pytest.raises(ValidationError):
        DecodingConfig(**values)


def test_of_every_n_answers_the_best_is_taken():
    rows = [*answers("a", "b", "c", "d"), *answers("e", "f", key="r")]
    assert [one.response for one in best_of_n(rows, [1.0, 3.0, 2.0, 0.5, -2.0, -1.0], 2)] == ["b", "c", "f"]
    assert [one.response for one in best_of_n(rows[:4], [1.0, 3.0, 3.0, 0.5], 4)] == ["b"], "the first of equals"
    assert best_of_n(rows, [0.0] * 6, 1) == rows


def test_what_could_not_be_scored_is_never_preferred():
    rows = answers("a", "b", "c", "d")
    assert [one.response for one in best_of_n(rows, [None, -9.0, None, None], 2)] == ["b", "c"]


def test_a_remainder_is_refused_by_prompt():
    with pytest.raises(ConfigError, match="Prompt p has 3 answers, no multiple of best_of"):
        best_of_n(answers("a", "b", "c"), [0.0] * 3, 2)


def test_the_reward_of_an_answer_is_weighed_as_in_training():
    mixture = MixtureConfig(
        sources={"a": SourceWeight(weight=2.0, missing="mask"), "b": SourceWeight(weight=-1.0, missing="mask")}
    )
    rows = answers("aab", "bb", "x")
    sources = [Letters("a"), Letters("b")]
    records = [PromptRecord(id="p", prompt="q")]
    assert AnswerReward(sources, mixture).of(records, rows) == [3.0, -2.0, None]
    assert AnswerReward(sources).of(records, rows) == [3.0, 2.0, None]
    assert AnswerReward(sources).mean(records, rows) == 2.5
    with pytest.raises(DataError, match="could be scored"):
        AnswerReward(sources).mean(records, rows[2:])


@pytest.mark.parametrize(
    ("share", "kept"),
    [(1.0, ["aa", "b", "aaa", "a"]), (0.5, ["aa", "aaa"]), (0.01, ["aaa"]), (0.75, ["aa", "aaa", "a"])],
)
def test_demonstrations_are_kept_by_reward_in_their_own_order(share, kept):
    rows = [DemonstrationRecord(prompt="q", completion=text) for text in ("aa", "b", "x", "aaa", "a")]
    assert [one.completion for one in liked_demonstrations(rows, AnswerReward([Letters("a")]), share)] == kept
    with pytest.raises(DataError, match="No demonstration"):
        liked_demonstrations(rows[2:3], AnswerReward([Letters("a")]), share)


def test_answers_follow_the_decoding(tiny_llama):
    policy = Policy(*tiny_llama)
    greedy = answers_under(policy, RECORDS, DecodingConfig(), DRAWN)
    ids = policy.greedy(policy.encode_prompts([one.model_input for one in RECORDS]), 5).token_lists()
    assert [one.response for one in greedy] == [policy.decode(row) for row in ids]
    drawn = answers_under(policy, RECORDS, DecodingConfig(temperature=0.5), DRAWN)
    sampling = DRAWN.sampling.model_copy(update={"temperature": 0.5})
    rows = policy.generate(
        policy.encode_prompts([one.model_input for one in RECORDS]), sampling=sampling, samples_per_prompt=4,
        generator=torch_generator(0, "answers"),
    )  # fmt: skip
    assert [one.response for one in drawn] == [policy.decode(row) for row in rows.token_lists()]
    assert [(one.id, one.sample) for one in drawn] == [(key, n) for key in ("a", "1") for n in range(4)]
    narrow = answers_under(policy, RECORDS, DecodingConfig(temperature=1.0, top_p=1e-6), DRAWN)
    assert [one.response for one in narrow] == [one.response for one in greedy for _ in range(4)]


def test_best_of_is_taken_from_what_was_drawn(tiny_llama):
    policy, reward = Policy(*tiny_llama), AnswerReward([Letters("e")])
    drawn = answers_under(policy, RECORDS, DecodingConfig(temperature=1.0), DRAWN)
    best = answers_under(policy, RECORDS, DecodingConfig(temperature=1.0, best_of=2), DRAWN, reward=reward)
    rewards = [-1.0 if value is None else value for value in reward.of(RECORDS, drawn)]
    for place, one in enumerate(best):
        assert (reward.of(RECORDS, [one])[0] or 0.0) == max(0.0, *rewards[2 * place : 2 * place + 2])
    with pytest.raises(ConfigError, match="reward"):
        answers_under(policy, RECORDS, DecodingConfig(temperature=1.0, best_of=2), DRAWN)


def test_the_temperature_is_the_one_that_measures_best_on_validation(tiny_llama):
    policy = Policy(*tiny_llama)
    seen = {}

    def measure(records, drawn):
        assert records == RECORDS[:1]
        seen[len(seen)] = {one.response for one in drawn}
        return [0.1, 0.7, 0.7][len(seen) - 1]

    chosen, measured = choose_temperature(policy, RECORDS[:1], (2.0, 0.5, 0.01), DRAWN, measure=measure)
    assert (chosen, measured) == (0.5, {2.0: 0.1, 0.5: 0.7, 0.01: 0.7})
    assert len(seen[2]) <= len(seen[0])


def test_all_free_rivals_of_a_policy_are_answered(tiny_llama):
    policy, said = Policy(*tiny_llama), []
    config = FreeRivalsConfig(policy="sft", validation="v.jsonl", temperatures=(0.5, 0.3), best_of=2)
    rivals = free_rivals(
        policy, RECORDS, config, DRAWN, validation=RECORDS[:1], measure=lambda _, rows: float(len(rows)),
        reward=AnswerReward([Letters("e")]), name="sft", label="SFT", say=said.append,
    )  # fmt: skip
    titles = {one.name: (one.arm.title, len(one.answers)) for one in rivals}
    assert titles == {
        "sft@greedy": ("SFT (greedy)", 2),
        "sft@temperature-1": ("SFT (temperature 1)", 8),
        "sft@temperature-1+best-of-2": ("SFT (temperature 1, best of 2)", 4),
        "sft@temperature-0.5": ("SFT (temperature 0.5)", 8),
        "sft@temperature-1+top-p-0.9": ("SFT (temperature 1, top-p 0.9)", 8),
    }
    assert said == ["Temperature 0.5 measures best on validation: 0.5: 4, 0.3: 4"]
    assert len({arm_name("sft", one.arm.decoding) for one in rivals}) == len(rivals)
    assert not any(first.name == second.name for first, second in pairwise(rivals))


def test_without_a_reward_there_is_no_best_of_n(tiny_llama):
    config = FreeRivalsConfig(policy="sft", validation="v.jsonl", temperatures=(1.0,), top_p=1.0)
    rivals = free_rivals(
        Policy(*tiny_llama), RECORDS, config, DRAWN, validation=RECORDS, measure=lambda *_: 0.0, name="sft"
    )
    assert [one.arm.decoding for one in rivals] == ["greedy", "temperature 1"]
