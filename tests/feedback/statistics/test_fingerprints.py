import numpy as np
import pytest

from spanwise.feedback.edits import edit_pair
from spanwise.feedback.statistics.fingerprints import fingerprint


def pairs(change, count=60):
    generator = np.random.default_rng(3)
    words = [f"word{k}" for k in range(30)]
    for _ in range(count):
        drawn = generator.choice(words, 12).tolist()
        yield edit_pair(" ".join(drawn) + ".", " ".join(change(list(drawn), generator)) + ".")


def swapped(words, generator):
    place = int(generator.integers(0, len(words)))
    return [*words[:place], f"word{generator.integers(0, 30)}", *words[place + 1 :]]


def test_edits_that_only_swap_words_have_no_fingerprint():
    found = fingerprint(list(pairs(swapped)))
    assert max(found.words, found.style, found.length) < 0.65
    assert not found.suspicious


def test_an_editor_with_a_manner_is_found_out_and_its_word_is_named():
    found = fingerprint(list(pairs(lambda words, generator: ["Certainly", "!", *swapped(words, generator)])))
    assert min(found.words, found.style, found.length) > 0.95
    assert found.suspicious
    assert {"certainly", "!"} <= set(found.telling[:5])


def test_a_longer_text_alone_is_told_by_length_only():
    found = fingerprint(list(pairs(lambda words, generator: [*words, *generator.choice(words, 6).tolist()])))
    assert found.length > 0.95


def test_too_few_pairs_tell_nothing():
    assert fingerprint(list(pairs(swapped, 19))) is None


@pytest.mark.parametrize("turned", [False, True])
def test_repeated_texts_are_not_known_again(turned):
    """Twenty texts stand in twenty pairs each, every other side has a word of its own; all prompts differ."""
    repeated = []
    for number in range(400):
        shared = [f"word{k % 30}" for k in range(number // 20, number // 20 + 12)]
        sides = [" ".join([*shared, word]) for word in (f"drawn{number}", f"mark{number // 20}")]
        repeated.append(edit_pair(*(sides[::-1] if turned else sides), prompt=f"question {number}"))
    assert 0.4 < fingerprint(repeated).words < 0.6


def test_pairs_of_fewer_than_five_prompts_tell_nothing():
    few = [pair.model_copy(update={"prompt": f"question {number % 4}"}) for number, pair in enumerate(pairs(swapped))]
    assert fingerprint(few) is None
    assert fingerprint([pair.model_copy(update={"prompt": ""}) for pair in few]) is not None
