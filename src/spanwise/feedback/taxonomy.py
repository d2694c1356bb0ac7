"""Kinds of error: what each category means, which group it belongs to and which one wins where two apply.

A taxonomy belongs to a task, not to a record: records spell category names as their annotators' taxonomy does.
Three groups make three reward models (Wu et al. 2023): relevance, factuality, completeness.
"""

from dataclasses import dataclass
from typing import Literal

from spanwise.core import ConfigError, DataError

Group = Literal["relevance", "factuality", "completeness"]

GROUPS: tuple[Group, ...] = ("relevance", "factuality", "completeness")


@dataclass(frozen=True, slots=True)
class Category:
    """One kind of error. `colour` tells categories apart on screen, also for colour-blind readers."""

    name: str
    group: Group
    label: str
    description: str
    colour: str


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Categories of marked spans and of missing information, each in order of priority.

    One span carries one category: where several apply, an annotator gives the first of them. What a span of a
    higher priority covers is not examined further, so an irrelevant span says nothing about its facts.
    """

    name: str
    span_categories: tuple[Category, ...]
    missing_categories: tuple[Category, ...]

    @property
    def categories(self) -> tuple[Category, ...]:
        """All categories, those of spans first."""
        return self.span_categories + self.missing_categories

    def category(self, name: str) -> Category:
        """The category called `name`; raises DataError that lists the known ones."""
        for category in self.categories:
            if category.name == name:
                return category
        known = ", ".join(category.name for category in self.categories)
        raise DataError(f"{name!r} is no category of the taxonomy {self.name}; it has {known}.")

    def names(self, group: Group) -> tuple[str, ...]:
        """The names of the categories of `group`, by priority."""
        return tuple(category.name for category in self.categories if category.group == group)

    def group(self, name: str) -> Group:
        """The group that the category called `name` belongs to."""
        return self.category(name).group

    def decide(self, names: set[str]) -> Category:
        """Of several categories that fit one span, the one an annotator gives: the first by priority."""
        if not names:
            raise DataError("No category to decide between; give at least one.")
        return min((self.category(name) for name in names), key=self.categories.index)


def get_taxonomy(name: str) -> Taxonomy:
    """The preset called `name`: "qa-feedback" or "sim"."""
    if name not in _PRESETS:
        raise ConfigError(f"No taxonomy is called {name!r}; choose one of {', '.join(_PRESETS)}.")
    return _PRESETS[name]


_SPAN_CATEGORIES = (
    Category("Irrelevant", "relevance", "Irrelevant", "Answers something that was not asked.", "#E69F00"),
    Category("Redundant", "relevance", "Repetitive", "Says again what the response has said before.", "#F0E442"),
    Category("Wrong-Grounding", "factuality", "Inconsistent fact", "Contradicts the passages.", "#D55E00"),
    Category(
        "Unverifiable", "factuality", "Unverifiable fact", "Is neither in the passages nor common sense.", "#CC79A7"
    ),
    Category("Incoherent", "relevance", "Incoherent", "Cannot be understood, or does not hang together.", "#999999"),
)

_MISSING_CATEGORIES = (
    Category("Missing-Answer", "completeness", "Missing answer", "An answer to the question is left out.", "#0072B2"),
    Category(
        "Missing-Major-Auxiliary",
        "completeness",
        "Missing major auxiliary",
        "Crucial help to understand the answer is left out.",
        "#56B4E9",
    ),
    Category(
        "Missing-Minor-Auxiliary",
        "completeness",
        "Missing minor auxiliary",
        "Useful but not crucial help is left out.",
        "#009E73",
    ),
)

_PRESETS = {name: Taxonomy(name, _SPAN_CATEGORIES, _MISSING_CATEGORIES) for name in ("qa-feedback", "sim")}
