import json

from spanwise.feedback.formats.registry import read_edits, read_feedback


def correction(start, end, text, category="replacement"):
    return {"category": category, "output_idx": [[start, end]], "annotation": {"correction": text}}


def imported(tmp_path, *items):
    path = tmp_path / "set.json"
    path.write_text(json.dumps(list(items)))
    return read_edits(path, "thresh")


def test_corrections_are_applied_with_their_spaces(tmp_path):
    edits = [
        correction(2, 8, "could not", "missing"),  # the marks take the space behind a word with them
        correction(8, 13, None, "unnecessary"),
        correction(17, 17, "the", "missing"),
        correction(22, 22, "today", "missing"),
    ]
    (pair,) = imported(tmp_path, {"source": "", "target": "I could just see them.", "edits": edits}).records
    assert (pair.original, pair.edited) == ("I could just see them.", "I could not see the them. today")
    assert pair.provenance["edits"] == edits


def test_sources_and_targets_are_pairs_and_spans_alone_are_none(tmp_path):
    made = {"source": "a b\r\n", "target": "a c\n", "edits": [{"category": "substitution", "id": 0}], "context": "q"}
    marked = {"source": "s", "target": "t", "edits": [{"category": "off_prompt", "output_idx": [[0, 1]]}]}
    crossing = {"source": "", "target": "a b", "edits": [correction(0, 3, "x"), correction(1, 2, "y")]}
    result = imported(tmp_path, made, marked, crossing, 7)
    (pair,) = result.records
    assert (pair.original, pair.edited, pair.prompt) == ("a b\n", "a c\n", "q")
    reasons = [problem.reason for problem in result.problems]
    assert reasons[0] == "marks spans (off_prompt) but no edit: there is no pair in this item."
    assert "begins before the one ahead" in reasons[1]
    assert len(reasons) == 3


def test_ids_that_come_several_times_in_a_set_cost_no_entry(tmp_path):
    path = tmp_path / "set.json"
    path.write_text(json.dumps([{"id": 1, "source": "s", "target": text, "edits": []} for text in ("a", "b")]))
    result = read_feedback(path, "thresh")
    assert ([record.id for record in result.records], result.problems) == (["set-000000", "set-000001"], [])
