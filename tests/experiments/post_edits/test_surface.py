"""Surface features: hand counts without the text at hand, and a rule that they can learn."""

import math

import numpy as np
import pytest

from experiments.post_edits.surface import FEATURES, MarkedText, SurfaceModel
from spanwise.core.errors import DataError
from spanwise.text.spans import Span

TEXTS = [
    MarkedText("the cat sat", (Span(4, 7),), "the dog sat"),
    MarkedText("the cat ran", (Span(4, 7),), "the dog ran"),
    MarkedText("the dog ran", (), "the dog ran"),
]


def column(model, text, name):
    return model.features([text])[:, FEATURES.index(name)].tolist()


def test_counts_are_those_of_the_edited_texts():
    model = SurfaceModel(TEXTS)
    assert column(model, "The cat owns 3 !", "unseen") == [0, 1, 1, 1, 1]
    assert column(model, "the cat", "rarity") == pytest.approx([-math.log(3.5 / 10), -math.log(0.5 / 10)])
    assert column(model, "the dog ran", "bigram_unseen_left") == [0, 0, 0]
    assert column(model, "dog the ran", "bigram_unseen_right") == [1, 1, 0]
    assert column(model, "The cat owns 3 !", "punctuation") == [0, 0, 0, 0, 1]
    assert column(model, "The cat owns 3 !", "digit") == [0, 0, 0, 1, 0]
    assert column(model, "A A b", "said_before") == [0, 1, 0]
    rate = 2 / 9
    changed = math.log((2 + 5 * rate) / (2 + 5 - 2 - 5 * rate))
    assert column(model, "cat", "changed_before") == pytest.approx([changed])


def test_the_text_at_hand_does_not_count_itself_while_it_is_learnt_from():
    """Every changed word is new to the other texts, and so is every word that stays: novelty then tells nothing."""
    texts = [MarkedText(f"w{n} v{n}", (Span(0, len(f"w{n}")),), f"x{n} v{n}") for n in range(10, 40)]
    model = SurfaceModel(texts)
    scores = model.badness(["w99 v99"])
    assert scores[0] > scores[1]  # by their place alone
    swapped = model.badness(["v99 w99"])
    np.testing.assert_allclose(scores, swapped)


def test_a_word_that_is_always_changed_is_found():
    model = SurfaceModel(TEXTS * 10)
    scores = model.badness(["the cat sat"])
    assert scores.argmax() == 1


def test_texts_without_a_change_teach_nothing():
    with pytest.raises(DataError, match="no changed word"):
        SurfaceModel([TEXTS[2]])
