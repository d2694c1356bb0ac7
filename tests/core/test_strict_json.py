import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.core.strict_json import BadJSONError, end_of_value, parse, parse_at

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(deadline=None)
@given(values, st.sampled_from([None, 1]), st.sampled_from(["", " \r\n"]))
def test_what_json_writes_is_read(value, indent, space):
    assert parse(space + json.dumps(value, indent=indent) + space) == value


@pytest.mark.parametrize(
    ("text", "message", "index"),
    [
        ("", "Expecting value", 0),
        ("{'a': 1}", "double quotes", 1),
        ('{"a": 1,}', "character 8", 8),
        ("1 2", "more text after the value, from character 2", 2),
        ('[{"a": 1, "b": 2, "a": 3}]', "the key 'a' appears twice", 0),
        ("[NaN]", "NaN is no JSON number", 0),
        ("-Infinity", "-Infinity is no JSON number", 0),
        ("[1e400]", "the number 1e400 is too large", 0),
        ("9" * 5000, "more than 4,300 digits", 0),
        ("[" * 100000, "nested too deeply", 0),
        ('"a\nb"', "Invalid control character", 2),
    ],
)
def test_traps_are_refused_and_located(text, message, index):
    with pytest.raises(BadJSONError, match=message) as caught:
        parse(text)
    assert caught.value.index == index


def test_a_value_inside_a_text_ends_where_it_ends():
    text = '[{"a": 1, "a": 2}, 3]'
    assert parse_at(text, 19) == (3, 20)
    assert end_of_value(text, 1) == 17
    assert end_of_value('["open', 0) is None
