import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanwise.evals.report.heatmap import largest, lay_out, place_tokens, tint
from spanwise.evals.statistics.results import ExampleSpan
from spanwise.text.spans import Span


def text_of(stretches):
    return "".join(piece.text for stretch in stretches for piece in stretch.pieces if not piece.special)


def mark(start, end, category="wrong"):
    return ExampleSpan(start=start, end=end, category=category)


def test_tokens_stand_where_they_were_written_and_the_end_token_nowhere():
    assert place_tokens("Ada Veld.", ["Ada", " Veld", ".", "</s>"]) == [Span(0, 3), Span(3, 8), Span(8, 9), None]


def test_a_leading_space_that_decoding_dropped_is_no_obstacle():
    assert place_tokens("Ada Veld", [" Ada", " Veld"]) == [Span(0, 3), Span(3, 8)]


def test_tokens_of_half_a_character_share_it():
    assert place_tokens("\u00e9 bar", ["\ufffd", "\ufffd", " bar"]) == [Span(0, 1), None, Span(1, 5)]
    assert place_tokens("\u00e9", ["\ufffd", "\ufffd"]) == [Span(0, 1), None]


def test_marks_cut_tokens_and_each_piece_knows_its_token():
    stretches = lay_out("Ada Veld. Hi", ["Ada", " Veld", ".", " Hi", "</s>"], [mark(4, 9)])
    assert [(s.category, [(p.text, p.token, p.last) for p in s.pieces]) for s in stretches] == [
        ("", [("Ada", 0, True), (" ", None, False)]),
        ("wrong", [("Veld", 1, True), (".", 2, True)]),
        ("", [(" Hi", 3, True), ("</s>", 4, True)]),
    ]


def test_special_tokens_are_marked_as_such_and_keep_their_place():
    pieces = [p for s in lay_out("a b", ["<s>", "a", "<pad>", " b", "</s>"]) for p in s.pieces]
    assert [(p.text, p.special) for p in pieces] == [
        ("<s>", True),
        ("a", False),
        ("<pad>", True),
        (" b", False),
        ("</s>", True),
    ]


def test_tokens_without_text_are_not_shown_beside_text():
    pieces = [(p.text, p.token) for s in lay_out("Ada Veld", ["", "Ada", " Veld", "", "</s>"]) for p in s.pieces]
    assert pieces == [("Ada", 1), (" Veld", 2), ("</s>", 4)]
    (stretch,) = lay_out("", ["", "</s>"])
    assert [(p.text, p.special) for p in stretch.pieces] == [("\u00b7", True), ("</s>", True)]


def test_an_answer_without_tokens_is_shown_as_it_is():
    assert [(s.category, text_of([s])) for s in lay_out("abc", [], [mark(1, 2)])] == [
        ("", "a"),
        ("wrong", "b"),
        ("", "c"),
    ]
    assert lay_out("", []) == ()


@given(
    st.lists(st.text(alphabet="ab .\u00e9\U0001f600\n<", max_size=4), max_size=8),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=3),
    st.booleans(),
)
def test_no_character_is_lost_or_doubled(tokens, ends, broken):
    response = "".join(tokens)
    shown = ["\ufffd" if broken and index % 2 else token for index, token in enumerate(tokens)]
    marks = [mark(min(pair), max(pair)) for pair in ends]
    stretches = lay_out(response, [*shown, "</s>"], marks)
    assert text_of(stretches) == response
    used = [p.token for s in stretches for p in s.pieces if p.token is not None]
    assert set(used) <= set(range(len(tokens) + 1))


@pytest.mark.parametrize(("text", "lead", "body"), [(" Oslo", " ", "Oslo"), ("Oslo ", "", "Oslo "), ("\n", "", "\n")])
def test_colour_begins_at_the_visible_text(text, lead, body):
    piece = lay_out(text, [text])[0].pieces[0]
    assert (piece.lead, piece.body) == (lead, body)


def test_a_score_colours_its_token_fully_and_the_words_before_it_palely():
    found = tint((0.0, 0.0, 0.5, 0.0, -1.0, None, 0.001), 1.0)
    assert [(one.strength, one.sign, one.gap) for one in found] == [
        (pytest.approx(0.15), "", 0.0),
        (pytest.approx(0.15), "", pytest.approx(0.15)),
        (0.5, "+", pytest.approx(0.15)),
        (pytest.approx(-0.3), "", 0.0),
        (-1.0, "\u2212", pytest.approx(-0.3)),
        (None, "?", 0.0),
        (0.0, "", 0.0),
    ]
    assert {one.strength for one in tint((0.0, 0.0), 0.0)} == {0.0}


def test_full_colour_is_the_largest_score_of_its_source():
    assert largest([{"a": (0.1, -0.4), "b": (None,)}, {"a": (0.2,)}]) == {"a": 0.4, "b": 0.0}
