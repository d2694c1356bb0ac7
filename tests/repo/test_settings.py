"""One setting has one name, and one name one meaning, in every config and in every command option.

`SETTINGS` says what the shared names mean. Classes that give a shared name another type or kind of default are listed
in `EXCEPTIONS` with the reason; an exception that is no longer needed fails.
"""

import ast
import importlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from pydantic.fields import FieldInfo

from spanwise.cli import app
from spanwise.core import Config

ROOT = Path(__file__).parents[2]

SETTINGS = {
    "api_key_env": ("str", "null", "environment variable with the key"),
    "backbone": ("str", "value", "folder or Hub name of the pretrained model of a reward model"),
    "base_url": ("str", "null", "address of an endpoint"),
    "batch_size": ("int", "value", "items taken at a time: per optimiser step, or per pass without one"),
    "categories": ("tuple[str, ...]", "value", "categories of marked spans"),
    "checkpoint": ("Path", "null", "folder of a reward model"),
    "concurrency": ("int", "value", "requests under way at a time"),
    "decoding": ("Literal['greedy', 'sample']", "value", "the likeliest token, or drawn ones"),
    "device": ("str", "value", "cpu, cuda, cuda:1 or auto"),
    "dtype": ("Literal['float32', 'bfloat16', 'auto']", "value", "number format of the arithmetic"),
    "epochs": ("int", "value", "passes over the data"),
    "heldout": ("Path", "required", "file of what a run chooses its best checkpoint on"),
    "heldout_share": ("float", "value", "share held out where heldout names no file"),
    "learning_rate": ("float", "value", "highest learning rate"),
    "lora": ("LoraConfig", "null", "train an adapter"),
    "max_grad_norm": ("float", "value", "norm that gradients are scaled down to"),
    "max_length": ("int", "null", "longest input in tokens"),
    "max_new_tokens": ("int", "value", "longest answer in tokens"),
    "max_prompt_tokens": ("int", "value", "longest prompt in tokens"),
    "max_response_tokens": ("int", "value", "longest response in tokens, in training"),
    "micro_batch_tokens": ("int", "value", "tokens per forward pass"),
    "model": ("str", "value", "name, folder or Hub name of a model that is asked"),
    "output": ("Path", "required", "file or folder to write"),
    "pairs": ("Path", "required", "file of pairs"),
    "policy": ("str", "required", "folder or Hub name of a language model"),
    "prompt_file": ("Path", "null", "file with the words that ask a model"),
    "prompts": ("Path", "required", "file of prompts"),
    "requests_per_minute": ("float", "null", "most requests begun per minute"),
    "resamples": ("int", "value", "draws of the bootstrap"),
    "responses": ("Path", "required", "file of responses"),
    "retries": ("int", "value", "how often a failed request is sent again"),
    "run_dir": ("Path", "required", "run folder"),
    "samples_per_prompt": ("int", "value", "responses drawn for each prompt"),
    "seed": ("int", "value", "where everything random follows from"),
    "temperature": ("float", "value", "logits are divided by it"),
    "timeout_s": ("float", "value", "seconds after which a request is given up"),
    "weight_decay": ("float", "value", "decoupled weight decay"),
}
"""Name: type (what may be null is its type otherwise), kind of default, meaning."""

_COUNT = "a study draws so many from the simulated world"
_SECTION = "a section, whose class says what it holds"
_WAY = "which of its own ways a section goes"
_PROJECT = "an annotation project's own word, stored with the project"
_REWARD = "a reward model also trains from several files, or sets a share of one aside"
_STUDY = "a study's own section, whose class says what it holds"
_DETOX = "a model that a study makes, not one that it takes"
EXCEPTIONS = {
    ("base_url", "ServerConfig"): "a server of one's own has the usual address of vLLM",
    ("categories", "ProjectConfig"): _PROJECT,
    ("checkpoint", "RewardModelUse"): "a reward of a reward model has nowhere else to take it from",
    ("data", "WeightsConfig"): "there is no other source of preferences",
    ("demonstrations", "SimStudyConfig"): _COUNT,
    ("endpoint", "CriticConfig"): "a critic always asks a language model, a judge may be of another kind",
    ("endpoint", "EditorConfig"): "an editor always asks a language model, a judge may be of another kind",
    ("free_rivals", "SimStudyConfig"): _STUDY,
    ("group", "CategoryConfig"): _PROJECT,
    ("heldout", "RewardConfig"): _REWARD,
    ("kind", "CategoryConfig"): _WAY,
    ("kind", "JudgeConfig"): _WAY,
    ("kind", "QuestionConfig"): _WAY,
    ("kind", "RewardModelConfig"): _WAY,
    ("kind", "ScorerConfig"): _WAY,
    ("kind", "TokenRewardConfig"): _WAY,
    ("kind", "_Kind"): "read before it is known which config the file is",
    **{
        ("kind", f"{name}Config"): "the one kind of source that it is"
        for name in ("Attribution", "Citation", "Entailment", "Json", "Length", "LogRatio", "Pattern")
    },
    ("layers", "ClassifierConfig"): _DETOX,
    ("layers", "CommentModelConfig"): _DETOX,
    ("loss", "TokenRewardConfig"): _SECTION,
    ("loss", "EditStudyConfig"): _SECTION,
    ("max_length", "ClassifierConfig"): _DETOX,
    ("max_length", "CommentModelConfig"): _DETOX,
    ("method", "JudgeConfig"): _WAY,
    ("micro_batch_tokens", "UpdateConfig"): "a limit beside micro_batch_size, which alone holds by default",
    ("mixture", "ScoreConfig"): "scores that nothing mixes are a result as well",
    ("model", "EndpointConfig"): "an endpoint has no use without one",
    ("model", "EntailmentConfig"): "there is no entailment without one",
    ("model", "PhraseConfig"): "phrases are cut by one",
    ("pattern", "CitationConfig"): "citations have a usual form",
    ("prompts", "RewardSourcesConfig"): _COUNT,
    ("name", "TokenLossConfig"): _WAY,
    ("name", "TokenRewardConfig"): "has a usual name; people name projects and categories themselves",
    ("options", "QuestionConfig"): "what people choose from",
    ("output", "EvaluateConfig"): "what is measured is printed as well",
    ("output", "RobustnessConfig"): "what is measured is printed as well",
    ("responses", "RobustnessConfig"): "a policy may answer instead",
    ("reward_models", "RobustnessConfig"): "folders alone, as those of evaluate",
    ("demonstrations", "FreeRivalsConfig"): "only one of the rivals trains",
    ("mixture", "EvaluateConfig"): "without one all heads count alike",
    ("policy", "EvaluateConfig"): "answers may come from a file instead",
    ("responses", "EvaluateConfig"): "a policy may answer instead",
    ("run_dir", "FreeRivalsConfig"): "only one of the rivals trains",
    ("pairs", "JudgeConfig"): "read by judges of one kind alone",
    ("pairs", "ProjectConfig"): _PROJECT,
    ("policy", "PreparationConfig"): _DETOX,
    ("requests_per_minute", "PerspectiveConfig"): "Google's quota",
    ("responses", "ProjectConfig"): _PROJECT,
    ("reward_models", "EvaluateConfig"): "folders alone: nothing is mixed",
    ("run_dir", "RewardConfig"): "the usual folder of reward models",
    ("sources", "MixtureConfig"): "what each source counts, not what it is",
    ("seed", "EndpointConfig"): "not every endpoint takes one",
    ("temperature", "EndpointConfig"): "not every endpoint takes one",
    ("kl_coefs", "DetoxStudyConfig"): "one for each arm",
    ("reader", "PreparationConfig"): _DETOX,
    ("study", "CorrectionsConfig"): _STUDY,
    ("study", "CustomConfig"): _STUDY,
    ("study", "PostEditsConfig"): _STUDY,
    ("tasks", "ProjectConfig"): _PROJECT,
    ("token", "TuningConfig"): "has usual values, which its losses are put over",
    ("weights", "CustomConfig"): "several to try, of one source",
    ("weights", "SweepConfig"): "several to try by source",
    ("window", "EditRules"): "of a model's tokens; no limit without it",
}
"""(setting, class, its subclasses included): why it differs there."""

FORBIDDEN = {
    "batch": "batch_size",
    "cpu": "device",
    "cuda": "device",
    "gpu": "device",
    "precision": "dtype",
    "torch_dtype": "dtype",
    "heldout_pairs": "heldout",
    "head_lr": "head_learning_rate",
    "level": "confidence_level",
    "lr": "learning_rate",
    "max_tokens": "max_new_tokens or max_length",
    "num_generations": "samples_per_prompt",
    "responses_per_prompt": "samples_per_prompt",
    "num_epochs": "epochs",
    "out": "output",
    "output_dir": "run_dir or output",
    "output_file": "output",
    "price_per_million_completion_tokens": "output_price",
    "price_per_million_prompt_tokens": "input_price",
    "timeout": "timeout_s",
    "warmup": "warmup_ratio",
    "warmup_share": "warmup_ratio",
}
"""Synonym: the one name."""

OPTIONS = {
    "--database": (str, None),
    "--device": (str, "auto"),
    "--json": (bool, False),
    "--output": (Path, None),
    "--resamples": (int, None),
    "--seed": (int, 0),
}
"""Option: its type, and its default where that is the same in every command."""


def _classes() -> list[type[Config]]:
    """Every config of the package and of the studies."""
    for path in [*ROOT.glob("src/spanwise/**/*.py"), *ROOT.glob("experiments/**/*.py")]:
        bases = [base for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)
                 for base in node.bases]  # fmt: skip
        if any("Config" in ast.unparse(base) for base in bases):
            parts = path.relative_to(ROOT).with_suffix("").parts
            importlib.import_module(".".join(part for part in parts if part not in ("src", "__init__")))
    return sorted(
        {one for one in _subclasses(Config) if one.__module__.startswith(("spanwise.", "experiments."))},
        key=lambda one: one.__name__,
    )


def _subclasses(of: type[Config]) -> Iterator[type[Config]]:
    for subclass in of.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _shape(field: FieldInfo) -> tuple[str, str]:
    """The field's type, without null, and whether its default is required, null or a value."""
    annotation: Any = field.annotation
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    if type(None) in get_args(annotation) and len(kinds) == 1:
        annotation = kinds[0]
    named = isinstance(annotation, type) and not get_args(annotation)
    words = annotation.__name__ if named else str(annotation).replace("typing.", "")
    if field.is_required():
        return words, "required"
    return words, "null" if field.get_default(call_default_factory=True, validated_data={}) is None else "value"


CLASSES = _classes()


def _is_exception(name: str, one: type[Config]) -> bool:
    return any((name, base.__name__) in EXCEPTIONS for base in one.__mro__)


def test_a_name_has_one_type_and_one_kind_of_default() -> None:
    shapes: dict[str, dict[tuple[str, str], list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, (kind, default, _) in SETTINGS.items():
        shapes[name][kind, default].append("the table")
    for one in CLASSES:
        for name, field in one.model_fields.items():
            if not _is_exception(name, one):
                shapes[name][_shape(field)].append(one.__name__)
    differing = {name: dict(by_shape) for name, by_shape in shapes.items() if len(by_shape) > 1}
    assert not differing, "rename one of them, or give the reason in EXCEPTIONS"


def test_every_setting_of_the_table_is_there() -> None:
    assert SETTINGS.keys() <= {name for one in CLASSES for name in one.model_fields}


@pytest.mark.parametrize(("name", "owner"), sorted(EXCEPTIONS))
def test_an_exception_is_needed(name: str, owner: str) -> None:
    there = [one for one in CLASSES if one.__name__ == owner and name in one.model_fields]
    assert there, f"{owner} has no {name}"
    usual = {
        _shape(one.model_fields[name]) for one in CLASSES if name in one.model_fields if not _is_exception(name, one)
    }
    usual |= {SETTINGS[name][:2]} if name in SETTINGS else set()
    assert {_shape(there[0].model_fields[name])} != usual


@pytest.mark.parametrize("one", CLASSES, ids=lambda one: one.__name__)
def test_no_config_uses_a_synonym(one: type[Config]) -> None:
    project = one.__module__ == "spanwise.annotate.store.project"
    used = {
        name: FORBIDDEN[name] for name in one.model_fields if name in FORBIDDEN and not (project and name == "level")
    }
    assert not used, "their one name stands behind them"


@pytest.mark.parametrize("one", CLASSES, ids=lambda one: one.__name__)
def test_an_old_name_leads_to_a_setting_that_is_there(one: type[Config]) -> None:
    for old, new in one.renamed().items():
        assert old not in one.model_fields
        fields: Any = one
        for part in () if " " in new else new.split("."):
            assert part in fields.model_fields, f"{old} leads to {new}"
            fields = fields.model_fields[part].annotation


def _options(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """(command, option) of every command below the group."""
    for parameter in group.params:
        if parameter.param_type_name == "option" and parameter.name not in (
            "help",
            "install_completion",
            "show_completion",
        ):
            yield " ".join(words), parameter
    for name, inner in getattr(group, "commands", {}).items():
        yield from _options(inner, (*words, name))


def test_an_option_means_the_same_in_every_command() -> None:
    wrong: list[str] = []
    for command, option in _options(typer.main.get_command(app)):
        name = option.opts[0]
        annotation = option.type_descriptor.annotation
        if name.removeprefix("--").replace("-", "_") in FORBIDDEN:
            wrong.append(f"{command} {name}: the name is {FORBIDDEN[name.removeprefix('--').replace('-', '_')]}")
        if name in OPTIONS:
            kind, default = OPTIONS[name]
            if kind is not annotation and kind not in get_args(annotation):
                wrong.append(f"{command} {name} is of {annotation}")
            if default is not None and option.default != default:
                wrong.append(f"{command} {name} defaults to {option.default!r}")
        if name == "--output" and "-o" not in option.opts:
            wrong.append(f"{command} --output has no -o")
    assert not wrong
