"""The description of an annotation project: one YAML file that says what is asked of annotators, and how.

Presets lie as such files in `presets/`, ready to be copied and changed. This file knows nothing of databases.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from spanwise.core import Config, ConfigError, write_text

Task = Literal["spans", "edit", "preference"]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Share = Annotated[float, Field(ge=0, le=1)]

DESCRIPTION = "project.yaml"
"""The file in a project's folder that describes it."""
PRESETS = ("qa-feedback", "minimal-edit", "toxicity", "preference")
"""The project descriptions that come with Spanwise."""


class CategoryConfig(Config):
    """One kind of mark."""

    name: Name
    """How the category is spelled in records; training reads this name."""
    label: str = ""
    """How it is shown; the name where this is empty."""
    description: str = ""
    """One sentence for the annotator."""
    kind: Literal["span", "missing"] = "span"
    """Whether it marks words of the response or names something that is left out."""
    group: str = ""
    """The reward model that learns from it, for example "relevance"."""
    level: Literal["sub-sentence", "sentence", "response"] = "sub-sentence"
    """The unit that training judges by it."""
    hotkey: str = ""
    """A single character; digits by position where this is empty."""
    colour: Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")] = "#0072B2"
    """Six hex digits after a number sign."""
    polarity: Literal["negative", "positive"] = "negative"
    """Whether a mark blames or praises."""
    needs: Literal["none", "antecedent", "evidence", "comment", "reading"] = "none"
    """What a mark must bring: the earlier words it repeats, sentences of passages, a comment, or all passages read."""
    min_words: Annotated[int, Field(ge=0)] = 0
    """Shorter spans are warned of: training leaves them out."""
    severities: tuple[str, ...] = ()
    """Grades of the mark, mildest first; empty when there are none."""
    examples: tuple[str, ...] = ()
    """Short examples for the guideline card."""


class QuestionConfig(Config):
    """One question about a whole item, beside marks, edits and comparisons."""

    key: Name
    """How the question is called in records."""
    text: Annotated[str, Field(min_length=1, max_length=500)]
    """The question as people read it."""
    kind: Literal["choice", "scale", "text"] = "text"
    """One of the options, a step of a scale, or free text."""
    options: tuple[Name, ...] = ()
    """What a choice is made of."""
    steps: Annotated[int, Field(ge=2, le=11)] = 5
    """How many steps a scale has, from 1."""
    ends: tuple[str, str] = ("", "")
    """What the first and the last step of a scale mean."""
    required: bool = True
    """Whether an item cannot be submitted without an answer."""

    @model_validator(mode="after")
    def _options(self) -> "QuestionConfig":
        if len(self.options) < 2 if self.kind == "choice" else self.options:
            raise ValueError(f"{self.key} needs kind: choice and two options or more, or neither")
        if self.key == "read_passages":
            raise ValueError("read_passages is the page's own question; choose another key")
        return self

    def problem(self, value: str) -> str:
        """What is wrong with an answer; empty when nothing is."""
        if self.kind == "choice" and value not in self.options:
            return f"{value!r:.60} is none of {', '.join(self.options)}."
        if self.kind == "scale" and value not in {str(step) for step in range(1, self.steps + 1)}:
            return f"{value!r:.60} is no step from 1 to {self.steps}."
        return "is empty." if self.required and not value.strip() else ""


class WebhookConfig(Config):
    """An address that is told what happens."""

    address: Annotated[str, Field(pattern=r"^https?://")]
    """Where events are posted to, as JSON."""
    events: Annotated[tuple[str, ...], Field(min_length=1)] = ("annotation.submitted",)
    """Kinds of events, or how they begin: "annotation.", "question.asked", "items."."""
    secret_env: str = ""
    """The environment variable that holds the secret of the signature; empty for none."""


class ProjectConfig(Config):
    """What is asked of annotators."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    """Lower-case letters, digits and hyphens: the project's name in addresses and exports."""
    title: str = ""
    """How the project is called on its pages."""
    tasks: Annotated[tuple[Task, ...], Field(min_length=1)] = ("spans",)
    """What annotators do with an item: mark spans, edit, compare."""
    responses: Literal["first", "all"] = "first"
    """Which responses of an item are marked and edited; all are compared."""
    categories: tuple[CategoryConfig, ...] = ()
    """Kinds of marks in order of priority: where several fit, the first one is given."""
    questions: tuple[QuestionConfig, ...] = ()
    """What is asked about the item as a whole."""
    guidelines: str = ""
    """What annotators are told, in Markdown."""
    overlap: Annotated[int, Field(ge=1, le=50)] = 1
    """How many people annotate an item."""
    overlap_rule: Literal["forbid", "across_categories", "any"] = "forbid"
    """Whether spans of one response may overlap: never, only those of different categories, or always."""
    lease_minutes: Annotated[float, Field(gt=0)] = 30
    """How long an item stays with an annotator who does nothing."""
    leases_per_person: Annotated[int, Field(ge=1)] = 10
    """How many items one person may hold at once, opened by their addresses; the queue lends them one by one."""
    suggestions: Literal["off", "on_demand", "prefilled"] = "off"
    """Whether marks of a reward model are hidden, shown on request, or filled in."""
    suggestion_holdout: Share = 0.2
    """Share of items that are annotated without suggestions, to measure how far suggestions lead people."""
    aspects: Annotated[tuple[str, ...], Field(min_length=1)] = ("overall",)
    """In what respect responses are compared."""
    pairs: Literal["all", "adjacent", "ranking"] = "all"
    """Whether every pair of responses is compared, only neighbours, or all are ranked at once."""
    edit_limit: Share = 0.4
    """Share of changed words beyond which the page warns that an edit is not minimal."""
    require_edit: bool = True
    """Whether a response with marks must also be corrected, where editing is one of the tasks."""
    snap: Literal["word", "sub-sentence", "sentence"] = "word"
    """What a dragged span grows to."""
    gold_every: Annotated[int, Field(ge=0)] = 0
    """After how many items, on average, an annotator gets a gold item unawares; 0 for never."""
    training_pass: Share = 0.0
    """Mean score that an annotator must reach on the training items before real items are given."""
    hide_models: bool = True
    """Whether the names of the models that wrote the responses are hidden from annotators."""
    hotkeys: dict[str, str] = Field(default_factory=dict[str, str])
    """Keys that differ from the usual ones: action to key."""
    webhooks: tuple[WebhookConfig, ...] = ()
    """Who is told what happens, by the server while it runs."""
    database: str = ""
    """The address of a PostgreSQL database; empty for a SQLite file beside this one."""

    @model_validator(mode="after")
    def _consistent(self) -> "ProjectConfig":
        names = [category.name for category in self.categories]
        keys = [category.hotkey for category in self.categories if category.hotkey]
        if len(set(names)) < len(names):
            raise ValueError("two categories have one name; rename one")
        if len(set(keys)) < len(keys):
            raise ValueError("two categories have one hotkey; change one")
        asked = [question.key for question in self.questions]
        if len(set(asked)) < len(asked):
            raise ValueError("two questions have one key; rename one")
        if "spans" in self.tasks and not self.span_categories:
            raise ValueError("tasks hold spans, but no category marks them; add categories")
        if not self.title:
            object.__setattr__(self, "title", self.name)
        return self

    @property
    def span_categories(self) -> tuple[CategoryConfig, ...]:
        """The categories that mark words."""
        return tuple(category for category in self.categories if category.kind == "span")

    @property
    def missing_categories(self) -> tuple[CategoryConfig, ...]:
        """The categories that name what is left out."""
        return tuple(category for category in self.categories if category.kind == "missing")

    def category(self, name: str) -> CategoryConfig | None:
        """The category called `name`, if there is one."""
        return next((category for category in self.categories if category.name == name), None)

    def label_set(self) -> str:
        """The categories as JSON text; another text is another version of the label set."""
        rows = [category.model_dump(mode="json") for category in self.categories]
        return json.dumps(rows, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Project:
    """A registered project: its description, and which versions of taxonomy and guidelines are in force."""

    id: str
    config: ProjectConfig
    label_set_id: str
    label_set_version: int
    guideline_id: str
    guideline_version: int
    round: int
    """The round that new items belong to, from 1."""


def digest(text: str) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def preset_text(name: str) -> str:
    """The YAML text of a preset; raises ConfigError for an unknown name."""
    if name not in PRESETS:
        raise ConfigError(f"No preset is called {name!r}; choose one of {', '.join(PRESETS)}.")
    return (resources.files("spanwise.annotate.store") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")


def preset(name: str) -> ProjectConfig:
    """The preset called `name`."""
    preset_text(name)
    with resources.as_file(resources.files("spanwise.annotate.store") / "presets" / f"{name}.yaml") as path:
        return ProjectConfig.load(Path(path))


def read_description(folder: Path, *, preset_name: str | None = None) -> ProjectConfig:
    """The description in `folder`; written from the preset where there is none."""
    path = folder / DESCRIPTION
    if not path.exists():
        if preset_name is None:
            raise ConfigError(
                f"{folder}: holds no {DESCRIPTION}; check the path, or begin a project there: "
                "`spanwise annotate import` and `serve` take --preset."
            )
        write_text(path, preset_text(preset_name))
    return ProjectConfig.load(path)
