import numpy as np

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
