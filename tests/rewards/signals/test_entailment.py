"""Entailment by a small classifier, against every pair of passage and part read by itself."""

import pytest
import torch
from doubles.reward_world import tiny_bert
from transformers import BertForSequenceClassification

from spanwise.core import ConfigError
from spanwise.feedback import Passage, Sample, Unscored
from spanwise.rewards.signals.config import EntailmentConfig
from spanwise.rewards.sources import foreign_sources

PASSAGES = (
    Passage(title="A", sentences=("the house was red .", "what was it .")),
    Passage(title="B", sentences=("it was what house .",)),
)
TEXT = "The house was red. What was it, red or what was house or what?"


@pytest.fixture
def classifier(tmp_path):
    base, tokenizer = tiny_bert()
    config = base.config
    config.num_labels = 3
    config.id2label = {0: "CONTRADICTION", 1: "NEUTRAL", 2: "ENTAILMENT"}
    config.label2id = {name: number for number, name in config.id2label.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = BertForSequenceClassification(config).eval()
        torch.nn.init.normal_(model.classifier.weight, std=2.0)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    return tmp_path, model, tokenizer


def source(folder, **settings):
    (made,) = foreign_sources({"facts": EntailmentConfig(model=str(folder), **settings)}, device="cpu")
    return made


def test_a_part_is_worth_what_its_best_passage_gives_it(classifier):
    folder, model, tokenizer = classifier
    (scores,) = source(folder).score([Sample("q", TEXT, PASSAGES)])
    assert len(scores.scores) == 2
    for score in scores.scores:
        by_passage = []
        for passage in PASSAGES:
            pair = tokenizer(" ".join(passage.sentences), score.span.of(TEXT).strip(), return_tensors="pt")
            by_passage.append(float(model(**pair).logits.softmax(-1)[0, 2].detach()))
        assert score.value == pytest.approx(2 * max(by_passage) - 1, abs=1e-5)


def test_batches_change_nothing(classifier):
    folder, _, _ = classifier
    samples = [Sample("q", TEXT, PASSAGES), Sample("q", "It was red.", PASSAGES[:1]), Sample("q", TEXT, PASSAGES[1:])]
    one, many = (source(folder, batch_size=size).score(samples) for size in (1, 32))
    for first, second in zip(one, many, strict=True):
        assert [score.span for score in first.scores] == [score.span for score in second.scores]
        assert [s.value for s in first.scores] == pytest.approx([s.value for s in second.scores], abs=1e-5)


def test_a_long_passage_is_read_in_runs_of_whole_sentences(classifier):
    folder, model, tokenizer = classifier
    window = model.config.max_position_embeddings
    sentence = "the house was red or it was what house ."
    long = Passage(title="L", sentences=(sentence,) * 200)
    made = source(folder)
    runs = [premise for premise, _ in made._pairs([long], "it was red .")]
    assert len(runs) > 1
    assert " ".join(runs) == " ".join(long.sentences)
    assert all(len(tokenizer(run, "it was red .")["input_ids"]) <= window for run in runs)
    assert made.score([Sample("q", "It was red.", (long,))])[0].scores[0].value <= 1


def test_what_cannot_be_judged_is_unscored_and_never_0(classifier):
    folder, _, _ = classifier
    alone, long, blank = source(folder).score(
        [Sample("q", "It was red."), Sample("q", "red " * 900, PASSAGES), Sample("q", " ", PASSAGES)]
    )
    assert isinstance(alone.missing, Unscored)
    assert isinstance(long.scores[0].value, Unscored)
    assert blank.scores == ()
    assert blank.missing is None


def test_the_label_is_found_or_named(classifier):
    folder, _, _ = classifier
    assert source(folder, label="NEUTRAL").version != source(folder).version
    with pytest.raises(ConfigError, match=r"sources.facts.label: the model has no label 'yes'; it has CONTRADICTION"):
        source(folder, label="yes")
