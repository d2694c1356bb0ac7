"""Sampled ids to token rewards: the same as by hand, and ids that belong to another tokenizer are refused."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from doubles.models import tiny_llama

from spanwise.core import DataError
from spanwise.feedback import PromptRecord, Sample, SegmentScore, SegmentScores
from spanwise.rewards import IdScorer, MixtureConfig, RewardPipeline, SourceWeight
from spanwise.text import Span, TokenAligner


class Words:
    """Pays each word its length."""

    name = category = "words"
    density, version = "sub-sentence", "1"

    def score(self, samples):
        return [SegmentScores(tuple(self._scores(sample.response))) for sample in samples]

    def _scores(self, text):
        start = 0
        for word in text.split():
            start = text.index(word, start)
            yield SegmentScore(Span(start, start + len(word)), float(len(word)))
            start += len(word)


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_llama()[1]


@pytest.fixture
def scorer(tokenizer):
    return IdScorer(tokenizer, RewardPipeline([Words()], MixtureConfig(sources={"words": SourceWeight(weight=0.5)})))


RECORDS = [PromptRecord(prompt="who?"), PromptRecord(prompt="what?")]


def test_the_same_as_aligning_and_scoring_by_hand(tokenizer, scorer):
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (" the big cat", " a dog")]
    found = scorer.score_ids(ids, RECORDS, texts=[" the big cat", " a dog"])
    alignments = [TokenAligner(tokenizer).align(row).stripped() for row in ids]
    samples = [Sample(record.prompt, a.text) for record, a in zip(RECORDS, alignments, strict=True)]
    expected = scorer.pipeline(samples, [a.spans for a in alignments])
    assert found.total.tolist() == expected.total.tolist()
    assert found.total.sum(1).tolist() == [0.5 * 9, 0.5 * 4]
    assert found.total.shape == (2, max(map(len, ids)))


def test_an_empty_response_is_dropped_and_not_zero(scorer, tokenizer):
    ids = [[], tokenizer("cat", add_special_tokens=False)["input_ids"]]
    assert scorer.score_ids(ids, RECORDS).dropped.tolist() == [True, False]


def test_ids_of_another_tokenizer_are_refused(scorer, tokenizer):
    ids = tokenizer("the cat", add_special_tokens=False)["input_ids"]
    with pytest.raises(DataError, match="Response 1: its ids decode to 'cat' at character 4, the engine read 'dog'"):
        scorer.score_ids([ids, ids], RECORDS, texts=["the cat", "the dog"])
    with pytest.raises(DataError, match="not in the vocabulary"):
        scorer.score_ids([[10**6], ids], RECORDS)


def test_as_many_records_as_responses(scorer):
    with pytest.raises(ValueError, match="zip"):
        scorer.score_ids([[1]], RECORDS)


def test_several_threads_ask_one_after_the_other(tokenizer):
    inside, most = [], []

    class Slow(Words):
        def score(self, samples):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()
            return super().score(samples)

    slow = IdScorer(tokenizer, RewardPipeline([Slow()], MixtureConfig(sources={"words": SourceWeight()})))
    ids = tokenizer("the cat", add_special_tokens=False)["input_ids"]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: slow.score_ids([ids], RECORDS[:1]), range(16)))
    assert most == [1] * 16
