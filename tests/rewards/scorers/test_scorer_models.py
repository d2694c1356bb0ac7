"""Local scorers: any Hugging Face text classifier, and the linear scorer of n-grams."""

import math

import pytest
import torch
from doubles.reward_world import tiny_bert
from transformers import BertConfig, BertForSequenceClassification

from spanwise.core.errors import CheckpointError, ConfigError, DataError
from spanwise.feedback.scores import Unscored
from spanwise.rewards.scorers.classifier import TextClassifier, load_classifier
from spanwise.rewards.scorers.config import ScorerConfig, load_scorer
from spanwise.rewards.scorers.ngrams import NgramScorer, ngrams, train_ngram_scorer

TEXTS = ["what house is it ?", "the others say what", "house", "what ? what ? what ?"]


def classifier(labels, **options):
    body, tokenizer = tiny_bert()
    config = BertConfig(**{**body.config.to_dict(), "id2label": dict(enumerate(labels)), **options})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = BertForSequenceClassification(config).eval()
        model.classifier.weight.data.mul_(30)
    return model, tokenizer


def logits_of(model, tokenizer, text):
    with torch.inference_mode():
        return model(**{k: v for k, v in tokenizer(text, return_tensors="pt").items() if k != "token_type_ids"}).logits[
            0
        ]


def test_exclusive_labels_share_one_probability():
    model, tokenizer = classifier(["clean", "toxic"])
    found = TextClassifier(model, tokenizer, batch_size=3).score(TEXTS)
    expected = [float(logits_of(model, tokenizer, text).softmax(0)[1]) for text in TEXTS]
    assert found == pytest.approx(expected, abs=1e-5)
    other = TextClassifier(model, tokenizer, label="clean").score(TEXTS)
    assert [a + b for a, b in zip(found, other, strict=True)] == pytest.approx([1.0] * len(TEXTS))


def test_independent_labels_have_a_probability_each():
    model, tokenizer = classifier(["insult", "threat", "obscene"], problem_type="multi_label_classification")
    found = TextClassifier(model, tokenizer, label="threat").score(TEXTS)
    expected = [1 / (1 + math.exp(-float(logits_of(model, tokenizer, text)[1]))) for text in TEXTS]
    assert found == pytest.approx(expected, abs=1e-5)


def test_several_labels_need_a_name():
    model, tokenizer = classifier(["a", "b", "c"])
    with pytest.raises(ConfigError, match="name one of a, b, c"):
        TextClassifier(model, tokenizer)
    with pytest.raises(ConfigError, match="no label 'd'"):
        TextClassifier(model, tokenizer, label="d")


def test_a_text_beyond_the_window_is_unscored():
    model, tokenizer = classifier(["clean", "toxic"])
    found = TextClassifier(model, tokenizer).score(["house", "what " * 300])
    assert isinstance(found[0], float)
    assert isinstance(found[1], Unscored)


def test_a_saved_classifier_scores_the_same_and_can_be_pinned(tmp_path):
    model, tokenizer = classifier(["clean", "toxic"])
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    there = TextClassifier(model, tokenizer)
    config = ScorerConfig(kind="classifier", model=str(tmp_path), pinned=there.version)
    assert load_scorer(config).score(TEXTS) == pytest.approx(there.score(TEXTS), abs=1e-6)
    with pytest.raises(CheckpointError, match="pinned is other"):
        load_classifier(tmp_path, pinned="other")


def test_a_folder_without_a_classifier_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        load_classifier(tmp_path)


def test_ngrams_are_words_and_pairs():
    assert ngrams("You, you\u2019re a F*OL!") == [
        "you", "you're", "a", "f*ol", "you you're", "you're a", "a f*ol",
    ]  # fmt: skip


BAD = ["you fool", "what a fool he is", "fool me", "the fool again"]
GOOD = ["you are kind", "what a day it is", "tell me", "the day again"]


def test_a_trained_ngram_scorer_knows_the_word_and_survives_a_file(tmp_path):
    scorer = train_ngram_scorer(BAD + GOOD, [True] * 4 + [False] * 4, min_texts=2)
    bad, good = scorer.score(["such a fool", "such a day"])
    assert bad > 0.5 > good
    assert scorer.score([""]) == [pytest.approx(1 / (1 + math.exp(-scorer.intercept)))]
    scorer.save(tmp_path)
    again = load_scorer(ScorerConfig(kind="ngrams", model=str(tmp_path), pinned=scorer.version))
    assert again == scorer


def test_an_ngram_scorer_needs_both_kinds_of_text():
    with pytest.raises(DataError, match="give both"):
        train_ngram_scorer(BAD, [True] * 4)


def test_a_damaged_ngram_scorer_is_named(tmp_path):
    (tmp_path / "ngrams.json").write_text('{"weights": [], "intercept": 0}')
    with pytest.raises(CheckpointError, match="no n-gram scorer"):
        NgramScorer.load(tmp_path)


@pytest.mark.parametrize("settings", [{"kind": "perspective", "model": "x"}, {"kind": "ngrams"}])
def test_a_scorer_has_the_place_that_its_kind_wants(settings):
    with pytest.raises(ValueError, match="model names the folder"):
        ScorerConfig(**settings)
