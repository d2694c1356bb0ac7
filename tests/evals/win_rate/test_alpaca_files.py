import gzip
import json

import pytest

from spanwise.core.errors import DataError
from spanwise.evals.win_rate.alpaca_files import (
    preference_share,
    read_annotations,
    read_leaderboard,
    read_outputs,
    write_annotations,
    write_leaderboard,
    write_outputs,
)
from spanwise.feedback.scores import Unscored


def row(instruction="q", preference=1.0, **more):
    names = {"generator_1": "ref", "generator_2": "ours", "annotator": "judge"}
    return {"instruction": instruction, "output_1": "a", "output_2": "b", "preference": preference, **names, **more}


def written(path, rows):
    path.write_text(json.dumps(rows), "utf-8")
    return path


@pytest.mark.parametrize(("preference", "share"), [(1, 0.0), (2.0, 1.0), (1.5, 0.5), (0, 0.5), (1.25, 0.25)])
def test_preferences_become_shares(preference, share):
    assert preference_share(preference) == share


@pytest.mark.parametrize("preference", [None, 3, -1, "1", True, 0.5])
def test_what_is_no_preference_is_unscored(preference):
    assert isinstance(preference_share(preference), Unscored)


@pytest.mark.parametrize("packed", [False, True])
def test_annotations_are_read_plain_and_gzipped_whatever_the_name(tmp_path, packed):
    text = json.dumps([row("q1", 2), row("q2", None)]).encode()
    (tmp_path / "file.json").write_bytes(gzip.compress(text) if packed else text)
    found = read_annotations(tmp_path / "file.json")
    assert (found.model, found.reference, found.judge) == ("ours", "ref", "judge")
    assert found.pairs[0].share == 1.0
    assert found.unscored == {"no preference": 1}


def test_json_lines_are_read_as_well(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row(f"q{i}", 1)) + "\n" for i in range(3)), "utf-8")
    assert len(read_annotations(tmp_path / "a.jsonl").pairs) == 3


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], "holds no rows"),
        ([3], "row 1 is no object"),
        ([row(), {"instruction": "x"}], "row 2 has no text under 'output_1'"),
        ([row("q1"), row("q2", generator_2="another")], "generator_2 is another, ours"),
        ([{key: value for key, value in row().items() if key != "preference"}], "no row has a preference"),
        ([row(), row(output_2="else")], "different answers"),
    ],
)
def test_what_is_wrong_with_annotations_is_told_in_one_sentence(tmp_path, rows, told):
    with pytest.raises(DataError, match=told) as caught:
        read_annotations(written(tmp_path / "a.json", rows))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"[{", b"\x1f\x8b broken", b"\xff\xfe", b'[{"instruction": NaN}]'])
def test_a_damaged_file_is_told_by_name(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.json"):
        read_annotations(tmp_path / "a.json")


def test_annotations_survive_writing_and_reading(tmp_path):
    before = read_annotations(written(tmp_path / "a.json", [row("q1", 1.25), row("q2", None), row("q3", 0)]))
    write_annotations(tmp_path / "b.json", before, extra={"q1": {"price_per_example": 0.1}})
    after = read_annotations(tmp_path / "b.json")
    assert [pair.instruction for pair in after.pairs] == ["q1", "q2", "q3"]
    assert [pair.share for pair in after.pairs] == [0.25, Unscored("no preference"), 0.5]
    assert json.loads((tmp_path / "b.json").read_text("utf-8"))[0]["price_per_example"] == 0.1


def test_outputs_survive_and_doubles_are_counted(tmp_path):
    write_outputs(tmp_path / "o.json", {"q1": "a", "q2": ""}, model="ours")
    assert read_outputs(tmp_path / "o.json") == ({"q1": "a", "q2": ""}, "ours", 0)
    rows = [{"instruction": "q", "output": "a"}] * 3
    assert read_outputs(written(tmp_path / "mine.json", rows)) == ({"q": "a"}, "mine", 2)


def test_what_a_row_asks_is_its_instruction_and_its_input(tmp_path):
    rows = [{"instruction": "Sum up.", "input": text, "output": text} for text in ("Oslo.", "Rome.")]
    without = (("q1", ""), ("q2", None), ("q3", " "))
    rows += [{"instruction": key, "input": empty, "output": "a"} for key, empty in without]
    outputs, _, doubled = read_outputs(written(tmp_path / "o.json", rows))
    assert list(outputs) == ["Sum up.\n\nOslo.", "Sum up.\n\nRome.", "q1", "q2", "q3"]
    assert doubled == 0
    annotations = [row("Sum up.", 1, input="Oslo."), row("Sum up.", 2, input="")]
    judged = read_annotations(written(tmp_path / "a.json", annotations))
    assert [(pair.instruction, pair.share) for pair in judged.pairs] == [("Sum up.\n\nOslo.", 0.0), ("Sum up.", 1.0)]
    with pytest.raises(DataError, match=r"o\.json: row 1: 'input' is no text"):
        read_outputs(written(tmp_path / "o.json", [{"instruction": "q", "input": 3, "output": "a"}]))


def test_two_outputs_for_one_instruction_are_refused(tmp_path):
    rows = [{"instruction": "q", "output": "a"}, {"instruction": "q", "output": "b"}]
    with pytest.raises(DataError, match="row 2: the instruction 'q' stands there before"):
        read_outputs(written(tmp_path / "o.json", rows))


def test_a_leaderboard_survives_and_is_sorted(tmp_path):
    write_leaderboard(tmp_path / "l.csv", {"worse": {"win_rate": 10.0}, "better": {"win_rate": 60.5, "mode": "dev"}})
    found = read_leaderboard(tmp_path / "l.csv")
    assert list(found) == ["better", "worse"]
    assert (found["better"]["win_rate"], found["better"]["mode"], found["worse"]["n_total"]) == (60.5, "dev", None)


@pytest.mark.parametrize(
    ("text", "told"), [("a,b\n", "no rows"), (",w\nm,1,2\n", ":2: 3 cells"), (",w\nm,1\nm,2\n", "twice")]
)
def test_a_damaged_table_is_told_by_line(tmp_path, text, told):
    (tmp_path / "l.csv").write_text(text, "utf-8")
    with pytest.raises(DataError, match=told):
        read_leaderboard(tmp_path / "l.csv")
