"""A file of marked answers as a user brings it, and a tiny model with random weights."""

import pytest
from doubles.marked_answers import marked_answers
from doubles.models import tiny_llama

from spanwise.feedback import write_records
from spanwise.models import Policy


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    Policy(*tiny_llama()).save(folder)
    return folder


@pytest.fixture
def marks(tmp_path):
    write_records(tmp_path / "marks.jsonl", marked_answers(24))
    return tmp_path / "marks.jsonl"
