"""Comments in pieces, labels, openings and the shared task's F1, and words marked by lexicon, model and both."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.detox.data import character_f1, in_pieces, labelled_texts, load_comments, openings, spans_of, text_of
from experiments.detox.spans import (
    Combination,
    Lexicon,
    best_threshold,
    f1_scores,
    model_words,
    predicted_spans,
    words_of,
)
from spanwise.core.errors import DataError
from spanwise.feedback.schema import FeedbackRecord, Response, mark
from spanwise.feedback.scores import Unscored
from spanwise.text.spans import Span


def comment(text, *marked, number=0):
    spans = tuple(mark(text, text.index(word), text.index(word) + len(word), "toxic") for word in marked)
    return FeedbackRecord(id=f"c-{number}", prompt="", responses=(Response(text=text, marked=True, spans=spans),))


POSITIONS = st.sets(st.integers(0, 30))


def spans_from(positions):
    return [Span(position, position + 1) for position in sorted(positions)]


@given(POSITIONS, POSITIONS)
def test_f1_is_that_of_precision_and_recall(said, wanted):
    found = character_f1(spans_from(said), spans_from(wanted))
    if not wanted:
        assert found == (0.0 if said else 1.0)
        return
    precision = len(said & wanted) / len(said) if said else 0.0
    recall = len(said & wanted) / len(wanted)
    expected = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    assert math.isclose(found, expected, abs_tol=1e-12)


def test_sentences_without_a_mark_are_the_clean_texts():
    record = comment("You are a fool. The bridge is closed. It rains.", "fool")
    assert [(e.text, e.toxic) for e in labelled_texts([record, comment("Nobody marked this.")])] == [
        ("You are a fool.", True),
        ("The bridge is closed.", False),
        ("It rains.", False),
        ("You are a fool. The bridge is closed. It rains.", True),
        ("The bridge is closed. It rains.", False),
    ]


def test_pieces_keep_every_character_and_every_mark():
    text = " ".join(f"Sentence {number} is about a fool and nothing else." for number in range(9))
    record = comment(text, "Sentence 3 is", "else. Sentence 5")
    pieces = in_pieces([record], max_words=20)
    assert "".join(text_of(piece) for piece in pieces) == text
    assert all(len(text_of(piece).split()) <= 20 for piece in pieces)
    marked = "".join(span.of(text_of(piece)) for piece in pieces for span in spans_of(piece))
    assert marked == "Sentence 3 iselse. Sentence 5"


def test_openings_end_before_the_first_mark_and_are_read_as_they_stand():
    records = [
        comment("The mayor of this old town is a fool and more", "fool", number=1),
        comment("You fool, what have you done to us", "fool", number=2),
        comment("Nobody marked this comment with any span", number=3),
        comment(f"{'word ' * 20}fool", "fool", number=4),
    ]
    found = openings(records)
    assert [record.id for record in found] == ["c-1", "c-4"]
    assert found[0].model_input == "The mayor of this old town is a"
    assert len(found[1].prompt.split()) == 10


def test_a_mark_inside_a_word_leaves_the_word_out_of_the_opening():
    assert openings([comment("one two three four un-fool-ish", "fool")])[0].prompt == "one two three four"


def test_parts_of_the_data_have_no_comment_in_common(tmp_path):
    rows = "".join(f'"[0]",comment number {number}\n' for number in range(900))
    (tmp_path / "tsd_trial.csv").write_text('spans,text\n"[0]",comment number 3\n"[0]",another\n')
    (tmp_path / "tsd_train.csv.gz").write_bytes(__import__("gzip").compress(f"spans,text\n{rows}".encode()))
    found = load_comments(tmp_path)
    parts = [found.paying, found.judging, found.validation, found.trial]
    texts = [text_of(record) for part in parts for record in part]
    assert len(texts) == len(set(texts)) == 899 + 2
    assert found.repeated == 1
    assert load_comments(tmp_path) == found


def test_bad_rows_stop_the_study(tmp_path):
    (tmp_path / "tsd_trial.csv").write_text('spans,text\n"[99]",short\n')
    with pytest.raises(DataError, match="names character 99"):
        load_comments(tmp_path)


def test_the_lexicon_is_the_share_of_marked_occurrences():
    records = [
        comment("a fool here", "fool"),
        comment("a Fool there", "Fool"),
        comment("the fool"),
        comment("dam", "d"),
    ]
    lexicon = Lexicon.of(records)
    assert lexicon.shares == {"fool": 2 / 4}
    assert lexicon("What a FOOL!") == [(Span(0, 4), 0.0), (Span(5, 6), 0.0), (Span(7, 11), 0.5)]


def test_neighbouring_words_are_one_span():
    text = "you stupid fool, idiot"
    words = list(zip(words_of(text), [0.1, 0.9, 0.8, 0.9], strict=True))
    assert [span.of(text) for span in predicted_spans(text, words, 0.5)] == ["stupid fool", "idiot"]


class Halves:
    """Stands for a span model whose tokens are halves of words; the second half of "fool" is marked."""

    def marked_tokens(self, texts):
        return [Unscored("too long") if text == "long" else self._tokens(text) for text in texts]

    def _tokens(self, text):
        found = []
        for word in words_of(text):
            middle = (word.start + word.end) // 2
            cost = 0.9 if word.of(text) == "fool" else 0.2
            found += [(Span(word.start, middle), 0.1), (Span(middle, word.end), cost)]
        return found


def test_a_word_is_as_marked_as_its_worst_token():
    found = model_words(Halves(), ["you fool, yes", "long", ""])
    assert [p for _, p in found[0]] == [0.2, 0.9, 0.2]
    assert found[1] == Unscored("too long")
    assert found[2] == []


def test_thresholds_and_scores_follow_the_words():
    records = [comment("such a fool", "fool", number=1), comment("such a day", number=2), comment("long", number=3)]
    words = model_words(Halves(), [text_of(record) for record in records])
    threshold = best_threshold(records, words)
    assert 0.2 < threshold <= 0.9
    assert f1_scores(records, words, threshold) == {"c-1": 1.0, "c-2": 1.0, "c-3": Unscored("too long")}
    assert f1_scores(records, words, 0.1)["c-2"] == 0.0


def test_the_combination_learns_which_of_the_two_to_believe():
    records = [comment(f"one fool number {n}", "fool", number=n) for n in range(20)]
    texts = [text_of(record) for record in records]
    blind = [[(word, 0.3) for word in words_of(text)] for text in texts]
    seeing = [[(word, 0.9 if word.of(text) == "fool" else 0.2) for word in words_of(text)] for text in texts]
    both = Combination.of(records, blind, seeing)
    probabilities = [p for _, p in both(blind[0], seeing[0])]
    assert probabilities[1] > 0.5 > max(probabilities[0], *probabilities[2:])
