"""Typed configuration: frozen pydantic models, YAML files, `key=value` overrides, and their `--help`.

The sentence below each field is its documentation everywhere: in the source, in `--help` and in the docs.
Unknown keys are refused, and bad combinations fail before any work starts. This file knows nothing of the
single configs; each lives beside the code that it configures.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, TypeVar, Union, cast, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from spanwise.core.errors import ConfigError, DataError
from spanwise.core.files import read_text, write_text

KIND_TAG = "kind="
"""How tags of sections begin that are of one class or another by their key `kind`: pydantic names them as keys."""
T = TypeVar("T")
ConfigT = TypeVar("ConfigT", bound="Config")


class Config(BaseModel):
    """Base of all configs: frozen, strict about keys, documented by the string under each field.

    A subclass names the keys that it once had in `RENAMED`: old key to new key, or to a sentence that says where the
    setting went. An old key is then refused with that remedy, wherever it is given: YAML, `key=value` or Python.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    RENAMED: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def load(cls: type[ConfigT], path: Path, overrides: Sequence[str] = ()) -> ConfigT:
        """Reads a YAML file and applies `key=value` overrides.

        Dots reach into sections; a mapping is merged into its section, and an empty one resets the section.
        """
        values = _read_yaml(path)
        for override in overrides:
            _apply(values, override)
        return cls.from_values(values, place=str(path))

    @classmethod
    def from_values(cls: type[ConfigT], values: dict[str, Any], *, place: str) -> ConfigT:
        """Validates plain values; raises ConfigError that names `place`, the key and the remedy."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError("; ".join(_complaints(cls, error, place))) from error

    def save(self, path: Path) -> None:
        """Writes the resolved config as YAML, every default included."""
        values = self.model_dump(mode="json", by_alias=True)
        write_text(path, yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True))

    @classmethod
    def renamed(cls) -> dict[str, str]:
        """Old key to new key or sentence, those of the base classes included."""
        return {old: new for base in reversed(cls.__mro__) for old, new in vars(base).get("RENAMED", {}).items()}

    @model_validator(mode="before")
    @classmethod
    def _refuse_old_keys(cls, values: Any) -> Any:
        renamed = cls.renamed()
        if isinstance(values, dict) and (given := [old for old in cast("dict[str, Any]", values) if old in renamed]):
            raise ValueError("; ".join(_new_name(old, renamed[old]) for old in given) + ".")
        return values

    @model_validator(mode="before")
    @classmethod
    def _keep_defaults_of_sections(cls, values: Any) -> Any:
        """A section that is given in part keeps the rest of this config's default for it, not of its class's."""
        if not isinstance(values, dict):
            return values
        given = cast("dict[str, Any]", values)
        return {
            name: _filled(value, cls.model_fields[name].default) if name in cls.model_fields else value
            for name, value in given.items()
        }


def field_rows(
    model: type[BaseModel], prefix: str = "", defaults: BaseModel | None = None
) -> Iterator[tuple[str, str, str, str]]:
    """Yields (dotted key, type, default, sentence) of every field, sections flattened.

    `defaults` holds the values of a section in the config that it belongs to; without it they are the class's own.
    """
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        default = getattr(defaults, attribute) if defaults else _default(field)
        section = _section(field.annotation)
        if section is not None:
            yield from field_rows(section, f"{prefix}{name}.", default if isinstance(default, section) else None)
            continue
        shown = "required" if default is PydanticUndefined else str(default)
        sentence = " ".join((field.description or "").split())
        yield f"{prefix}{name}", _type_name(field.annotation), shown, sentence


def innermost(complaints: Sequence[T]) -> list[T]:
    """What pydantic complains of, less what only follows from a complaint further in.

    A list whose items are wrong is also called too short; who mends the items has mended both.
    """
    places = [cast("Any", complaint)["loc"] for complaint in complaints]
    inside = {place[:depth] for place in places for depth in range(len(place))}
    return [complaint for complaint, place in zip(complaints, places, strict=True) if place not in inside]


def _new_name(old: str, new: str) -> str:
    is_sentence = " " in new
    return f"{old}: {new.rstrip('.')}" if is_sentence else f"{old} was renamed to {new}"


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True, validated_data={})


def _section(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate if get_origin(annotation) in (None, Union, UnionType) else None
    return None


def _type_name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = _parse_yaml(read_text(path))
    except DataError as error:
        raise ConfigError(str(error)) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        problem = " ".join(str(getattr(error, "problem", error)).split())
        raise ConfigError(f"{place}: not YAML ({problem}); mend that line.") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a config maps keys to values, this file holds a {type(values).__name__}.")
    return values


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in one section, where YAML libraries silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                problem = f"the key {name!r} appears twice in one section"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_BOOLEAN = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", _BOOLEAN, list("tTfF"))
"""As in YAML 1.2, `off` and `no` are words, which some settings take; settings that are true or false take them too."""


class _Dumper(yaml.SafeDumper):
    """Quotes the line breaks of Unicode, which YAML would read back as spaces."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        style = '"' if any(mark in data for mark in "\x85\u2028\u2029\ufeff") else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)


def _parse_yaml(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except RecursionError as error:
        raise yaml.YAMLError("nested too deeply") from error
    except ValueError as error:  # a date such as 2024-13-45
        raise yaml.YAMLError(f"{error}; quote the value") from error


def _apply(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"Override {override!r} is not of the form key=value.")
    *sections, last = key.split(".")
    for section in sections:
        if values.get(section) is None:  # absent, or a section without a line in it
            values[section] = {}
        inner = values[section]
        if not isinstance(inner, dict):
            raise ConfigError(f"Override {override!r}: {section} is a value, not a section.")
        values = cast("dict[str, Any]", inner)
    try:
        values[last] = _merged(values.get(last), _parse_yaml(text))
    except yaml.YAMLError as error:
        raise ConfigError(f"Override {override!r}: the value is not YAML; quote it.") from error


def _merged(there: Any, given: Any) -> Any:
    if not (isinstance(there, dict) and isinstance(given, dict) and given):
        return given
    old, new = cast("dict[Any, Any]", there), cast("dict[Any, Any]", given)
    return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}


def _filled(given: Any, default: Any) -> Any:
    """The section `given` with what it leaves out taken from `default`; anything but a section as it is."""
    if not (isinstance(default, Config) and isinstance(given, dict)):
        return given
    known = dict(default)
    return {**known, **{key: _filled(value, known.get(key)) for key, value in cast("dict[Any, Any]", given).items()}}


def _complaints(model: type[BaseModel], error: ValidationError, place: str) -> Iterator[str]:
    known = [row[0] for row in field_rows(model)]
    for problem in innermost(error.errors()):
        key = ".".join(str(part) for part in problem["loc"] if not str(part).startswith(KIND_TAG))
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "--help lists the known keys."
            yield f"{place}: unknown key {key}; {hint}"
        elif problem["type"] == "missing":
            yield f"{place}: {key} is required; add it to the file or pass {key}=VALUE."
        else:
            message = problem["msg"].removeprefix("Value error, ")  # our own validators say the rest
            got = "" if isinstance(problem["input"], dict) else f" (got {problem['input']!r:.80})"
            yield f"{place}: {key + ': ' if key else ''}{message}{got}"
