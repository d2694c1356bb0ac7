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
from spanwise.sim.grammar import Fact, write_clause, write_sentence
from spanwise.sim.lexicon import BY_NAME, Kind, Relation, ValueType, relations_of

KINDS: tuple[Kind, ...] = ("person", "town", "firm")

Questions = Literal["short", "long"]
"""How much a question asks for. short: one to three facts, of three to five that the passage states, as the base
checkpoint was trained. long: three to five, of five to seven, so that an answer has several clauses to get right."""
_STATED: dict[Questions, tuple[int, int]] = {"short": (3, 6), "long": (5, 8)}
_ASKED: dict[Questions, tuple[tuple[int, ...], tuple[float, ...]]] = {
    "short": ((1, 2, 3), (0.2, 0.45, 0.35)),
    "long": ((3, 4, 5), (0.3, 0.4, 0.3)),
}


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


@dataclass(frozen=True, slots=True)
class SimItem:
    """One prompt with its hidden truth."""

    record: PromptRecord
    truth: Truth


def make_items(count: int, *, seed: int, split: str, questions: Questions = "short") -> list[SimItem]:
    """`count` items of one split; another split name or seed gives other entities, questions and passages."""
    generator = numpy_generator(seed, f"sim/{split}")
    return [make_item(generator, f"{split}-{index}", questions) for index in range(count)]


def make_item(generator: np.random.Generator, identifier: str, questions: Questions = "short") -> SimItem:
    """Draws one question about one entity, with its passage and a distracting one about another."""
    kind: Kind = KINDS[generator.integers(len(KINDS))]
    entity, other = draw_entity(generator, kind), draw_entity(generator, kind)
    while other.name == entity.name:
        other = draw_entity(generator, kind)
    names = _shuffled(generator, [relation.name for relation in relations_of(kind)])
    stated = names[: int(generator.integers(*_STATED[questions]))]
    other_stated = _shuffled(generator, names)[: int(generator.integers(2, 4))]
    asked = _draw_asked(generator, stated, names[len(stated) :], questions)
    main_first = bool(generator.integers(2))
    main_passage, places = write_passage(generator, entity, stated)
    distractor, _ = write_passage(generator, other, other_stated)
    passages = (main_passage, distractor) if main_first else (distractor, main_passage)
    evidence = {
        name: Evidence(passage=0 if main_first else 1, sentences=(sentence,)) for name, sentence in places.items()
    }
    record = PromptRecord(id=identifier, prompt=write_question(generator, entity, asked), passages=passages)
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
        case "date":
            return f"{generator.integers(1, 29)} {_pick(generator, lexicon.MONTHS)} {generator.integers(1850, 1990)}"
        case "height":
            return str(generator.integers(140, 210))
        case "number":
            return str(generator.integers(100, 999))
        case _:
            return _pick(generator, _VALUES[value_type])


def write_passage(
    generator: np.random.Generator, entity: Entity, relations: Sequence[str]
) -> tuple[Passage, dict[str, int]]:
    """A passage that states the relations in changing words, and the sentence in which each is stated first."""
    order = _shuffled(generator, relations)
    if generator.random() < 0.2:  # now and then a fact is told twice
        order.append(order[0])
    sentences: list[str] = []
    places: dict[str, int] = {}
    while order:
        group = [order.pop(0) for _ in range(min(len(order), 1 + int(generator.random() < 0.4)))]
        named = not sentences or generator.random() < 0.3
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


def write_question(generator: np.random.Generator, entity: Entity, asked: Sequence[str]) -> str:
    """One question that asks for all the relations."""
    parts = [_ask(generator, BY_NAME[name]).format(s=entity.name) for name in asked]
    text = " and ".join(parts)
    return text[:1].upper() + text[1:] + "?"


def _draw_asked(
    generator: np.random.Generator, stated: Sequence[str], unstated: Sequence[str], questions: Questions
) -> list[str]:
    counts, shares = _ASKED[questions]
    asked = _shuffled(generator, stated)[: int(generator.choice(counts, p=shares))]
    if len(asked) > 1 and unstated and generator.random() < 0.3:  # a question that the passages cannot answer in full
        asked[int(generator.integers(len(asked)))] = str(generator.choice(list(unstated)))
    return asked


def _ask(generator: np.random.Generator, relation: Relation) -> str:
    return relation.questions[int(generator.integers(len(relation.questions)))]


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
