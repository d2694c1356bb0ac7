"""What all plug-ins need: versions, the rewards of a file, and prompts that survive an engine's table."""

import pytest
import yaml

from spanwise.core import ConfigError, DataError
from spanwise.feedback import Passage, PromptRecord
from spanwise.integrations import registry

REWARDS = {
    "reward_models": {"fine": {"checkpoint": "somewhere"}},
    "mixture": {"sources": {"relevance": {"weight": 0.3}}},
    "placement": "spread",
}
RUN = {"policy": "p", "prompts": "p.jsonl", "heldout": "h.jsonl", "run_dir": "r", "steps": 7}


def write(tmp_path, values):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.parametrize("rest", [{}, RUN])
def test_one_section_describes_rewards_in_a_run_and_in_an_engine(tmp_path, rest):
    found = registry.load_rewards(write(tmp_path, {**rest, **REWARDS}))
    assert found.placement == "spread"
    assert found.mixture.sources["relevance"].weight == 0.3
    assert str(found.reward_models["fine"].checkpoint) == "somewhere"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({**REWARDS, "mixtur": 1}, "unknown key mixtur;"),
        ({**RUN, **REWARDS, "stepz": 1}, "unknown key stepz; did you mean steps"),
        ({"mixture": REWARDS["mixture"]}, "name no reward"),
    ],
)
def test_mistakes_in_it_are_told(tmp_path, values, says):
    with pytest.raises(ConfigError, match=says):
        registry.load_rewards(write(tmp_path, values))


@pytest.mark.parametrize(
    ("found", "fits"),
    [("1.16.0", True), ("1.16.3", True), ("1.15.9", False), ("1.17.0", False), ("1.17.0.dev0", False), ("2.0", False)],
)
def test_versions_outside_the_tested_range_are_refused(monkeypatch, found, fits):
    monkeypatch.setattr(registry, "version", lambda name: found)
    if fits:
        assert registry.check_version("trl") == found
        return
    with pytest.raises(ConfigError, match=rf"trl {found} is outside .* pip install 'trl>=1.16,<1.17'"):
        registry.check_version("trl")


def test_an_engine_that_is_not_there(monkeypatch):
    monkeypatch.setitem(registry.TESTED, "no-such-engine", ("1", "2"))
    with pytest.raises(ConfigError, match="pip install 'no-such-engine==1'"):
        registry.check_version("no-such-engine")


def test_a_prompt_survives_an_engines_row():
    record = PromptRecord(
        id="7", prompt="Wer?\n\u2028", passages=(Passage(title="t", sentences=("a", "b")),), metadata={"k": [1, None]}
    )
    assert registry.record_of(registry.row_of(record), "row 3") == record


@pytest.mark.parametrize(
    ("fields", "says"),
    [({}, "row 3: has no 'record'"), ({"record": '{"passages": []}'}, "row 3.*prompt: is required")],
)
def test_a_row_without_one_names_the_place(fields, says):
    with pytest.raises(DataError, match=says):
        registry.record_of(fields, "row 3")


def test_the_environment_names_the_rewards(monkeypatch):
    monkeypatch.delenv(registry.REWARDS_FILE, raising=False)
    with pytest.raises(ConfigError, match="SPANWISE_REWARDS names no file"):
        registry.rewards_of_environment()
