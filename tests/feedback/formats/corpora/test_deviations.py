import json

import pytest
from doubles.feedback import json_values, thorough
from hypothesis import given

from spanwise.core.errors import DataError
from spanwise.feedback.formats.corpora.deviations import deviations, restored


@thorough
@given(json_values, json_values)
def test_any_value_comes_back_from_any_other(ours, theirs):
    kept = deviations(ours, theirs)
    assert json.dumps(restored(ours, json.loads(json.dumps(kept)), place="x")) == json.dumps(theirs)


def test_only_the_places_that_differ_are_kept():
    kept = deviations({"a": [1, "x"], "b": "long"}, {"a": [1, "y"], "b": "long"})
    assert kept is not None
    assert kept["changes"] == [{"path": ["a", 1], "value": "y"}]
    assert deviations({"a": 1}, {"a": 1}) is None
    assert deviations({"a": 1, "b": 2}, {"b": 2, "a": 1}) is not None


def test_another_value_keeps_our_spelling():
    kept = deviations({"a": 1}, {"a": 2})
    assert restored({"a": 3}, kept, place="x") == {"a": 3}
    assert restored({"a": 1}, None, place="x") == {"a": 1}


def test_a_path_to_nowhere_is_damage():
    kept = deviations({"a": 1}, {"a": 2})
    assert kept is not None
    for path in (["b", "c"], ["a", "b"], [0]):
        with pytest.raises(DataError, match=r"x: provenance.deviations is damaged"):
            restored({"a": 1}, kept | {"changes": [{"path": [*path, 0], "value": 1}]}, place="x")
