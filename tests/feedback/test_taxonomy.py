import pytest

from spanwise.core.errors import ConfigError, DataError
from spanwise.feedback.taxonomy import GROUPS, get_taxonomy

GROUPED = {
    "relevance": {"Irrelevant", "Redundant", "Incoherent"},
    "factuality": {"Wrong-Grounding", "Unverifiable"},
    "completeness": {"Missing-Answer", "Missing-Major-Auxiliary", "Missing-Minor-Auxiliary"},
}


@pytest.mark.parametrize("name", ["qa-feedback", "sim"])
def test_groups_hold_the_categories_of_the_paper(name):
    taxonomy = get_taxonomy(name)
    assert taxonomy.name == name
    assert {group: set(taxonomy.names(group)) for group in GROUPS} == GROUPED
    assert all(taxonomy.group(category) == group for group, names in GROUPED.items() for category in names)


def test_priority_is_the_annotators():
    taxonomy = get_taxonomy("qa-feedback")
    order = ["Irrelevant", "Redundant", "Wrong-Grounding", "Unverifiable", "Incoherent"]  # wu2023.md 1.3
    for position, name in enumerate(order):
        assert taxonomy.decide(set(order[position:])).name == name


def test_categories_can_be_told_apart():
    categories = get_taxonomy("qa-feedback").categories
    for thing in ("name", "label", "description", "colour"):
        assert len({getattr(category, thing) for category in categories}) == 8


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(DataError, match="'Repetitive' is no category of the taxonomy qa-feedback; it has Irrelevant, "):
        get_taxonomy("qa-feedback").category("Repetitive")
    with pytest.raises(DataError, match="at least one"):
        get_taxonomy("qa-feedback").decide(set())
    with pytest.raises(ConfigError, match="choose one of qa-feedback, sim"):
        get_taxonomy("errant")
