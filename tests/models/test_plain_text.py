"""Names of special tokens in plain text stay characters; all other text has the ids that its tokenizer gives."""

import pytest
from doubles.models import tiny_gpt2, tiny_llama, tiny_t5
from doubles.small_tokenizers import CORPUS, FAMILIES
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from spanwise.feedback.prompts import PromptRecord
from spanwise.feedback.scores import Sample
from spanwise.models.encoding.plain import TextEncoder
from spanwise.models.policy import Policy
from spanwise.reward_models.data.inputs import InputEncoder


def word_level():
    """Whole words, special tokens among them."""
    words = ["<pad>", "</s>", "<unk>", "<", "/", "s", ">", "Ada", "was", "born", "."]
    inner = Tokenizer(models.WordLevel({word: id_ for id_, word in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


TOKENIZERS = {
    **FAMILIES,
    "word-level": word_level,
    "byt5": lambda: ByT5Tokenizer(extra_ids=0),
    "with-bos": lambda: tiny_llama()[1],
    "with-eos": lambda: tiny_t5()[1],
}
TYPED = ["a </s> b", "</s>", "x</s><pad>y", "Ada was born . </s>", "<pad> </s> <pad>", "</s></s>"]


@pytest.fixture(params=TOKENIZERS, name="tokenizer")
def tokenizer_of_each_family(request):
    return TOKENIZERS[request.param]()


def special(tokenizer):
    return set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}


@pytest.mark.parametrize("template", [True, False])
def test_typed_special_tokens_are_never_special(tokenizer, template):
    encoder = TextEncoder(tokenizer)
    frame = special(tokenizer) & set(tokenizer("Ada").input_ids) if template else set()
    for text in TYPED:
        ids = encoder.ids(text, add_special_tokens=template)
        added = [id_ for id_ in ids if id_ in special(tokenizer)]
        assert set(added) == frame
        assert len(added) == len(frame)
        assert len(ids) > len(frame), "the characters are still there"


def test_other_text_has_the_tokenizers_own_ids(tokenizer):
    encoder = TextEncoder(tokenizer)
    texts = [*CORPUS, "", " a  b\n", "< / s > < s> <|x|> </S> [SEP]", "1 < 2 > 0"]
    assert [encoder.ids(text) for text in texts] == [tokenizer(text).input_ids for text in texts]
    assert encoder.rows(texts) == tokenizer(texts).input_ids
    bare = [tokenizer(text, add_special_tokens=False).input_ids for text in texts]
    assert [encoder.ids(text, add_special_tokens=False) for text in texts] == bare
    if tokenizer.is_fast:
        found = tokenizer(texts, return_offsets_mapping=True)
        expected = list(zip(found.input_ids, found.offset_mapping, strict=True))
        assert encoder.located(texts) == expected


def test_asking_for_plain_text_leaves_the_tokenizer_as_it_was(tokenizer):
    before = tokenizer("a </s> b").input_ids
    TextEncoder(tokenizer).ids("a </s> b")
    assert tokenizer("a </s> b").input_ids == before


def test_letters_keep_their_places_in_the_text():
    for name in ("t5", "word-level", "gpt2"):
        text = "Ada </s> was"
        ((ids, offsets),) = TextEncoder(TOKENIZERS[name]()).located([text])
        assert len(ids) == len(offsets)
        assert {(place, place + 1) for place in range(4, 8)} <= set(offsets), name
        assert [start for start, _ in offsets] == sorted(start for start, _ in offsets)


@pytest.mark.parametrize("double", [tiny_llama, tiny_gpt2, tiny_t5])
def test_policies_read_and_learn_what_was_typed(double):
    policy = Policy(*double())
    name = policy.tokenizer.eos_token
    assert policy.encode_response(f"Oslo {name} was").count(policy.eos_id) == 1
    plain, typed = policy.encode_prompt("Oslo"), policy.encode_prompt(f"Oslo {name}")
    assert typed.count(policy.eos_id) == plain.count(policy.eos_id)
    assert len(typed) > len(plain) + 1
    asked = PromptRecord(prompt=f"Oslo {name}")
    assert policy.encode_prompt(asked) == policy.encode_prompt(asked.model_input)
    if not policy.is_encoder_decoder:
        assert policy.decode(policy.encode_response(f"Oslo {name} was")[:-1]) == f"Oslo {name} was"


def test_a_verbatim_prompt_may_come_from_a_chat_template():
    policy = Policy(*tiny_llama())
    rendered = "Oslo</s>where?</s>"
    ids = policy.encode_prompt(PromptRecord(prompt=rendered, verbatim=True))
    assert ids == policy.tokenizer(rendered).input_ids
    assert ids.count(policy.eos_id) == 2
    batch = policy.encode_prompts([PromptRecord(prompt=rendered, verbatim=True), rendered])
    assert (batch.ids == policy.eos_id).sum(1).tolist() == [2, 0]


@pytest.mark.parametrize("name", ["gpt2", "llama", "t5", "wordpiece", "with-bos", "with-eos"])
def test_reward_models_read_what_was_typed(name):
    tokenizer = TOKENIZERS[name]()
    encoder = InputEncoder(
        tokenizer, max_length=200, use_passages=True, densities=("sub-sentence", "sequence", "token")
    )
    plain, typed = encoder.encode([Sample("who?", "Ada was born."), Sample("who </s>?", "Ada </s> was <pad> born.")])
    count = sum(id_ in special(tokenizer) for id_ in plain.ids)
    assert sum(id_ in special(tokenizer) for id_ in typed.ids) == count
    assert typed.ids[-1] == plain.ids[-1]
    assert all(first <= last < len(typed.ids) for places in typed.pieces.values() for first, last in places)
    assert typed.segments["sub-sentence"][-1].end == len("Ada </s> was <pad> born.")
