"""The simulated world: entities with facts, passages that state some of them, questions that ask for some.

Every item is drawn from an explicit generator. An item's `record` is what models and annotators may see; its
`truth` is for the oracle alone and never reaches training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from spanwise.core import numpy_generator
from spanwise.feedback import Evidence, Passage, PromptRecord
from spanwise.sim import lexicon
from spanwise.sim.grammar import UNKNOWN, Fact, write_clause, write_sentence
from spanwise.sim.lexicon import BY_NAME, Kind, Relation, ValueType, relations_of

KINDS: tuple[Kind, ...] = ("person", "town", "firm")

STATED, OTHER_STATED = (6, 9), (3, 5)
"""How many facts the passages state of the entity and of the other one, from and below."""
ASKED: tuple[tuple[int, ...], tuple[float, ...]] = ((3, 4, 5, 6), (0.2, 0.3, 0.3, 0.2))
"""How many facts a question asks for, and how often."""

Wording = Literal["usual", "held-out"]
"""How questions are put: in the two wordings of each relation that training knows, or in the one kept for tests."""


@dataclass(frozen=True, slots=True)
class Entity:
    """An invented thing with one value for each relation of its kind."""

    name: str
    kind: Kind
    facts: dict[str, str]

    def fact(self, relation: str) -> Fact:
        return Fact(self.name, relation, self.facts[relation])


@dataclass(frozen=True, slots=True)
class Truth:
    """What the oracle knows of an item: whom the question is about, what it asks, and what the passages state.

    `stated` maps relations of the entity to the place in the passages that states them; `other` is the entity
    that the distracting passage is about.
    """

    entity: Entity
    asked: tuple[str, ...]
    stated: dict[str, Evidence]
    other: Entity
    other_stated: tuple[str, ...]

    @property
    def answerable(self) -> tuple[str, ...]:
        """Asked relations that the passages state: what a complete answer says."""
        return tuple(relation for relation in self.asked if relation in self.stated)

    def known(self, relation: str) -> Fact:
        """What the passages say of the entity's relation: its value, or that it is unknown."""
        return Fact(self.entity.name, relation, self.entity.facts[relation] if relation in self.stated else UNKNOWN)


@dataclass(frozen=True, slots=True)
class Size:
    """How many facts an item has: stated, asked, of these not stated, and stated of the other entity (at least 1)."""

    stated: int
    asked: int
    silent: int
    other: int


@dataclass(frozen=True, slots=True)
class SimItem:
    """One prompt with its hidden truth."""

    record: PromptRecord
    truth: Truth


def make_items(count: int, *, seed: int, split: str, wording: Wording = "usual") -> list[SimItem]:
    """`count` items of one split; another split name or seed gives other entities, questions and passages."""
    generator = numpy_generator(seed, f"sim/{split}")
    return [make_item(generator, f"{split}-{index}", wording) for index in range(count)]


def make_item(generator: np.random.Generator, identifier: str, wording: Wording = "usual") -> SimItem:
    """Draws one question about one entity, with its passage and a distracting one about another."""
    size = Size(
        stated=int(generator.integers(*STATED)),
        asked=int(generator.choice(ASKED[0], p=ASKED[1])),
        silent=int(generator.choice((0, 1, 2), p=(0.375, 0.5, 0.125))),
        other=int(generator.integers(*OTHER_STATED)),
    )
    return make_sized_item(generator, identifier, size, wording)


def make_sized_item(generator: np.random.Generator, identifier: str, size: Size, wording: Wording = "usual") -> SimItem:
    """As `make_item`, of a given size: lessons for a model that is still to learn to read start small."""
    kind: Kind = KINDS[generator.integers(len(KINDS))]
    entity, other = draw_entity(generator, kind), draw_entity(generator, kind)
    while other.name == entity.name:
        other = draw_entity(generator, kind)
    names = _shuffled(generator, [relation.name for relation in relations_of(kind)])
    stated, unstated = names[: size.stated], names[size.stated :]
    asked = _draw_asked(generator, stated, unstated, size)
    other_stated = _draw_other(generator, names, asked, size.other)
    main_first = bool(generator.integers(2))
    main_passage, places = write_passage(generator, entity, stated)
    distractor, _ = write_passage(generator, other, other_stated)
    passages = (main_passage, distractor) if main_first else (distractor, main_passage)
    evidence = {
        name: Evidence(passage=0 if main_first else 1, sentences=(sentence,)) for name, sentence in places.items()
    }
    record = PromptRecord(id=identifier, prompt=write_question(generator, entity, asked, wording), passages=passages)
    truth = Truth(entity, tuple(asked), evidence, other, tuple(other_stated))
    return SimItem(record, truth)


def draw_entity(generator: np.random.Generator, kind: Kind) -> Entity:
    """An entity with a name of its kind and a value for each relation."""
    types: dict[Kind, ValueType] = {"person": "person", "town": "town", "firm": "firm"}
    name = draw_value(generator, types[kind])
    facts: dict[str, str] = {}
    for relation in relations_of(kind):
        value = draw_value(generator, relation.value_type)
        while value == name or value in facts.values():
            value = draw_value(generator, relation.value_type)
        facts[relation.name] = value
    return Entity(name, kind, facts)


def draw_value(generator: np.random.Generator, value_type: ValueType) -> str:
    """A value of the given type."""
    match value_type:
        case "person":
            return f"{_pick(generator, lexicon.FEMALE_NAMES + lexicon.MALE_NAMES)} {_pick(generator, lexicon.SURNAMES)}"
        case "year":
            return str(generator.integers(1500, 1990))
        case "day":
            return f"{generator.integers(1, 29)} {_pick(generator, lexicon.MONTHS)}"
        case "number":
            return str(generator.integers(100, 999))
        case _:
            return _pick(generator, _VALUES[value_type])


def write_passage(
    generator: np.random.Generator, entity: Entity, relations: Sequence[str]
) -> tuple[Passage, dict[str, int]]:
    """A passage that states the relations in changing words, and the sentence in which each is stated first."""
    order = _shuffled(generator, relations)
    if generator.random() < 0.1:  # now and then a fact is told twice
        order.append(order[0])
    sentences: list[str] = []
    places: dict[str, int] = {}
    while order:
        group = [order.pop(0) for _ in range(min(len(order), 1 + int(generator.random() < 0.4)))]
        named = not sentences or generator.random() < 0.6
        sentences.append(write_facts(generator, [entity.fact(name) for name in group], named=named))
        for name in group:
            places.setdefault(name, len(sentences) - 1)
    return Passage(title=entity.name, sentences=tuple(sentences)), places


def write_facts(generator: np.random.Generator, facts: Sequence[Fact], *, named: bool) -> str:
    """One sentence that states the facts, each in a paraphrase drawn at random; only the first may carry the name."""
    clauses: list[str] = []
    for index, fact in enumerate(facts):
        relation = BY_NAME[fact.relation]
        paraphrase = int(generator.integers(len(relation.clauses)))
        clauses.append(write_clause(fact, relation, paraphrase, named=named and index == 0))
    return write_sentence(clauses)


def write_question(
    generator: np.random.Generator, entity: Entity, asked: Sequence[str], wording: Wording = "usual"
) -> str:
    """One question that asks for all the relations."""
    text = " and ".join(_ask(generator, BY_NAME[name], wording).format(s=entity.name) for name in asked)
    return text[:1].upper() + text[1:] + "?"


def _draw_asked(
    generator: np.random.Generator, stated: Sequence[str], unstated: Sequence[str], size: Size
) -> list[str]:
    """What is asked: stated facts, some of them replaced by what the passages do not state."""
    asked = _shuffled(generator, stated)[: size.asked]
    silent = _shuffled(generator, unstated)[: min(size.silent, len(asked))]
    for index, name in zip(generator.permutation(len(asked)).tolist(), silent, strict=False):
        asked[index] = name
    return asked


def _draw_other(generator: np.random.Generator, names: Sequence[str], asked: Sequence[str], count: int) -> list[str]:
    """What the passages state of the other entity: half of it is asked of the first one, so that it could mislead."""
    likely = _shuffled(generator, asked)[: (count + 1) // 2]
    return [*likely, *(name for name in _shuffled(generator, names) if name not in likely)][:count]


def _ask(generator: np.random.Generator, relation: Relation, wording: Wording) -> str:
    *usual, held_out = relation.questions
    return held_out if wording == "held-out" else usual[int(generator.integers(len(usual)))]


def _shuffled(generator: np.random.Generator, values: Sequence[str]) -> list[str]:
    return [values[int(index)] for index in generator.permutation(len(values))]


def _pick(generator: np.random.Generator, values: Sequence[str]) -> str:
    return values[int(generator.integers(len(values)))]


_VALUES: dict[ValueType, tuple[str, ...]] = {
    "town": lexicon.TOWNS,
    "trade": lexicon.TRADES,
    "firm": lexicon.FIRMS,
    "instrument": lexicon.INSTRUMENTS,
    "river": lexicon.RIVERS,
    "good": lexicon.GOODS,
    "month": lexicon.MONTHS,
}
