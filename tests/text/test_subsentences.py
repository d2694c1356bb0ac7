"""The paper's rule on words: examples worked out by hand, and a literal reading of the rule as the oracle."""

import gzip
import json
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanwise.text.segments import get_segmenter, sub_sentence_starts


def by_flags(words):
    """The rule read word by word, with a flag per word that is set and cleared as the rule says."""
    is_start = [False] * len(words)
    is_start[0], current = True, 0
    for i in range(1, len(words)):
        more_than_five_remain = len(words) - i > 5
        if words[i - 1][-1] in ",;!?" and more_than_five_remain:
            short = i - current < 5
            if short and current == 0:
                continue
            if short:
                is_start[current] = False
            is_start[i], current = True, i
    return [i for i, flag in enumerate(is_start) if flag]


@given(st.lists(st.sampled_from(["a", "b,", "c;", "d!", 'e?"', "f:"]), min_size=1, max_size=40))
def test_the_rule_equals_its_literal_reading(words):
    candidates = [i for i in range(1, len(words)) if words[i - 1][-1] in ",;!?"]
    assert sub_sentence_starts(candidates, len(words)) == by_flags(words)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # five words on the left, six on the right: cut
        ("a b c d e, f g h i j k", ["a b c d e, ", "f g h i j k"]),
        # only five remain
        ("a b c d e, f g h i j", ["a b c d e, f g h i j"]),
        # the first piece is short: it grows rightwards
        ("a b c d, e f g h i j k", ["a b c d, e f g h i j k"]),
        # a later short piece is merged leftwards and the new start stands
        ("a b c d e, f g, h i j k l m", ["a b c d e, f g, ", "h i j k l m"]),
        # a semicolon cuts; a colon and a comma inside quotes do not
        ("a b c d e; f g h i j k", ["a b c d e; ", "f g h i j k"]),
        ('a b c d e: f g "h i j," k l m n o p', ['a b c d e: f g "h i j," k l m n o p']),
        # the end of a sentence cuts whatever the lengths, and words are counted within one sentence
        ("Who? I say yes, and you. a b c d e f", ["Who? ", "I say yes, and you. ", "a b c d e f"]),
        # a number's comma counts when whitespace follows it, not within
        ("a b c d 2, e f g h i 3,000 j", ["a b c d 2, ", "e f g h i 3,000 j"]),
    ],
)
def test_worked_examples(text, expected):
    assert [span.of(text) for span in get_segmenter("sub-sentence")(text)] == expected


def test_the_published_example_of_qa_feedback():
    text = (
        "In retaliation, the woman places a curse on the loan officer that, after three days of escalating torment, "
        "will plunge her into the depths of Hell to burn for eternity. The film is set in Pasadena, California and "
        "takes place in Pasadenadena, California."
    )
    assert [span.of(text).strip() for span in get_segmenter("sub-sentence")(text)] == [
        "In retaliation, the woman places a curse on the loan officer that,",
        "after three days of escalating torment,",
        "will plunge her into the depths of Hell to burn for eternity.",
        "The film is set in Pasadena,",
        "California and takes place in Pasadenadena, California.",
    ]


SHARED = Path(__file__).parents[2] / ".." / "shared" / "data" / "qa_feedback"


@pytest.mark.skipif(not SHARED.exists(), reason="the QA-Feedback files are not beside the checkout")
def test_agreement_with_the_authors_own_segmentation():
    """Boundary F1 of at least 0.99 on 500 answers; `benchmarks/segmentation_agreement.py` lists what differs."""
    with gzip.open(SHARED / "dev_feedback.json.gz", "rt", encoding="utf-8") as stream:
        answers = [item["prediction 1"] for item in json.load(stream)]
    with gzip.open(SHARED / "authors_subsentences_dev.jsonl.gz", "rt", encoding="utf-8") as stream:
        theirs = [" ".join(json.loads(line)["text"]).split("</s>")[1:] for line in stream]
    assert sum(map(len, theirs)) == 2704
    shared = total = 0
    for answer, parts in zip(answers, theirs, strict=True):
        ours = [span.of(answer) for span in get_segmenter("sub-sentence")(answer)]
        cuts = [
            set(accumulate(len("".join(part.split())) for part in segmentation[:-1])) for segmentation in (ours, parts)
        ]
        shared += len(cuts[0] & cuts[1])
        total += len(cuts[0]) + len(cuts[1])
    assert 2 * shared / total > 0.99
