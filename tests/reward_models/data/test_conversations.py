"""Reward models inside conversations: the policy's prompt id for id, and segments on the answer's tokens alone."""

import pytest
from doubles.chat_models import TOKENIZERS, chat_policy, qwen_tokenizer, templated

from spanwise.feedback.prompts import PromptConfig, PromptRecord
from spanwise.feedback.schema import Passage
from spanwise.feedback.scores import Sample, Unscored
from spanwise.reward_models.data.inputs import InputEncoder

CHAT = PromptConfig(form="chat")
DENSITIES = ("sub-sentence", "sentence", "sequence", "token")
ANSWER = "Ada Veld was born in Oslo, in 1912. She worked as a mason!"
TURNS = [
    {"role": "user", "content": "Where was Ada born?"},
    {"role": "assistant", "content": "Ada Veld was born in Oslo, in 1912. She died."},
    {"role": "user", "content": "Are you sure?"},
]
WITH_TOOL = [
    {"role": "user", "content": "Where was Ada born?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": {"name": "find", "arguments": {"who": "Ada"}}}],
    },
    {"role": "tool", "content": ANSWER},
]


def encoder(family="qwen", max_length=512):
    return InputEncoder(TOKENIZERS[family](), max_length=max_length, use_passages=True, densities=DENSITIES, form=CHAT)


@pytest.mark.parametrize("family", TOKENIZERS)
def test_it_reads_what_the_policy_reads_and_writes(family):
    policy, record = chat_policy(family), PromptRecord(messages=TURNS)
    (read,) = encoder(family).encode([Sample.of(record, f" {ANSWER}\n")])
    assert list(read.ids) == policy.encode_prompt(record) + policy.encode_response(ANSWER)
    assert read.ids[-1] == policy.eos_id


@pytest.mark.parametrize("turns", [TURNS, WITH_TOOL], ids=["turns", "tool"])
def test_segments_lie_on_the_tokens_of_the_answer_and_nowhere_else(turns):
    tokenizer, record = qwen_tokenizer(), PromptRecord(messages=turns)
    (read,) = encoder().encode([Sample.of(record, ANSWER)])
    before = len(templated(tokenizer, turns))
    assert list(read.ids[:before]) == templated(tokenizer, turns)
    for density in DENSITIES:
        assert all(before <= first <= last < len(read.ids) for first, last in read.pieces[density]), density
    for density in ("sub-sentence", "sentence"):
        for span, (first, last) in zip(read.segments[density], read.pieces[density], strict=True):
            assert tokenizer.decode(read.ids[first : last + 1]).strip() == span.of(ANSWER).strip()
    written = [span for span in read.segments["token"] if len(span)]
    assert "".join(span.of(ANSWER) for span in written) == ANSWER, "every character has its token, in order"
    assert [token for token, _ in read.pieces["token"]] == list(range(before, len(read.ids)))


def test_a_piece_of_a_plain_answer_has_the_same_characters_as_before():
    plain = InputEncoder(qwen_tokenizer(), max_length=512, use_passages=True, densities=DENSITIES)
    (flat,), (chat,) = (one.encode([Sample("who?", ANSWER)]) for one in (plain, encoder()))
    assert chat.segments["sentence"] == flat.segments["sentence"]
    assert chat.segments["sub-sentence"] == flat.segments["sub-sentence"]


def test_passages_are_cut_to_the_window_and_turns_never():
    passage = Passage(title="Ada", sentences=("Ada was born in Oslo.", *["It is not said. Who knew? Nobody."] * 20))
    sample = Sample.of(PromptRecord(messages=TURNS, passages=(passage,)), ANSWER)
    whole, (cut,) = encoder(max_length=10_000).encode([sample])[0], encoder(max_length=260).encode([sample])
    assert len(cut.ids) <= 260 < len(whole.ids)
    assert cut.sentences_cut > 0
    (hopeless,) = encoder(max_length=40).encode([sample])
    assert isinstance(hopeless, Unscored)


def test_answers_to_one_conversation_share_its_reading():
    samples = [Sample.of(PromptRecord(messages=TURNS), text) for text in (ANSWER, "No.", "Yes, in Oslo.")]
    shared = {row.ids[: len(templated(qwen_tokenizer(), TURNS))] for row in encoder().encode(samples)}
    assert len(shared) == 1
