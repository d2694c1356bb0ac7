"""The figures of QA-Feedback's development set are published in wu2023.md 1.4; the tests compare with that page."""

import weakref

import numpy as np
import pytest
from doubles.feedback import TEXT, real_records, records, small_record, thorough
from hypothesis import given
from hypothesis import strategies as st

from spanwise.feedback.schema import Response, mark
from spanwise.feedback.statistics.records import Statistics, describe
from spanwise.text import count_words

_FOUND: list[Statistics] = []


@pytest.fixture
def found() -> Statistics:
    if not _FOUND:
        _FOUND.append(describe(real_records()))
    return _FOUND[0]


def test_counts_of_spans_are_those_published(found):
    assert (found.items, found.responses, found.marked_responses) == (500, 2000, 500)
    assert found.spans == 1373
    assert found.spans_by_category == {
        "Irrelevant": 909, "Wrong-Grounding": 163, "Unverifiable": 152, "Redundant": 133, "Incoherent": 16,
    }  # fmt: skip
    per_example = found.spans_per_marked_response
    assert (round(per_example.mean, 2), per_example.median, per_example.p90, per_example.max) == (2.75, 3, 5, 10)
    assert (found.marked_without_span, found.marked_without_feedback) == (36, 6)
    assert (found.overlapping_spans, found.spans_off_words) == (0, 0)
    assert f"{found.share_of_characters:.1%}" == "53.7%"


@pytest.mark.parametrize(
    ("name", "items", "mean", "median", "p90", "longest", "short", "characters"),
    [
        ("Irrelevant", 392, "16.0", 14, 30, 114, 100, "42.7%"),
        ("Wrong-Grounding", 123, "5.5", 4, 12, 23, 90, "2.5%"),
        ("Unverifiable", 106, "9.3", 9, 17, 28, 41, "3.9%"),
        ("Redundant", 108, "11.3", 10, 22, 39, 22, "4.3%"),
        ("Incoherent", 15, "7.6", 3, 21, 34, 11, "0.3%"),
    ],
)
def test_table_of_categories_is_the_published_one(found, name, items, mean, median, p90, longest, short, characters):
    row = found.categories[name]
    assert (row.items, row.short) == (items, short)
    assert f"{row.words.mean:.1f}" == mean
    assert (row.words.median, row.words.p90, row.words.max) == (median, p90, longest)
    # The page says 42.8 % for Irrelevant, which is 42.747 % rounded twice.
    assert f"{row.share_of_characters:.1%}" == characters


def test_missing_information_is_that_published(found):
    assert found.missing == 842
    assert found.missing_by_category == {
        "Missing-Minor-Auxiliary": 319, "Missing-Major-Auxiliary": 283, "Missing-Answer": 240,
    }  # fmt: skip
    details = found.missing_details
    assert (details.items, round(details.per_item.mean, 2), details.per_item.max) == (379, 1.68, 16)
    assert round(details.sentences.mean, 2) == 1.03
    assert details.by_passage == [367, 300, 170, 5]


def test_lengths_are_those_published(found):
    lengths = found.lengths
    assert [f"{spread.mean:.1f}" for spread in lengths.responses] == ["68.6", "69.1", "69.9", "68.4"]
    first = lengths.responses[0]
    assert (round(first.sd), first.median, first.max) == (28, 66.5, 158)
    assert (f"{lengths.references.mean:.1f}", f"{lengths.prompt.mean:.1f}") == ("67.3", "8.9")
    assert (f"{lengths.corrections.mean:.1f}", lengths.corrections.median, lengths.corrections.max) == ("55.3", 51, 212)
    assert (f"{lengths.passages_per_item.mean:.2f}", lengths.passages_per_item.max) == ("2.30", 4)
    assert (f"{lengths.sentences_per_passage.mean:.1f}", round(lengths.passage.mean)) == ("8.8", 196)
    assert (round(lengths.context.mean), lengths.context.max) == (450, 694)


def test_edits_are_those_published(found):
    edits = found.edits
    assert (edits.identical, edits.blank, edits.delete_only, edits.insert_only, edits.both) == (6, 13, 50, 20, 424)
    assert edits.opcodes == {"replace": 1171, "delete": 409, "insert": 276}
    assert (f"{edits.blocks.mean:.1f}", edits.blocks.median) == ("3.7", 4)
    assert (f"{edits.deleted_words.mean:.1f}", edits.deleted_words.median) == ("37.7", 35)
    assert (f"{edits.inserted_words.mean:.1f}", edits.inserted_words.median) == ("24.4", 20)
    assert f"{edits.similarity.mean:.2f}" == "0.48"
    assert (round(edits.distance.mean), edits.distance.median) == (50, 47)
    assert (f"{edits.relative_distance.mean:.2f}", f"{edits.relative_distance.median:.2f}") == ("0.78", "0.73")
    assert f"{edits.kept_words:.0%}" == "45%"
    assert (f"{edits.kept_words_outside_spans:.1%}", f"{edits.kept_words_inside_spans:.1%}") == ("89.5%", "7.2%")
    assert edits.surviving_spans == {"Irrelevant": 10, "Redundant": 13, "Wrong-Grounding": 8}


def test_preferences_are_those_published(found):
    counts = found.preferences
    assert (counts.first, counts.second, counts.tie) == (1577, 1039, 384)
    assert (f"{counts.first_listed_win_rate:.1%}", f"{counts.first_listed_z:.1f}") == ("60.3%", "7.8")
    assert [f"{rate:.1%}" for rate in counts.win_rate_by_position] == ["62.3%", "54.3%", "42.2%", "41.1%"]
    assert [f"{overlap:.3f}" for overlap in counts.reference_overlap_by_position] == [
        "0.421",
        "0.418",
        "0.417",
        "0.417",
    ]
    lengths = (counts.longer_preferred, counts.shorter_preferred, counts.equal_length_preferred)
    assert lengths == (1320, 1251, 45)
    assert (f"{counts.ties.mean:.2f}", counts.items_without_ties, counts.items_all_ties) == ("0.77", 298, 12)
    assert (counts.cyclic_items, counts.intransitive_items) == (0, 22)


def test_warnings_say_what_a_user_must_know(found):
    text = "\n".join(found.warnings)
    assert "first wins 60.3% of 2,616 decided preferences (z = 7.8; 50% is chance)" in text
    assert "1,500 of 2,000 responses (75.0%) were never marked" in text
    assert "22 of 500 items fit no ranking" in text
    assert "Spans of Incoherent: only 16" in text
    assert "keep only 45% of the words" in text
    assert "Empty corrections: 13" in text
    assert "longer answer" not in text  # 1,320 against 1,251 is chance: z = 1.0


def test_json_form_has_the_promised_keys(found):
    figures = found.as_dict()
    assert figures["preferences"] == {"first": 1577, "second": 1039, "tie": 384}
    assert round(figures["first_listed_win_rate"], 3) == 0.603
    assert (figures["items"], figures["spans"], figures["missing"]) == (500, 1373, 842)
    assert figures["spans_by_category"]["Wrong-Grounding"] == 163


def test_nothing_at_all_has_no_rates_and_no_warnings():
    found = describe([])
    assert (found.items, found.spans, found.missing, found.warnings) == (0, 0, 0, [])
    assert found.preferences.first_listed_win_rate is None
    assert found.share_of_characters is None


def test_overlaps_and_ragged_edges_are_counted():
    spans = (mark(TEXT, 0, 21, "a"), mark(TEXT, 8, 12, "b"), mark(TEXT, 10, 30, "a"), mark(TEXT, 44, 57, "b"))
    found = describe([small_record(responses=(Response(text=TEXT, marked=True, spans=spans),), preferences=())])
    # [8, 12) and [10, 30) begin inside [0, 21).
    assert found.overlapping_spans == 2
    # [10, 30) cuts the word "born" and [44, 57) leaves the full stop behind "cat".
    assert found.spans_off_words == 2
    # Characters that two spans cover count once: 30 + 13 of 58.
    assert found.share_of_characters == pytest.approx(43 / 58)


def of_values(spread):
    return None if spread is None else (spread.mean, spread.median, spread.max)


def by_numpy(values):
    return pytest.approx((np.mean(values), np.median(values), max(values)), rel=1e-12) if values else None


@thorough
@given(st.lists(records(), max_size=4))
def test_what_is_counted_in_one_pass_is_what_lists_of_everything_say(given_records):
    found = describe(iter(given_records))
    answers = [response for record in given_records for response in record.responses]
    marked = [response for response in answers if response.marked]
    covered = sum(len({i for m in response.spans for i in range(m.start, m.end)}) for response in marked)
    assert found.share_of_characters == (covered / total if (total := sum(len(r.text) for r in marked)) else None)
    assert found.marked_without_feedback == sum(not response.spans and not response.missing for response in marked)
    for name, row in found.categories.items():
        marks = [m for response in answers for m in response.spans if m.category == name]
        items = [r for r in given_records if any(m.category == name for answer in r.responses for m in answer.spans)]
        assert (row.count, row.items) == (len(marks), len(items))
        assert of_values(row.words) == by_numpy([count_words(m.quote) for m in marks])
        assert row.short == sum(count_words(m.quote) < 5 for m in marks)
    assert set(found.categories) == {m.category for response in answers for m in response.spans}
    gaps = [[gap for answer in record.responses for gap in answer.missing] for record in given_records]
    assert (found.missing, found.missing_details.items) == (sum(map(len, gaps)), sum(map(bool, gaps)))
    assert of_values(found.missing_details.per_item) == by_numpy([len(named) for named in gaps])
    width = max((len(record.responses) for record in given_records), default=0)
    columns = [[r.responses[k] for r in given_records if k < len(r.responses)] for k in range(width)]
    expected = [by_numpy([count_words(response.text) for response in column]) for column in columns]
    assert [of_values(spread) for spread in found.lengths.responses] == expected


def test_no_record_is_kept_once_it_is_counted():
    seen = []
    alive = []

    def one_by_one():
        for number in range(50):
            record = small_record(f"r{number}")
            seen.append(weakref.ref(record))
            yield record
            del record
            alive.append(sum(one() is not None for one in seen))

    assert describe(one_by_one()).items == 50
    assert max(alive) <= 1  # the one that was counted last
