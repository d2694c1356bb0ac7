"""Reward models read the same text in training and serving, and each segment keeps its own tokens."""

from itertools import pairwise

import numpy as np
import pytest
from doubles.models import tiny_gpt2, tiny_llama, tiny_t5
from doubles.reward_world import tiny_bert

from spanwise.feedback.prompts import build_prompt
from spanwise.feedback.schema import FeedbackRecord, Passage, Response
from spanwise.feedback.scores import Sample, Unscored
from spanwise.reward_models.config import RelevanceRule
from spanwise.reward_models.data.examples import make_examples
from spanwise.reward_models.data.inputs import EncodedResponse, InputEncoder
from spanwise.reward_models.data.labels import label_records
from spanwise.reward_models.features.relations import SEGMENT_FEATURES, segment_features
from spanwise.text.segments import get_segmenter

PASSAGES = (
    Passage(title="Ada Veld", sentences=("Ada Veld was born in Oslo.", "She kept seven hens.", "It rained a lot.")),
    Passage(title="Oslo", sentences=("Oslo is a city.",)),
)
RESPONSE = "Ada Veld was born in Oslo, and she worked as a mason there. It is not said when she died."
TOKENIZERS = {"llama": tiny_llama, "gpt2": tiny_gpt2, "t5": tiny_t5, "bert": tiny_bert}


def encoder(tokenizer, *, window=1000, use_passages=True, features=False):
    return InputEncoder(
        tokenizer,
        max_length=window,
        use_passages=use_passages,
        densities=["sub-sentence", "sentence", "sequence", "sentence"],
        features=features,
    )


def encode_one(tokenizer, sample, **options):
    (found,) = encoder(tokenizer, **options).encode([sample])
    return found


def test_training_and_serving_read_the_same_tokens_also_where_a_policy_wrote_a_leading_blank():
    _, tokenizer = tiny_llama()
    record = FeedbackRecord(
        id="1",
        prompt="where was Ada Veld born?",
        passages=PASSAGES,
        responses=(Response(text=RESPONSE, marked=True),),
    )
    labelled, _ = label_records([record], spans={"relevance": RelevanceRule()}, preference=False)
    (example,), _ = make_examples(labelled, encoder(tokenizer))
    served = encode_one(tokenizer, Sample(record.prompt, f" {RESPONSE}\n", PASSAGES))
    assert served.ids == example.responses[0].ids
    assert served.pieces == example.responses[0].pieces
    text = f"{build_prompt(record.prompt, PASSAGES)} {RESPONSE}"
    assert list(served.ids) == [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]


@pytest.mark.parametrize("use_passages", [True, False])
def test_features_are_the_same_in_training_and_serving_and_see_passages_that_the_model_does_not_read(use_passages):
    _, tokenizer = tiny_llama()
    options = {"use_passages": use_passages, "features": True}
    plain = encode_one(tokenizer, Sample("where was Ada Veld born?", RESPONSE, PASSAGES), **options)
    blanks = encode_one(tokenizer, Sample("where was Ada Veld born?", f" {RESPONSE}\n", PASSAGES), **options)
    expected = segment_features(
        Sample("where was Ada Veld born?", RESPONSE, PASSAGES), get_segmenter("sub-sentence")(RESPONSE)
    )
    assert set(plain.features) == {"sub-sentence", "sentence", "sequence"}
    for density, rows in plain.features.items():
        assert len(rows) == len(plain.pieces[density])
        np.testing.assert_array_equal(rows, blanks.features[density])
    np.testing.assert_array_equal(plain.features["sub-sentence"], expected)
    assert expected[:, SEGMENT_FEATURES.index("passage_sentences")].tolist() == [4, 4, 4]


def test_an_empty_response_has_features_as_a_whole_only():
    _, tokenizer = tiny_llama()
    found = encode_one(tokenizer, Sample("where?", " \n", PASSAGES), features=True)
    assert {density: rows.shape[0] for density, rows in found.features.items()} == {
        "sub-sentence": 0, "sentence": 0, "sequence": 1
    }  # fmt: skip


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("density", ["sub-sentence", "sentence"])
def test_pieces_hold_the_words_of_their_segments_and_no_others(name, density):
    _, tokenizer = TOKENIZERS[name]()
    sample = Sample("where was Ada Veld born?", RESPONSE, PASSAGES)
    found = encode_one(tokenizer, sample)
    assert found.segments[density] == get_segmenter(density)(RESPONSE)
    offsets = tokenizer(f"{build_prompt(sample.prompt, PASSAGES)} {RESPONSE}", return_offsets_mapping=True)
    shift = len(build_prompt(sample.prompt, PASSAGES)) + 1
    for span, (first, last) in zip(found.segments[density], found.pieces[density], strict=True):
        covered = [offsets["offset_mapping"][token] for token in range(first, last + 1)]
        text = f"{' ' * shift}{RESPONSE}"[covered[0][0] : covered[-1][1]]
        assert text.strip() == span.of(RESPONSE).strip()


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_sequence_piece_runs_from_the_response_to_the_closing_token(name):
    _, tokenizer = TOKENIZERS[name]()
    found = encode_one(tokenizer, Sample("where?", RESPONSE))
    ((first, last),) = found.pieces["sequence"]
    assert last == len(found.ids) - 1
    assert found.ids[last] in tokenizer.all_special_ids
    assert first == found.pieces["sentence"][0][0]


@pytest.mark.parametrize("response", ["", "  \n "])
@pytest.mark.parametrize("name", TOKENIZERS)
def test_an_empty_response_has_no_segments_and_is_judged_at_its_closing_token(name, response):
    _, tokenizer = TOKENIZERS[name]()
    found = encode_one(tokenizer, Sample("where?", response))
    assert found.segments["sentence"] == ()
    assert found.pieces["sequence"] == ((len(found.ids) - 1, len(found.ids) - 1),)


def test_emoji_that_share_bytes_do_not_upset_the_pieces():
    _, tokenizer = tiny_llama()
    response = "Oslo \N{PARTY POPPER}\N{PARTY POPPER}. \N{SNOWMAN} It is cold."
    found = encode_one(tokenizer, Sample("where?", response))
    pieces = found.pieces["sentence"]
    assert all(first <= last for first, last in pieces)
    assert all(left[1] < right[0] for left, right in pairwise(pieces))


def test_passages_are_cut_by_whole_sentences_the_unrelated_first_and_the_response_never():
    _, tokenizer = tiny_llama()
    sample = Sample("where was Ada Veld born?", RESPONSE, PASSAGES)
    whole = encode_one(tokenizer, sample)
    cut = encode_one(tokenizer, sample, window=len(whole.ids) - 3)
    assert cut.sentences_cut == 1
    text = tokenizer.decode(cut.ids)
    assert "It rained a lot." not in text
    assert all(kept in text for kept in ("born in Oslo.", "seven hens", "Oslo is a city.", RESPONSE))
    assert len(cut.ids) <= len(whole.ids) - 3


def test_a_response_that_does_not_fit_even_without_passages_is_unscored_with_both_numbers():
    _, tokenizer = tiny_llama()
    sample = Sample("where was Ada Veld born?", RESPONSE, PASSAGES)
    bare = len(encode_one(tokenizer, sample, use_passages=False).ids)
    fits = encode_one(tokenizer, sample, window=bare)
    assert isinstance(fits, EncodedResponse)
    assert fits.sentences_cut == 4
    assert encode_one(tokenizer, sample, window=bare - 1) == Unscored(
        f"prompt and response need {bare} tokens, the window of the reward model holds {bare - 1}"
    )


def test_a_model_without_passages_reads_none():
    _, tokenizer = tiny_llama()
    found = encode_one(tokenizer, Sample("where?", "Oslo.", PASSAGES), use_passages=False)
    assert found.ids == encode_one(tokenizer, Sample("where?", "Oslo.")).ids
