"""The words of the simulated world: invented names, values by type, and relations with their paraphrases.

Nothing here exists outside this file, so a model can only know a fact by reading it. Relations of one kind of
entity share value types (a person has three towns, a town has three years), so that reading the value alone does not
tell which fact it belongs to. How sentences are built from these words is `grammar.py`'s business.
"""

from dataclasses import dataclass
from itertools import product
from typing import Literal

Kind = Literal["person", "town", "firm"]
ValueType = Literal["town", "day", "year", "trade", "firm", "number", "instrument", "river", "person", "good", "month"]

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
FEMALE_NAMES = ("Ilva", "Sorel", "Maruna", "Oriane", "Calvina", "Fenna", "Katla", "Petra")
MALE_NAMES = ("Aldous", "Corvin", "Edric", "Garrick", "Ivor", "Magnus", "Osric", "Tobias")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _compounds(heads: str, tails: str) -> tuple[str, ...]:
    return tuple(head + tail for head, tail in product(heads.split(), tails.split()))


SURNAMES = _compounds("Ash Brack Fal Grim", "croft mond ner stone")
TOWNS = _compounds("Var Kel Dun Tal Pel Rav", "holm wick ford")
RIVERS = _compounds("Ael Bor Drav Thul", "ine ow een")
FIRMS = tuple(f"{first} {second}" for first, second in product(
    ("Northern", "Silver", "Harbour", "Meridian", "Falcon", "Granite"),
    ("Works", "Mills", "Brothers", "Traders", "Yards", "Foundry"),
))  # fmt: skip
TRADES = _words("baker barber cooper fisher joiner mason miller potter roofer sailor tailor weaver")
INSTRUMENTS = _words("banjo bugle cello fiddle flute guitar harp lute piano viola")
GOODS = _words("bells candles cheese clocks gloves kettles lamps paper ropes soap tiles wagons")


@dataclass(frozen=True, slots=True)
class Relation:
    """One kind of fact. Clauses hold {s} (subject) or {p} (its possessive) and {v} (value); questions hold {s}.

    The last wording of the question is held out: no demonstration, feedback or RL prompt uses it, test prompts do. The
    first clause is the one that answers use; passages use all. With its "and" every clause has at least six words, so
    that the sub-sentence rule keeps it apart.
    """

    name: str
    kind: Kind
    value_type: ValueType
    questions: tuple[str, str, str]
    clauses: tuple[str, str, str]


RELATIONS: tuple[Relation, ...] = (
    Relation("birthplace", "person", "town",
             ("where was {s} born",
              "what is the birthplace of {s}",
              "which town did {s} come from at birth"),
             ("{s} was born in the town of {v}",
              "{s} first saw the light of day in {v}",
              "{p} place of birth is {v}")),
    Relation("home", "person", "town",
             ("where does {s} live now",
              "in which town is the home of {s}",
              "where would one find {s} at home today"),
             ("{s} now lives in the town of {v}",
              "{s} has made a home in {v}",
              "{p} present home is in {v}")),
    Relation("schooling", "person", "town",
             ("where did {s} go to school",
              "in which town was {s} taught",
              "where did {s} get an education"),
             ("{s} went to school in {v} as a child",
              "{s} was a pupil in the town of {v}",
              "{p} school days were spent in {v}")),
    Relation("birthday", "person", "day",
             ("when does {s} have a birthday",
              "what is the birthday of {s}",
              "on which day of the year was {s} born"),
             ("{s} has a birthday on the day {v}",
              "{p} birthday falls every year on {v}",
              "{p} day of birth is given as {v}")),
    Relation("trade", "person", "trade",
             ("what does {s} do for a living",
              "what is the trade of {s}",
              "how does {s} earn money"),
             ("{s} earns a living as a {v}",
              "{s} works by trade as a {v}",
              "{p} trade is that of a {v}")),
    Relation("employer", "person", "firm",
             ("who employs {s}",
              "for which firm does {s} work",
              "which firm pays {s}"),
             ("{s} is employed by the firm {v}",
              "{s} holds a post with {v}",
              "{p} employer is known as {v}")),
    Relation("height", "person", "number",
             ("how tall is {s}",
              "what is the height of {s}",
              "how many centimetres does {s} measure"),
             ("{s} stands {v} centimetres tall in shoes",
              "{s} measures {v} centimetres from head to foot",
              "{p} height is given as {v} centimetres")),
    Relation("instrument", "person", "instrument",
             ("which instrument does {s} play",
              "what does {s} play of an evening",
              "on what does {s} make music"),
             ("{s} likes to play the {v}",
              "{s} has long been playing the {v}",
              "{p} favourite instrument is the {v}")),
    Relation("teacher", "person", "person",
             ("who taught {s}",
              "who was the teacher of {s}",
              "from whom did {s} learn"),
             ("{s} was taught by one {v}",
              "{s} learned everything from {v}",
              "{p} teacher went by the name {v}")),
    Relation("wage", "person", "number",
             ("how much does {s} earn",
              "what is the wage of {s}",
              "how many crowns is {s} paid"),
             ("{s} earns {v} crowns in a month",
              "{s} is paid {v} crowns every month",
              "{p} wage comes to {v} crowns")),
    Relation("river", "town", "river",
             ("which river runs through {s}",
              "on which river does {s} lie",
              "what is the water at {s} called"),
             ("{s} lies on the river {v}",
              "{s} is crossed by the river {v}",
              "{p} river is called the {v}")),
    Relation("founded", "town", "year",
             ("when was {s} founded",
              "how old is {s}",
              "since when has there been a {s}"),
             ("{s} was founded in the year {v}",
              "{s} goes back to the year {v}",
              "{p} founding dates from {v}")),
    Relation("walled", "town", "year",
             ("when did {s} get its wall",
              "in which year was the wall of {s} built",
              "how old is the wall around {s}"),
             ("{s} got its wall in the year {v}",
              "{s} has had a wall since {v}",
              "{p} wall was put up in {v}")),
    Relation("bridged", "town", "year",
             ("when did {s} get its bridge",
              "in which year was the bridge of {s} built",
              "how old is the bridge at {s}"),
             ("{s} got its bridge in the year {v}",
              "{s} has had a bridge since {v}",
              "{p} bridge was put up in {v}")),
    Relation("population", "town", "number",
             ("how many people live in {s}",
              "what is the population of {s}",
              "how large is {s}"),
             ("{s} has a population of {v} people",
              "{s} is home to about {v} people",
              "{p} population is put at {v}")),
    Relation("mayor", "town", "person",
             ("who is the mayor of {s}",
              "who governs {s}",
              "who is at the head of {s}"),
             ("{s} is governed by the mayor {v}",
              "{s} has as its mayor {v}",
              "{p} mayor goes by the name {v}")),
    Relation("clerk", "town", "person",
             ("who is the clerk of {s}",
              "who keeps the books of {s}",
              "who writes the letters of {s}"),
             ("{s} is served by the clerk {v}",
              "{s} has as its clerk {v}",
              "{p} clerk goes by the name {v}")),
    Relation("craft", "town", "good",
             ("what is {s} known for",
              "which goods does {s} export",
              "what do people buy from {s}"),
             ("{s} is known in all parts for {v}",
              "{s} has always lived by exporting {v}",
              "{p} best known goods are {v}")),
    Relation("fair", "town", "month",
             ("when does {s} hold its fair",
              "in which month is the fair of {s}",
              "when do people go to the fair in {s}"),
             ("{s} holds its yearly fair in {v}",
              "{s} has a fair every year in {v}",
              "{p} fair takes place in {v}")),
    Relation("sister", "town", "town",
             ("which town is the sister of {s}",
              "what is the sister town of {s}",
              "with which town is {s} joined"),
             ("{s} is the sister town of {v}",
              "{s} has been paired with the town {v}",
              "{p} sister town is known as {v}")),
    Relation("opened", "firm", "year",
             ("when was {s} opened",
              "in which year did {s} begin",
              "how old is {s} as a firm"),
             ("{s} was opened in the year {v}",
              "{s} has done business since the year {v}",
              "{p} opening dates from {v}")),
    Relation("moved", "firm", "year",
             ("when did {s} move to its present site",
              "since when has {s} been at its present site",
              "in which year did {s} change its place"),
             ("{s} moved to its present site in {v}",
              "{s} has stood at its present site since {v}",
              "{p} present site was bought in {v}")),
    Relation("seat", "firm", "town",
             ("where does {s} have its seat",
              "in which town is {s}",
              "from where is {s} run"),
             ("{s} has its seat in the town of {v}",
              "{s} is run from an office in {v}",
              "{p} head office is in {v}")),
    Relation("branch", "firm", "town",
             ("where does {s} have its branch",
              "in which town is the branch of {s}",
              "where else does {s} keep an office"),
             ("{s} has its branch in the town of {v}",
              "{s} keeps a second office in {v}",
              "{p} only branch is in {v}")),
    Relation("product", "firm", "good",
             ("what does {s} make",
              "which goods come from {s}",
              "what can one buy from {s}"),
             ("{s} makes a living by selling {v}",
              "{s} is a well known maker of {v}",
              "{p} main line of goods is {v}")),
    Relation("supply", "firm", "good",
             ("what does {s} buy",
              "which goods does {s} order",
              "what is brought to {s}"),
             ("{s} orders large supplies of {v} abroad",
              "{s} buys a good deal of {v}",
              "{p} largest order is for {v}")),
    Relation("founder", "firm", "person",
             ("who founded {s}",
              "who is the founder of {s}",
              "by whom was {s} begun"),
             ("{s} was founded by a certain {v}",
              "{s} owes its beginnings to {v}",
              "{p} founder went by the name {v}")),
    Relation("director", "firm", "person",
             ("who runs {s}",
              "who is the director of {s}",
              "who is in charge of {s}"),
             ("{s} is run today by one {v}",
              "{s} has as its director {v}",
              "{p} director goes by the name {v}")),
    Relation("staff", "firm", "number",
             ("how many people work at {s}",
              "what is the staff of {s}",
              "how many people does {s} pay"),
             ("{s} gives work to {v} people",
              "{s} has a staff of {v} people",
              "{p} staff is put at {v}")),
    Relation("holiday", "firm", "month",
             ("when does {s} close for its holiday",
              "in which month is the holiday of {s}",
              "when do the people of {s} have their holiday"),
             ("{s} closes for its holiday in {v}",
              "{s} stands still every year in {v}",
              "{p} holiday always falls in {v}")),
)  # fmt: skip

BY_NAME: dict[str, Relation] = {relation.name: relation for relation in RELATIONS}


def relations_of(kind: Kind) -> tuple[Relation, ...]:
    """The relations that entities of one kind have."""
    return tuple(relation for relation in RELATIONS if relation.kind == kind)
