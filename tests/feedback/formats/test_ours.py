"""Edit pairs as records and back: nothing is lost as long as texts and id are the same."""

import pytest
from doubles.feedback import small_record

from spanwise.feedback.edits import Editor, EditPair, edit_pair
from spanwise.feedback.files import write_records
from spanwise.feedback.formats.registry import read_edits, read_feedback, write_feedback
from spanwise.feedback.schema import Passage

EDITOR = Editor(kind="model", name="m", details={"cost": 1})
PAIR = edit_pair("a b c", "a x c", id="p", prompt="?", passages=(Passage(title="T", sentences=("s",)),), editor=EDITOR)
NAMED = PAIR.model_copy(update={"spans": tuple(s.model_copy(update={"reason": "why"}) for s in PAIR.spans or ())})


@pytest.mark.parametrize("pair", [
    PAIR, NAMED, EditPair(original="a", edited="a"), EditPair(original="", edited="b", provenance={"k": 1}),
])  # fmt: skip
def test_pairs_go_through_records_unchanged(pair, tmp_path):
    write_records(tmp_path / "pairs.jsonl", [pair])
    records = read_feedback(tmp_path / "pairs.jsonl", "pairs").records
    assert records[0].responses[0].correction == pair.edited
    write_feedback(tmp_path / "records.jsonl", "spanwise", records)
    assert read_edits(tmp_path / "records.jsonl", "spanwise").records == [pair]
    assert write_feedback(tmp_path / "back.jsonl", "pairs", records).rows == 1
    assert read_edits(tmp_path / "back.jsonl").records == [pair]


def test_a_correction_that_somebody_changed_is_a_pair_of_its_own(tmp_path):
    write_records(tmp_path / "pairs.jsonl", [PAIR])
    (record,) = read_feedback(tmp_path / "pairs.jsonl", "pairs").records
    other = record.responses[0].model_copy(update={"correction": "a b d"})
    write_records(
        tmp_path / "changed.jsonl",
        [record.model_copy(update={"responses": (other,)}), record.model_copy(update={"id": "p#ann"})],
    )
    changed, other_person = read_edits(tmp_path / "changed.jsonl", "spanwise").records
    assert (changed.edited, changed.id, changed.editor.kind) == ("a b d", "p-0", "human")
    assert (other_person.id, other_person.editor.kind) == ("p#ann-0", "human")


def test_an_id_that_comes_twice_is_a_problem_in_every_format(tmp_path):
    path = tmp_path / "a.json"
    write_feedback(path, "argilla", [small_record(), small_record()])
    result = read_feedback(path, "argilla")
    assert len(result.records) == 1
    assert [problem.reason for problem in result.problems] == ["'r0' is the id of item 0 already; make ids unique."]
