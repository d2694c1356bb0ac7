import json

import pytest
from doubles.feedback import patient
from hypothesis import given
from hypothesis import strategies as st

from spanwise.core.errors import DataError
from spanwise.feedback.formats.json_values import read_items
from spanwise.feedback.problems import Problem


def read(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [(place.item, place.line, value) for place, value in read_items(path)]


@patient
@given(st.lists(st.lists(st.text(st.sampled_from('a"]},\\\n\u2028[{:'))), max_size=4), st.sampled_from([None, 1]))
def test_items_are_those_of_a_json_parser(tmp_path_factory, values, indent):
    path = tmp_path_factory.mktemp("list") / "x.json"
    text = json.dumps(values, indent=indent)
    path.write_text(text)
    found = list(read_items(path))
    assert [value for _, value in found] == values
    assert [json.loads(place.raw) for place, _ in found] == values
    assert [place.item for place, _ in found] == list(range(len(values)))


def test_lines_are_counted_from_one(tmp_path):
    assert read(tmp_path / "x", '\n[1,\n\n{"a":\n2}, 3\n]\n') == [(0, 2, 1), (1, 4, {"a": 2}), (2, 5, 3)]


def test_a_bad_item_costs_one_item(tmp_path):
    found = read(tmp_path / "x", '[1,\n{"a": 1, "a": 2},\nNaN,\n4]')
    assert [(item, line) for item, line, _ in found] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert [isinstance(value, Problem) for _, _, value in found] == [False, True, True, False]
    assert "appears twice" in found[1][2].reason


@pytest.mark.parametrize(
    ("text", "good", "reason"),
    [
        ("[1, 2", 2, "the end where ] belongs"),
        ("[1, 2 3]", 2, "'3' where a comma or ] belongs"),
        ("[1, 2, ]", 2, "Expecting value at character 0"),
        ('[1, 2, {"a": ', 2, "Nothing behind this place was read"),
        ("[1, 2] x", 2, "more text after the list"),
        ("[" + "[" * 99999, 0, "nested too deeply"),
        ("[", 0, "Expecting value"),
    ],
)
def test_a_broken_list_is_one_problem_that_keeps_the_rest(tmp_path, text, good, reason):
    path = tmp_path / "x"
    path.write_text(text)
    found = list(read_items(path))
    assert [value for _, value in found[:good]] == [1, 2][:good]
    ((place, problem),) = found[good:]
    assert reason in problem.reason
    assert text.encode().endswith(place.raw)


@pytest.mark.parametrize("text", [b"", b"  ", b'{"a": 1}', b"\x89PNG", b"plain words"])
def test_what_is_no_list_is_one_sentence(tmp_path, text):
    with pytest.raises(DataError, match=r"x: (a JSON list was expected|is an image)"):
        read(tmp_path / "x", text)


def test_byte_order_mark_is_no_obstacle(tmp_path):
    assert read(tmp_path / "x", b"\xef\xbb\xbf[1]") == [(0, 1, 1)]
