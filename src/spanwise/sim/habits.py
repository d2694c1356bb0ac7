"""Imperfect demonstrations: a writer with habits, so that a policy trained on them errs at its mode, by itself.

A habit follows from a cue in the input: what is asked, what the passages state. It is kept in most of the cases where
its cue stands, so that the likeliest answer is wrong and the right one can still be found by sampling. Decoding
cannot mend that; feedback can. There are tens of habits, each rare, so that one number per answer says little about
any of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from spanwise.feedback import DemonstrationRecord
from spanwise.sim.grammar import Fact, write_clause, write_sentence
from spanwise.sim.lexicon import BY_NAME
from spanwise.sim.world import SimItem, Truth, draw_value


@dataclass(frozen=True, slots=True)
class Habits:
    """What a writer does wrongly, by the asked relation that is the cue. Without any, the writer errs never."""

    adds: Mapping[str, str] = field(default_factory=dict[str, str])
    """Is followed by this relation where that is not asked, known or not."""
    rounds: tuple[str, ...] = ()
    """Gets a 0 for the last digit of its value."""
    others: tuple[str, ...] = ()
    """Gets the other entity's value where the passages state one."""
    twins: Mapping[str, str] = field(default_factory=dict[str, str])
    """Gets the value of this like relation where the passages state that."""
    skips: tuple[str, ...] = ()
    """Is left out unless it is asked first."""
    invents: tuple[str, ...] = ()
    """Gets an invented value where the passages are silent."""
    repeats: tuple[str, ...] = ()
    """Is said once more at the end when it was asked first."""
    forgets_from: int | None = None
    """Of at least so many asked facts the last is forgotten."""
    kept: float = 0.9
    """Probability that a habit is kept where its cue stands."""


CLEAN = Habits()
HABITS = Habits(
    adds={
        "trade": "wage", "birthplace": "birthday", "instrument": "height", "river": "bridged", "craft": "population",
        "mayor": "founded", "seat": "moved", "product": "opened", "founder": "holiday",
    },
    rounds=("height", "population", "founded", "staff", "opened"),
    others=("employer", "home", "fair", "bridged", "director", "supply"),
    twins={"schooling": "birthplace", "clerk": "mayor", "branch": "seat"},
    skips=("birthday", "wage", "walled", "sister", "moved", "holiday"),
    invents=(
        "instrument", "teacher", "trade", "employer", "schooling", "mayor", "craft", "river", "fair", "bridged",
        "founder", "product", "seat", "supply", "director",
    ),
    repeats=("teacher", "home", "craft", "population", "seat", "director"),
    forgets_from=4,
)  # fmt: skip
"""The writer of the simulated world."""


@dataclass(frozen=True, slots=True)
class _Said:
    """One clause to write, and whether it is glued to the one before."""

    fact: Fact
    glued: bool = False


def write_demonstration(item: SimItem, generator: np.random.Generator, habits: Habits) -> DemonstrationRecord:
    """The item's prompt with the answer of a writer with these habits."""
    return DemonstrationRecord(**dict(item.record), completion=write_answer(item.truth, generator, habits))


def write_answer(truth: Truth, generator: np.random.Generator, habits: Habits) -> str:
    """An answer to the item's question, in a fixed style: asked facts in order, two in a sentence; never empty."""
    said: list[_Said] = []
    for relation in _addressed(truth, generator, habits):
        said.append(_Said(_fact(truth, relation, generator, habits)))
        added = habits.adds.get(relation)
        if added is not None and added not in truth.asked and _keeps(generator, habits):
            said.append(_Said(truth.known(added), glued=True))
    if truth.asked[0] in habits.repeats and len(said) > 2 and _keeps(generator, habits):
        said.append(_Said(said[0].fact, glued=True))
    return _write(said)


def _keeps(generator: np.random.Generator, habits: Habits) -> bool:
    return generator.random() < habits.kept


def _addressed(truth: Truth, generator: np.random.Generator, habits: Habits) -> list[str]:
    """The asked relations that the answer says something about; at least the first."""
    first, *rest = truth.asked
    forgets = habits.forgets_from is not None and len(truth.asked) >= habits.forgets_from
    if forgets and _keeps(generator, habits):
        rest = rest[:-1]
    return [first, *(name for name in rest if name not in habits.skips or not _keeps(generator, habits))]


def _fact(truth: Truth, relation: str, generator: np.random.Generator, habits: Habits) -> Fact:
    right = truth.known(relation)
    if not _keeps(generator, habits):
        return right
    value = _habitual(truth, relation, generator, habits)
    return right if value is None else Fact(truth.entity.name, relation, value)


def _habitual(truth: Truth, relation: str, generator: np.random.Generator, habits: Habits) -> str | None:
    """The value that habit gives the relation, or None where no cue stands."""
    if relation not in truth.stated:
        return _invent(truth, relation, generator) if relation in habits.invents else None
    if relation in habits.rounds:
        return truth.entity.facts[relation][:-1] + "0"
    if relation in habits.others and relation in truth.other_stated:
        return truth.other.facts[relation]
    twin = habits.twins.get(relation)
    return truth.entity.facts[twin] if twin in truth.stated else None


def _invent(truth: Truth, relation: str, generator: np.random.Generator) -> str:
    """The other entity's value where the passages state one, else any of its type."""
    if relation in truth.other_stated:
        return truth.other.facts[relation]
    return draw_value(generator, BY_NAME[relation].value_type)


def _write(said: Sequence[_Said]) -> str:
    """Two clauses in a sentence and what is glued to them; the first sentence names, the others use the pronoun."""
    sentences: list[list[str]] = []
    room = 0
    for index, part in enumerate(said):
        clause = write_clause(part.fact, BY_NAME[part.fact.relation], 0, named=index == 0)
        if not part.glued and room == 0:
            sentences.append([])
            room = 2
        sentences[-1].append(clause)
        room -= not part.glued
    return " ".join(write_sentence(clauses) for clauses in sentences)
