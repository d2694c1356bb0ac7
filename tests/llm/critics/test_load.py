import pytest
from doubles.critic_load import Load, run_load

pytest.importorskip("openai", reason="the extra `editors` is not installed")


def test_a_killed_run_goes_on_and_loses_no_paid_reply(tmp_path):
    load = Load(60, slots=8, seconds=0.02, concurrency=8, fault_rate=0.02, timeout_s=1.0, kills=1)
    figures = run_load(tmp_path, load)
    assert (figures["lost"], figures["invented"], figures["misplaced"]) == (0, 0, 0)
    assert figures["records"] > 45
