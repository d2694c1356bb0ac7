from spanwise.evals.win_rate.judges.base import Case
from spanwise.feedback.scores import Unscored
from spanwise.quickstart.judge import OracleJudge
from spanwise.sim.oracle import minimal_edit
from spanwise.sim.world import make_items

ITEMS = make_items(8, seed=0, split="test")


def share(case):
    return dict(OracleJudge(ITEMS).judge([case]))[0].share


def test_the_true_answer_beats_silence_in_either_place():
    for item in ITEMS:
        right = minimal_edit("", item.truth)
        assert right, "every item has something to say"
        assert share(Case(item.record.model_input, right, "")) == 0.0
        assert share(Case(item.record.model_input, "", right)) == 1.0


def test_equally_good_answers_tie():
    assert share(Case(ITEMS[0].record.prompt, "Nonsense one.", "Nonsense two.")) == 0.5


def test_an_unknown_instruction_is_unscored():
    assert isinstance(share(Case("Who are you?", "a", "b")), Unscored)


def test_a_question_of_two_items_is_unscored():
    doubled = OracleJudge([ITEMS[0], ITEMS[0]])
    found = dict(doubled.judge([Case(ITEMS[0].record.prompt, "a", "b")]))[0]
    assert isinstance(found.share, Unscored)
