"""Trouble of all kinds under many annotators: nothing that was acknowledged is lost, and everybody is answered."""

import pytest
from doubles.annotation import POSTGRES
from doubles.annotation_load import fresh
from doubles.annotation_stress import LONGEST, stress


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_nothing_is_lost_and_everybody_is_answered_whatever_happens(tmp_path, kind):
    if kind == "postgresql" and not POSTGRES:
        pytest.skip("no PostgreSQL server is named by SPANWISE_TEST_POSTGRES")
    with fresh(POSTGRES if kind == "postgresql" else "", tmp_path) as url:
        outcome = stress(tmp_path, url=url, people=8, troubles=16)
    assert outcome.lost == 0
    assert outcome.conflicts == []
    assert outcome.late == []
    assert outcome.wrong == []
    assert outcome.sound
    assert outcome.slowest < LONGEST
    assert min(outcome.saves, outcome.submissions) > 8
