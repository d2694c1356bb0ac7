"""Every segment's reward sits on its true last token, for each family of tokenizers; the paper's rule does not do that.

The paper's code decodes the response, tokenises the text before the start of the next segment again and pays the
last token of that prefix. It misses where the tokenizer writes the space between segments into a token of that
prefix, and where the policy sampled another tokenisation than the tokenizer would choose.
"""

import numpy as np
import pytest
from doubles.small_tokenizers import FAMILIES

from spanwise.rewards.projection import project
from spanwise.text import TokenAligner, get_segmenter

ANSWERS = (
    "Ada Veld was born in Oslo in 1912, and she worked there as a mason. It isn't said when she died!",
    "Über 70 naïve cafés stayed open 😀, none of them paid “a lot” for it. Who knew? Nobody did, not one.",
    "The mill of Brack was made of wood, unlike the others; it burned down twice.\n\nThe society met twice a year.",
)
CASES = [(family, unit) for family in FAMILIES for unit in ("sub-sentence", "sentence", "paragraph", "window:3")]


def sampled(tokenizer, answer, seed):
    """Ids that decode to the answer, as a policy samples them: some words in another tokenisation than the usual."""
    generator = np.random.default_rng(seed)
    ids = tokenizer(answer, add_special_tokens=False).input_ids
    by_token = tokenizer.get_vocab()
    out = []
    for id_ in ids:
        token = tokenizer.convert_ids_to_tokens(id_)
        cut = int(generator.integers(1, len(token))) if len(token) > 1 and not token.startswith(("<", "##")) else 0
        halves = [by_token.get(token[:cut]), by_token.get(token[cut:])]
        out += halves if cut and None not in halves and generator.random() < 0.5 else [id_]
    return out


def true_last_token(tokenizer, ids, text, segment):
    """By decoding alone: the first token after which the text so far holds the whole segment but for its end space."""
    visible = text[: segment.start] + segment.of(text).rstrip()
    for count in range(1, len(ids) + 1):
        so_far = tokenizer.decode(ids[:count], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        if so_far.startswith(visible):
            return count - 1
    raise AssertionError("the ids do not decode to the text")


@pytest.mark.parametrize(("family", "unit"), CASES)
@pytest.mark.parametrize("answer", ANSWERS)
def test_each_segment_pays_its_true_last_token(family, unit, answer):
    tokenizer = FAMILIES[family]()
    for seed in range(3):
        ids = sampled(tokenizer, answer, seed)
        aligned = TokenAligner(tokenizer).align([*ids, tokenizer.eos_token_id])
        segments = get_segmenter(unit)(aligned.text)
        values = [2.0**index for index in range(len(segments))]  # so that no two sums are the same
        expected = np.zeros(len(ids) + 1)
        for segment, value in zip(segments, values, strict=True):
            expected[true_last_token(tokenizer, ids, aligned.text, segment)] += value
        assert project(segments, values, aligned.spans, text=aligned.text).tolist() == expected.tolist()
        whole = project(segments[:1], [1.0], aligned.spans, text=aligned.text, whole_response=True)
        assert whole.tolist() == [0.0] * len(ids) + [1.0]  # on the end-of-sequence token


def by_retokenising(tokenizer, text, segments, length):
    """The paper's rule: the last token of the text before the next segment, tokenised again and clamped."""
    counts = [len(tokenizer.tokenize(text[: segment.end])) for segment in segments]
    return [min(count - 1, length - 1) for count in counts]


def misplaced(family, seed):
    """(segments that the paper's rule pays on another token than their true last one, segments)."""
    tokenizer = FAMILIES[family]()
    wrong = total = 0
    for answer in ANSWERS:
        usual = tokenizer(answer, add_special_tokens=False).input_ids
        ids = usual if seed is None else sampled(tokenizer, answer, seed)
        aligned = TokenAligner(tokenizer).align(ids)
        segments = get_segmenter("sub-sentence")(aligned.text)
        theirs = by_retokenising(tokenizer, aligned.text, segments, len(ids))
        truth = [true_last_token(tokenizer, ids, aligned.text, segment) for segment in segments]
        wrong += sum(one != other for one, other in zip(theirs, truth, strict=True))
        total += len(segments)
    return wrong, total


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma", "t5"])
def test_the_papers_rule_pays_the_next_segment_where_spaces_are_kept(family):
    wrong, total = misplaced(family, seed=None)
    assert wrong == total - len(ANSWERS)  # all but the last segment of each answer


@pytest.mark.parametrize("family", ["original-t5", "wordpiece"])
def test_the_papers_rule_holds_for_the_tokenizers_that_drop_spaces_as_long_as_ids_are_the_usual_ones(family):
    assert misplaced(family, seed=None)[0] == 0


@pytest.mark.parametrize("family", ["gpt2", "t5", "original-t5", "llama"])
def test_the_papers_rule_drifts_where_another_tokenisation_was_sampled(family):
    wrong, total = misplaced(family, seed=0)
    assert wrong > total / 2
