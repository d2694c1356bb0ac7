"""Batches keep each label with its segment and each pair with its responses."""

import torch
from doubles.models import tiny_llama
from doubles.reward_world import records

from spanwise.feedback.schema import FeedbackRecord, Preference, Response, mark
from spanwise.reward_models.config import FactualityRule
from spanwise.reward_models.data.examples import make_batch, make_examples
from spanwise.reward_models.data.inputs import InputEncoder
from spanwise.reward_models.data.labels import label_records
from spanwise.reward_models.data.packing import by_length
from spanwise.reward_models.heads import HeadSpec
from spanwise.training.loop import bucketed

HEADS = (HeadSpec("factuality", "sentence", "segment"), HeadSpec("preference", "sequence", "sequence"))
TEXTS = ("It was red. It was monday.", "It was blue.", "It was cow. It was red. It was dog.")


def examples(found, window=1000):
    _, tokenizer = tiny_llama()
    encoder = InputEncoder(tokenizer, max_length=window, use_passages=True, densities=["sentence", "sequence"])
    labelled, _ = label_records(found, spans={"factuality": FactualityRule(ignore_min_span_words=0)})
    return make_examples(labelled, encoder)


def three_answers():
    return FeedbackRecord(
        id="1",
        prompt="what was it ?",
        responses=(
            Response(text=TEXTS[0], marked=True, spans=(mark(TEXTS[0], 19, 25, "Wrong-Grounding"),)),
            Response(text=TEXTS[1]),
            Response(text=TEXTS[2], marked=True, spans=(mark(TEXTS[2], 7, 10, "Irrelevant"),)),
        ),
        preferences=(
            Preference(first=0, second=1, winner="second"),
            Preference(first=1, second=2, winner="first"),
            Preference(first=0, second=2, winner="tie"),
        ),
    )


def test_labels_pairs_and_listing_order_point_at_the_right_pieces():
    (example,), _ = examples([three_answers()])
    for pack_to in (0, 1000):
        batch = make_batch([example], HEADS, pad_id=0, pack_to=pack_to)
        # Responses of two, one (without labels) and three sentences, each followed by the whole.
        assert batch.inputs.pieces[:, 1].tolist() == [0, 0, 1, 0, 1, 0, 0, 0, 1]
        known = [True, True, False, False, False, False, True, True, False]
        assert batch.label_mask.tolist() == known
        assert batch.correct[batch.label_mask].tolist() == [1.0, 0.0, 1.0, 1.0]
        assert batch.owners == [(0, 0)] * 3 + [(0, 1)] * 2 + [(0, 2)] * 4
        pairs = batch.pairs["preference"]
        assert pairs.first[pairs.better].tolist() == [4, 4]
        assert pairs.first[pairs.worse].tolist() == [2, 8]
        assert pairs.size.tolist() == [1, 1, 1]
        assert pairs.order.tolist() == [-1.0, 1.0]


def test_responses_beyond_the_window_and_records_without_labels_are_counted():
    unlabelled = FeedbackRecord(id="2", prompt="what ?", responses=(Response(text="It was red."),))
    (example,), counts = examples([three_answers(), unlabelled])
    assert counts == {"inputs/records without a label": 1}
    window = len(example.responses[2].ids) - 1
    (shorter,), counts = examples([three_answers(), unlabelled], window=window)
    assert set(shorter.responses) == {0, 1}
    assert counts == {"inputs/responses longer than the window": 1, "inputs/records without a label": 1}
    pairs = make_batch([shorter], HEADS, pad_id=0).pairs["preference"]
    assert len(pairs.better) == 1


def test_an_epoch_has_every_example_once_in_batches_of_similar_length():
    found, _ = examples(records(40, "buckets"))
    batches = bucketed(found, 4, torch.Generator().manual_seed(0), length=lambda example: example.length)
    ids = [example.labels.record.id for batch in batches for example in batch]
    assert sorted(ids) == sorted(example.labels.record.id for example in found)
    waste = sum(max(e.length for e in batch) - e.length for batch in batches for e in batch)
    unsorted = [found[start : start + 4] for start in range(0, 40, 4)]
    assert waste < 0.5 * sum(max(e.length for e in batch) - e.length for batch in unsorted for e in batch)


def test_the_order_of_an_epoch_comes_from_its_generator():
    found, _ = examples(records(12, "order"))

    def order(seed):
        batches = bucketed(found, 2, torch.Generator().manual_seed(seed), length=lambda example: example.length)
        return [example.labels.record.id for batch in batches for example in batch]

    assert order(1) == order(1) != order(2)


def test_measuring_goes_through_all_examples_shortest_first():
    found, _ = examples(records(7, "measure"))
    lengths = [example.length for batch in by_length(found, batch_size=3) for example in batch]
    assert lengths == sorted(example.length for example in found)
