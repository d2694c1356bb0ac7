from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from spanwise.core.config import Config, field_rows
from spanwise.core.errors import ConfigError


class Optimiser(Config):
    lr: float = Field(1e-3, gt=0)
    """Peak learning rate."""
    name: Literal["adam", "sgd"] = "adam"
    """Which optimiser."""


class Training(Config):
    data: Path
    """The demonstrations,
    one per line."""
    steps: int = 10
    """How many."""
    on: bool = True
    """A name that YAML 1.1 would read as true."""
    tags: tuple[str, ...] = ()
    """Free words."""
    optimiser: Optimiser = Optimiser()
    """How to step."""
    second: Optimiser | None = None
    """Another one."""
    value: Optimiser = Optimiser(lr=0.25)
    """One with a default of its own."""
    named: dict[str, Optimiser] = {}  # noqa: RUF012 -- pydantic copies defaults
    """As many as you like."""


def load(tmp_path, text, *overrides):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return Training.load(path, overrides)


def test_file_and_overrides_make_one_config(tmp_path):
    found = load(tmp_path, "data: a.jsonl\noptimiser:\n  lr: 1e-5\n", "steps=3", "optimiser.name=sgd", "tags=[a, b]")
    assert found == Training(data=Path("a.jsonl"), steps=3, tags=("a", "b"), optimiser=Optimiser(lr=1e-5, name="sgd"))


def test_a_saved_config_loads_as_itself(tmp_path):
    config = Training(data=Path("ünï.jsonl"), on=False, tags=("yes", "1e-5", "null", "a: b"), second=Optimiser(lr=2))
    config.save(tmp_path / "c.yaml")
    assert Training.load(tmp_path / "c.yaml") == config


@settings(deadline=None, max_examples=40)
@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(), st.floats(1e-300, 1e300))
def test_any_value_survives_the_file(tmp_path_factory, text, number, rate):
    path = tmp_path_factory.mktemp("config") / "c.yaml"
    config = Training(data=Path("d"), tags=(text,), steps=number, optimiser=Optimiser(lr=rate))
    config.save(path)
    assert Training.load(path) == config


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("step: 3\ndata: x", (), "c.yaml: unknown key step; did you mean steps?"),
        ("data: x\noptimiser: {rl: 1}", (), "c.yaml: unknown key optimiser.rl; did you mean optimiser.lr?"),
        ("data: x\nzzzzzz: 1", (), "c.yaml: unknown key zzzzzz; --help lists the known keys."),
        ("steps: 3", (), "c.yaml: data is required; add it to the file or pass data=VALUE."),
        ("", (), "c.yaml: data is required"),
        ("data: x\nsteps: many", (), "c.yaml: steps: Input should be a valid integer.*(got 'many')"),
        ("data: x\nsteps: 1\nsteps: 2", (), r"c.yaml:3:1: not YAML \(the key 'steps' appears twice in one section\)"),
        ("data: x\noptimiser: {lr: 1, lr: 2}", (), "c.yaml:2:20: not YAML .*'lr' appears twice"),
        ("data: x\noptimiser: {lr: 0}", (), "c.yaml: optimiser.lr: Input should be greater than 0"),
        ("data: x\noptimiser: {lr: .nan}", (), "c.yaml: optimiser.lr: Input should be a finite number"),
        ("data: x\noptimiser: {name: adm}", (), "c.yaml: optimiser.name: Input should be 'adam' or 'sgd'"),
        ("- a", (), "c.yaml: a config maps keys to values, this file holds a list"),
        ("just words", (), "c.yaml: a config maps keys to values, this file holds a str"),
        ("data: [", (), "c.yaml:1:8: not YAML"),
        ("data: 2024-13-45", (), "c.yaml: not YAML .*quote the value"),
        ("data: " + "[" * 900, (), "c.yaml: not YAML .nested too deeply"),
        ("data: !!python/object:os.system x", (), "c.yaml:1:7: not YAML .could not determine a constructor"),
        ("1: 3", (), "c.yaml: 1: Keys should be strings"),
        ("data: x", ("steps",), "Override 'steps' is not of the form key=value"),
        ("data: x", ("=3",), "Override '=3' is not of the form key=value"),
        ("data: x", ("steps.more=3",), "steps: Input should be a valid integer"),
        ("data: x\nsteps: 3", ("steps.more=3",), "Override 'steps.more=3': steps is a value, not a section"),
        ("data: x", ("steps=[1",), r"Override 'steps=\[1': the value is not YAML; quote it"),
        ("data: x", ("stepz=1",), "unknown key stepz; did you mean steps?"),
    ],
)
def test_mistakes_are_named_with_place_and_remedy(tmp_path, text, overrides, message):
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text, *overrides)


def test_all_mistakes_are_named_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "steps: many\nstep: 3")
    assert str(caught.value).count("c.yaml: ") == 3


def test_unreadable_files_are_config_errors(tmp_path):
    for path in (tmp_path, tmp_path / "absent.yaml"):
        with pytest.raises(ConfigError, match="cannot be read"):
            Training.load(path)


def test_an_override_may_open_a_section_that_the_file_leaves_empty(tmp_path):
    assert load(tmp_path, "data: x\noptimiser:\n", "optimiser.lr=0.5").optimiser.lr == 0.5
    assert load(tmp_path, "data: x", "second.lr=0.5").second == Optimiser(lr=0.5)
    assert load(tmp_path, "data: x", "tags=[a=b, c]").tags == ("a=b", "c")


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        ("optimiser: {lr: 0.5}", ["optimiser={name: sgd}"], {"optimiser": {"lr": 0.5, "name": "sgd"}}),
        ("optimiser: {lr: 0.5}", ["optimiser={lr: 2}"], {"optimiser": {"lr": 2.0}}),
        ("optimiser: {lr: 0.5}", ["optimiser={}"], {"optimiser": {"lr": 1e-3}}),
        ("optimiser: {lr: 0.5}", ["optimiser={}", "optimiser={name: sgd}"], {"optimiser": {"lr": 1e-3, "name": "sgd"}}),
        ("second: {lr: 0.5}", ["second={name: sgd}"], {"second": {"lr": 0.5, "name": "sgd"}}),
        ("second: {lr: 0.5}", ["second=null"], {"second": None}),
        ("named: {a: {lr: 0.5}}", ["named={a: {name: sgd}, b: {lr: 2}}"],
         {"named": {"a": {"lr": 0.5, "name": "sgd"}, "b": {"lr": 2}}}),
        ("named: {a: {lr: 0.5}}", ["named={}"], {"named": {}}),
        ("tags: [a]", ["tags=[b]"], {"tags": ["b"]}),
    ],
)  # fmt: skip
def test_a_mapping_is_merged_into_its_section_and_an_empty_one_resets_it(tmp_path, text, overrides, expected):
    assert load(tmp_path, f"data: x\n{text}", *overrides) == Training.model_validate({"data": "x", **expected})


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        ("", ["value.name=sgd"]),
        ("", ["value={name: sgd}"]),
        ("value: {name: sgd}", []),
        ("value: {lr: 9}", ["value={}", "value.name=sgd"]),
    ],
)
def test_a_section_given_in_part_keeps_the_default_of_its_config(tmp_path, text, overrides):
    assert load(tmp_path, f"data: x\n{text}", *overrides).value == Optimiser(lr=0.25, name="sgd")


class Outer(Config):
    training: Training = Training(data=Path("d"), optimiser=Optimiser(lr=7), named={"a": Optimiser()})
    """A section of sections."""


def test_defaults_are_kept_at_any_depth_and_names_of_the_users_own_are_not():
    found = Outer.from_values({"training": {"optimiser": {"name": "sgd"}, "named": {"b": {"lr": 3}}}}, place="here")
    assert found.training == Training(
        data=Path("d"), optimiser=Optimiser(lr=7, name="sgd"), named={"b": Optimiser(lr=3)}
    )
    assert Outer(training=Training(data=Path("e"))).training.optimiser == Optimiser()
    with pytest.raises(ConfigError, match=r"here: unknown key training.optimiser.naem; did you mean"):
        Outer.from_values({"training": {"optimiser": {"naem": "sgd"}}}, place="here")
    assert {key: default for key, _, default, _ in field_rows(Outer)}["training.optimiser.lr"] == "7.0"


def test_configs_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Training(data=Path("x")).steps = 4


def test_rows_for_help_hold_every_field_with_its_sentence():
    assert list(field_rows(Training))[:2] == [
        ("data", "Path", "required", "The demonstrations, one per line."),
        ("steps", "int", "10", "How many."),
    ]
    sentences = {key: sentence for key, _, _, sentence in field_rows(Training)}
    assert sentences["optimiser.lr"] == "Peak learning rate."
    defaults = {key: default for key, _, default, _ in field_rows(Training)}
    assert (defaults["optimiser.lr"], defaults["second.lr"], defaults["value.lr"]) == ("0.001", "0.001", "0.25")
    assert sentences["second.name"] == "Which optimiser."


class Plan(Config):
    dtype: str = "float32"
    """Number format."""
    optimiser: Optimiser = Optimiser()
    """How to step."""

    RENAMED = {"precision": "dtype", "fast": "It is always on; remove the key."}  # noqa: RUF012 -- never changed


class LongPlan(Plan):
    steps: int = 10
    """How many."""
    plan: Plan | None = None
    """A section."""

    RENAMED = {"length": "steps"}  # noqa: RUF012 -- never changed


@pytest.mark.parametrize(
    ("text", "overrides", "sentence"),
    [
        ("precision: bfloat16\n", (), "c.yaml: precision was renamed to dtype."),
        ("", ("precision=bfloat16",), "c.yaml: precision was renamed to dtype."),
        ("plan:\n  precision: bfloat16\n", (), "c.yaml: plan: precision was renamed to dtype."),
        ("", ("plan.precision=bfloat16",), "c.yaml: plan: precision was renamed to dtype."),
        ("fast: true\n", (), "c.yaml: fast: It is always on; remove the key."),
        ("precision: a\nlength: 3\n", (), "c.yaml: precision was renamed to dtype; length was renamed to steps."),
    ],
)
def test_an_old_key_is_refused_with_its_new_name(tmp_path, text, overrides, sentence):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refusal:
        LongPlan.load(path, overrides)
    assert str(refusal.value) == f"{tmp_path}/{sentence}"


def test_an_old_key_is_refused_in_python_too():
    with pytest.raises(ValidationError, match="precision was renamed to dtype"):
        LongPlan(precision="bfloat16")  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize(
    ("word", "value"), [("off", "off"), ("no", "no"), ("yes", "yes"), ("on", "on"), ("off2", "off2")]
)
def test_words_that_old_yaml_took_for_true_and_false_are_words(tmp_path, word, value):
    (tmp_path / "c.yaml").write_text(f"data: {word}\ntags: [{word}, 'off']\n")
    loaded = Training.load(tmp_path / "c.yaml")
    assert (str(loaded.data), loaded.tags) == (value, (value, "off"))
    (tmp_path / "c.yaml").write_text("data: x\non: off\n")
    assert Training.load(tmp_path / "c.yaml").on is False
    loaded.save(tmp_path / "again.yaml")
    assert Training.load(tmp_path / "again.yaml") == loaded
