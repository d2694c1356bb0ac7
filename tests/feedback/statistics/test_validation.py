import pytest

from spanwise.feedback.edits import EditPair, edit_pair
from spanwise.feedback.statistics.validation import EditRules, validate_edits

LONG = "one two three four five six seven eight nine ten"


def reason_of(original, edited, rules=None, **how):
    result = validate_edits([EditPair(original=original, edited=edited)], rules, **how)
    return result.refused[0].reason if result.refused else None


@pytest.mark.parametrize(
    ("original", "edited", "reason"),
    [
        (LONG, LONG.replace("four", "4"), None),
        (LONG, "", "empty"),
        (LONG, " \n", "empty"),
        ("", LONG, "empty"),
        (LONG, LONG, "identical"),
        (LONG, LONG.replace(" ", "  "), "white space only"),
        (LONG, "something else that was written anew from here on", "rewrite"),
        (LONG, "one two three four five VI VII VIII IX X", "over budget"),
        (LONG, " ".join(LONG.split()[:6]), None),
        (LONG, LONG + " and more that was left out", None),  # adding alone is held to the budget, not to the ratio
    ],
)
def test_pairs_are_refused_for_what_is_wrong_with_them(original, edited, reason):
    assert reason_of(original, edited) == reason


def test_places_and_length_have_limits_of_their_own():
    words = [f"w{k}" for k in range(60)]
    scattered = [word.upper() if k % 6 == 0 else word for k, word in enumerate(words)]
    assert reason_of(" ".join(words), " ".join(scattered)) == "too many changes"
    assert reason_of(" ".join(words), " ".join(words[:40]), EditRules(min_length_ratio=0.9)) == "length"


@pytest.mark.parametrize(("window", "reason"), [(3, "cut by the window"), (4, None), (None, None)])
def test_a_window_that_ends_within_a_change_cuts_the_pair(window, reason):
    tokenize = {LONG: list(range(10)), LONG.replace("four", "4"): [0, 1, 2, 99, *range(4, 10)]}.__getitem__
    assert reason_of(LONG, LONG.replace("four", "4"), EditRules(window=window), tokenize=tokenize) == reason


@pytest.mark.parametrize(
    ("verdict_of", "reason"),
    [
        (lambda first, second: "first" if "4" in first else "second", None),
        (lambda first, second: "second" if "4" in first else "first", "judge prefers the original"),
        (lambda first, second: "first", "judge undecided"),  # it likes whatever comes first
        (lambda first, second: "tie", "judge undecided"),
        (lambda first, second: None, "judge gave no answer"),
    ],
)
def test_the_judge_is_asked_in_both_orders(verdict_of, reason):
    judge = lambda pair, first, second: verdict_of(first, second)  # noqa: E731
    assert reason_of(LONG, LONG.replace("four", "4"), judge=judge) == reason


def test_counts_name_every_refused_pair():
    pairs = [edit_pair(LONG, LONG.replace("two", "2"), id="good"), edit_pair("a", "a", id="same"), edit_pair("b", "b")]
    result = validate_edits(pairs)
    assert ([pair.id for pair in result.kept], result.counts) == (["good"], {"identical": 2})
    assert result.refused[0].as_dict() == {"position": 1, "id": "same", "reason": "identical", "detail": ""}
