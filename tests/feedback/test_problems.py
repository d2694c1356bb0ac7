from pydantic import BaseModel, ConfigDict

from spanwise.feedback.problems import Place, Problem, validated


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str


def test_problem_reads_as_a_sentence_with_its_place():
    place = Place("f.json", 7, b"raw", item=2)
    assert str(Problem(place, "a.0", "is odd.")) == "f.json:7: item 2: a.0: is odd."
    assert str(Problem(Place("f.jsonl", 7, b""), "", "is odd.")) == "f.jsonl:7: is odd."
    assert Problem(place, "a.0", "is odd.").as_dict() == {
        "file": "f.json", "line": 7, "item": 2, "field": "a.0", "reason": "is odd.",
    }  # fmt: skip


def test_hostile_keys_cannot_steer_a_terminal_or_break_an_encoding():
    outcome = validated(Thing, {"name": "x", "\x1b[2J\ud800": 1}, Place("f", 1, b""))
    assert isinstance(outcome, list)
    assert str(outcome[0]).isprintable()
    assert str(outcome[0]).encode()


def test_long_values_are_shortened():
    outcome = validated(Thing, {"name": ["x" * 1000]}, Place("f", 1, b""))
    assert isinstance(outcome, list)
    assert len(str(outcome[0])) < 120
