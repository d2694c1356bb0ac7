"""The documentation site: its reference has all that the code has, and its pages all the rooms."""

import importlib
import re

import pytest
import yaml
from package_map import ROOT, SOURCE

from spanwise.evals.robustness import RobustnessConfig
from spanwise.feedback.formats import FORMATS
from spanwise.llm.critics import CritiqueConfig
from spanwise.reward_models import RewardModelConfig
from spanwise.rl import RLConfig

API = ROOT / "docs" / "reference" / "api"
GUIDES = sorted((ROOT / "docs" / "guides").rglob("*.md"))
CONFIGS = {
    "rl.yaml": RLConfig, "reward.yaml": RewardModelConfig, "critic.yaml": CritiqueConfig,
    "robustness.yaml": RobustnessConfig,
}  # fmt: skip
SHOWN = [
    pytest.param(CONFIGS[name], text, id=f"{page.stem}-{name}")
    for page in GUIDES
    for name, text in re.findall(r"```yaml\n# (\S+)\n(.*?)```", page.read_text(), flags=re.DOTALL)
]
"""Whole configs of the guides: blocks that begin with the name of their file."""


@pytest.fixture(name="reference", scope="module")
def the_extension():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs" / "extensions")
        return importlib.import_module("reference_from_code")


@pytest.fixture(name="as_rst", scope="module")
def the_rewriting(reference):
    return reference.as_rst


def test_every_room_has_a_page():
    rooms = {path.parent.name for path in SOURCE.glob("*/__init__.py")} - {"cli"}
    asked = [re.findall(r"<!-- generated: room ([\w.]+) -->", page.read_text()) for page in API.glob("*.md")]
    assert sorted(asked) == sorted([["spanwise"], *([f"spanwise.{room}"] for room in rooms)])


def test_pages_ask_for_parts_that_exist(reference):
    pages = [page.read_text() for page in (ROOT / "docs").rglob("*.md")]
    asked = [name for page in pages for name, _ in reference.ASKED.findall(page)]
    assert set(asked) == set(reference.PARTS)


def test_commands_are_those_of_the_command_line(reference):
    page = reference.commands()
    for command in ("rl", "reward train", "feedback convert", "annotate serve", "evaluate win-rate", "push"):
        assert f"## spanwise {command}\n" in page
    option = page.partition("## spanwise feedback convert")[2].partition("\n## ")[0]
    assert "--from" in option
    assert "--output" in option


def test_settings_have_every_field_with_its_sentence(reference):
    section = reference.settings().partition("## RLConfig\n")[2].partition("\n## ")[0]
    field = RLConfig.model_fields["run_dir"]
    assert f"`run_dir` · `Path` · required\n: {field.description}" in section
    assert "`mixture.sources.NAME.weight`" in section


def test_formats_are_those_of_the_registry(reference):
    rows = [line for line in reference.formats().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(FORMATS)


@pytest.mark.parametrize(("config", "text"), SHOWN)
def test_configs_of_the_guides_are_configs(config, text):
    assert config.from_values(yaml.safe_load(text), place="the guide")


def test_tables_keep_bars_inside_cells(reference):
    assert reference.table(["a"], [["x | y"]]).splitlines()[-1] == r"| x \| y |"


@pytest.mark.parametrize(
    ("docstring", "written"),
    [
        ("Takes `a_` and *args, a|b, ids_.", r"Takes ``a_`` and \*args, a\|b, ids\_."),
        ("One:\n- two\n  more", "One:\n\n- two\n  more"),
        ("Run:\n\n    x = *y", "Run:\n\n::\n\n    x = *y"),
        ("`Span`s", r"``Span``\ s"),
    ],
)
def test_docstrings_read_as_they_stand(as_rst, docstring, written):
    assert "\n".join(as_rst(docstring.splitlines())).strip() == written
