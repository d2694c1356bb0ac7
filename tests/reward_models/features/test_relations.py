import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanwise.feedback.schema import Passage
from spanwise.feedback.scores import Sample
from spanwise.reward_models.features.relations import (
    RESPONSE_FEATURES,
    SEGMENT_FEATURES,
    SURFACE_FEATURES,
    response_features,
    segment_features,
)
from spanwise.text.segments import sub_sentences

PASSAGES = (
    Passage(
        title="Velmora",
        sentences=("Velmora is a harbor town in Ostia.", "The mayor of Velmora is Anna Reyes since 1998."),
    ),
    Passage(title="Ostia", sentences=("Ostia exports copper and tin.",)),
)
QUESTION = "Who is the mayor of Velmora?"


def segments_of(response):
    return sub_sentences(response) if response.strip() else ()


def rows(response, passages=PASSAGES):
    sample = Sample(QUESTION, response, passages)
    found = segment_features(sample, segments_of(response))
    return [dict(zip(SEGMENT_FEATURES, row.tolist(), strict=True)) for row in found]


def whole(response, passages=PASSAGES):
    return dict(zip(RESPONSE_FEATURES, response_features(Sample(QUESTION, response, passages)).tolist(), strict=True))


def test_names_are_unique_and_the_baseline_comes_first():
    assert len(set(SEGMENT_FEATURES)) == len(SEGMENT_FEATURES)
    assert len(set(RESPONSE_FEATURES)) == len(RESPONSE_FEATURES)
    assert SEGMENT_FEATURES[: len(SURFACE_FEATURES)] == SURFACE_FEATURES
    assert len(SURFACE_FEATURES) == 14


def test_a_copied_sentence_is_wholly_supported_by_its_source():
    (row,) = rows("The mayor of Velmora is Anna Reyes since 1998.")
    assert row["source_support"] == row["passage_support"] == row["copied_share"] == row["fourgrams_found"] == 1
    assert row["words"] == row["copied_words"] == 9
    assert (row["source_passage"], row["source_place"], row["source_opens_passage"]) == (0, 0.5, 0)
    assert row["question_said"] == 1  # mayor, Velmora
    assert row["from_question"] == pytest.approx(2 / 6)  # mayor velmora anna rey since 1998
    assert row["words_not_in_source"] == row["numbers_not_in_passages"] == row["bigrams_missing"] == 0
    assert row["asks_who_says_name"] == pytest.approx(3 / 9)


def test_what_no_passage_says_is_counted():
    (row,) = rows("The mayor of Velmora is Boris Reyes since 2004.")
    assert row["words_not_in_passages"] == 2  # boris, 2004
    assert row["numbers_not_in_passages"] == row["numbers_not_in_source"] == 1
    assert row["names_not_in_passages"] == 1
    assert row["bigrams_missing"] == 3  # is boris, boris reyes, since 2004
    assert row["copied_words"] == 5


def test_repetition_looks_back_only():
    first, second = rows("Ostia exports copper and tin. Ostia exports copper and tin.")
    assert first["said_before"] == first["said_before_at_once"] == first["trigrams_said_before"] == 0
    assert second["said_before"] == second["said_before_at_once"] == second["trigrams_said_before"] == 1
    assert (first["source_reused"], second["source_reused"]) == (0, 1)


def test_position_counts_from_the_start_of_the_response():
    first, second = rows("Ostia exports copper and tin. Velmora is a harbor town in Ostia.")
    assert (first["index"], second["index"]) == (0, 1)
    assert (first["is_first"], first["is_last"], second["is_last"]) == (1, 0, 1)
    assert second["words_before"] == 5
    assert second["response_words"] == 12
    assert second["starts_sentence"] == 1
    assert first["place"] < 0.5 < second["place"]


def test_question_words_are_new_once():
    first, second = rows("The mayor of Velmora is Anna Reyes. The mayor of Velmora is Anna Reyes.")
    assert (first["question_new"], second["question_new"]) == (1, 0)
    assert first["question_said_so_far"] == 1


def test_response_features_are_means_and_sums_of_the_segments():
    response = "The mayor of Velmora is Anna Reyes since 1998. Ostia exports copper and tin."
    segments, found = rows(response), whole(response)
    for name in SEGMENT_FEATURES:
        assert found[f"sum_{name}"] == pytest.approx(sum(row[name] for row in segments))
        assert found[f"mean_{name}"] == pytest.approx(sum(row[name] for row in segments) / 2)


def test_coverage_counts_the_sentences_told():
    found = whole("The mayor of Velmora is Anna Reyes since 1998. Ostia exports copper and tin.")
    assert found["sentences_told"] == found["sentences_told_wholly"] == found["passages_told"] == 2
    assert found["openings_told"] == 1  # that of Ostia
    assert found["first_passage_told"] == 1
    assert found["question_covered"] == 1
    more = whole("Velmora is a harbor town in Ostia. Ostia exports copper and tin. The mayor is Anna Reyes since 1998.")
    assert more["sentences_told"] > found["sentences_told"]


@pytest.mark.parametrize("response", ["", "   ", "...", "Nothing of this."])
def test_without_passages_or_words_all_is_finite(response):
    for passages in ((), PASSAGES, (Passage(title="", sentences=()),)):
        assert np.isfinite(list(whole(response, passages).values())).all()
        assert np.isfinite([list(row.values()) for row in rows(response, passages)]).all()


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=60)


@given(TEXTS, st.lists(TEXTS, max_size=3))
def test_any_text_gives_one_finite_row_per_segment(response, sentences):
    sample = Sample(QUESTION, response, (Passage(title="t", sentences=tuple(sentences)),))
    segments = segments_of(response)
    found = segment_features(sample, segments)
    assert found.shape == (len(segments), len(SEGMENT_FEATURES))
    assert np.isfinite(found).all()
    shares = found[:, [SEGMENT_FEATURES.index(n) for n in ("question_said", "source_support", "said_before", "place")]]
    assert ((shares >= 0) & (shares <= 1)).all()
