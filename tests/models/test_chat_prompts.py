"""Prompts of chat models: id for id what `apply_chat_template` gives, and typed special tokens stay characters."""

import pytest
from doubles.chat_models import TOKENIZERS, chat_policy, qwen_tokenizer, templated
from doubles.models import tiny_llama
from pydantic import ValidationError

from spanwise.core.errors import ConfigError, DataError
from spanwise.feedback.edits import EditPair
from spanwise.feedback.prompts import DemonstrationRecord, PromptConfig, PromptRecord
from spanwise.feedback.schema import FeedbackRecord, Passage, Response
from spanwise.feedback.scores import Sample
from spanwise.models.encoding.prompts import PromptEncoder
from spanwise.models.policy import Policy

ASK = {"role": "user", "content": "Where was Ada Veld born?"}
CONVERSATIONS = {
    "one turn": [ASK],
    "several": [
        ASK,
        {"role": "assistant", "content": "In Oslo, in 1912."},
        {"role": "user", "content": "  Who knew?\nNobody: “a lot” of naïve cafés 😀 "},
    ],
}
WITH_TOOL = [
    {"role": "system", "content": "Be brief."},
    ASK,
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": {"name": "find", "arguments": {"who": "Ada Veld"}}}],
    },
    {"role": "tool", "content": "Ada Veld was born in Oslo."},
]
TOOLS = [{"type": "function", "function": {"name": "find", "parameters": {"who": {"type": "string"}}}}]
PASSAGE = Passage(title="Ada Veld", sentences=("Ada was a mason.", "She died in winter."))


@pytest.fixture(params=TOKENIZERS, name="family")
def each_family(request):
    return request.param


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_prompts_are_what_the_template_gives(family, name):
    policy, turns = chat_policy(family), CONVERSATIONS[name]
    assert policy.form.form == "chat"
    expected = templated(policy.tokenizer, turns)
    assert policy.encode_prompt(PromptRecord(messages=turns)) == expected
    for record in (
        FeedbackRecord(id="a", messages=turns, responses=(Response(text="x"),)),
        EditPair(messages=turns, original="a", edited="b"),
        Sample.of(PromptRecord(messages=turns), "x"),
    ):
        assert policy.encode_prompt(record) == expected
    if name == "one turn":
        assert policy.encode_prompt(PromptRecord(prompt=turns[0]["content"])) == expected


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_prompt_and_its_answer_are_the_whole_conversation_up_to_the_end_of_the_turn(family, name):
    policy, turns = chat_policy(family), CONVERSATIONS[name]
    for answer in ("In Oslo, and she worked as a mason.", "“a lot” of it — 😀", "1890"):
        record = DemonstrationRecord(messages=[*turns, {"role": "assistant", "content": answer}])
        assert record.completion == answer
        whole = templated(
            policy.tokenizer, [*turns, {"role": "assistant", "content": answer}], add_generation_prompt=False
        )
        ids = policy.encode_prompt(record) + policy.encode_response(record.completion)
        assert ids == whole[: len(ids)]
        assert policy.tokenizer.decode(whole[len(ids) :]).strip() == "", "only white space follows the end of the turn"
        assert policy.decode(policy.encode_response(answer)) == answer


@pytest.mark.parametrize(("family", "end"), [("qwen", "<|im_end|>"), ("llama3", "<|eot_id|>"),
                                             ("gemma", "<end_of_turn>"), ("mistral", "</s>")])  # fmt: skip
def test_an_answer_ends_as_the_templates_turns_do(family, end):
    policy = chat_policy(family)
    assert policy.eos_id == policy.tokenizer.convert_tokens_to_ids(end)
    assert {policy.eos_id, policy.tokenizer.eos_token_id} <= set(policy.end_ids)


@pytest.mark.parametrize("family", ["qwen", "llama3"])
def test_tool_turns_reach_the_template(family):
    policy = chat_policy(family)
    record = PromptRecord(messages=WITH_TOOL, tools=TOOLS)
    assert policy.encode_prompt(record) == templated(policy.tokenizer, WITH_TOOL, tools=TOOLS)
    again = PromptRecord.model_validate_json(record.model_dump_json())
    assert again == record
    assert policy.encode_prompt(again) == policy.encode_prompt(record)


def test_special_tokens_that_people_wrote_stay_characters(family):
    policy = chat_policy(family)
    tokenizer, special = policy.tokenizer, set(policy.tokenizer.all_special_ids) | set(policy.end_ids)
    special |= {id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.special}
    names = [tokenizer.convert_ids_to_tokens(id_) for id_ in sorted(special)]
    typed = " ".join(f"a {name} b" for name in names)
    plain, hostile = ([{"role": "user", "content": text}] for text in ("a b", typed))
    ids = policy.encode_prompt(PromptRecord(messages=hostile))
    count = [id_ for id_ in policy.encode_prompt(PromptRecord(messages=plain)) if id_ in special]
    assert [id_ for id_ in ids if id_ in special] == count
    squeezed = "".join(typed.split())  # SentencePiece of old puts a blank behind whatever it parts a text at
    assert "".join(tokenizer.decode(ids).split()).count(squeezed) == 1, "every character is still there"
    passage = Passage(title=names[0], sentences=(typed,))
    with_passage = policy.encode_prompt(PromptRecord(messages=plain, passages=(passage,)))
    assert [id_ for id_ in with_passage if id_ in special] == count
    answer = policy.encode_response(typed)
    assert [id_ for id_ in answer if id_ in special] == [policy.eos_id]
    assert "".join(policy.decode(answer[:-1]).split()) == squeezed


def test_the_system_text_is_a_turn_and_a_conversations_own_comes_first():
    policy = chat_policy("qwen")
    policy.use_prompts(PromptConfig(system="Be brief."))
    system = {"role": "system", "content": "Be brief."}
    assert policy.encode_prompt(PromptRecord(messages=[ASK])) == templated(policy.tokenizer, [system, ASK])
    own = [{"role": "system", "content": "Shout."}, ASK]
    assert policy.encode_prompt(PromptRecord(messages=own)) == templated(policy.tokenizer, own)
    with pytest.raises(DataError, match="System role not supported"):
        chat_policy("gemma").use_prompts(PromptConfig(form="chat", system="Be brief."))


@pytest.mark.parametrize("thinking", [True, False])
def test_thinking_is_switched_where_the_template_knows_it(thinking):
    policy = chat_policy("qwen")
    policy.use_prompts(PromptConfig(thinking=thinking))
    expected = templated(policy.tokenizer, [ASK], enable_thinking=thinking)
    assert policy.encode_prompt(PromptRecord(messages=[ASK])) == expected
    whole = [ASK, {"role": "assistant", "content": "In Oslo."}]
    ids = expected + policy.encode_response("In Oslo.")
    assert ids == templated(policy.tokenizer, whole, enable_thinking=thinking, add_generation_prompt=False)[: len(ids)]
    with pytest.raises(ConfigError, match=r"prompt.thinking: the model's chat template knows no such switch"):
        chat_policy("llama3").use_prompts(PromptConfig(form="chat", thinking=thinking))


def test_passages_begin_the_users_last_turn_unless_the_template_reads_documents():
    policy, tokenizer = chat_policy("qwen"), qwen_tokenizer()
    record = PromptRecord(messages=CONVERSATIONS["several"], passages=(PASSAGE,))
    turns = [dict(turn) for turn in CONVERSATIONS["several"]]
    turns[-1]["content"] = f"Ada Veld\nAda was a mason. She died in winter.\n\n{turns[-1]['content']}"
    assert policy.encode_prompt(record) == templated(tokenizer, turns)
    tokenizer.chat_template = (
        "{% for d in documents %}[{{ d.title }}: {{ d.text }}]{% endfor %}" + tokenizer.chat_template
    )
    reads = PromptEncoder(tokenizer, PromptConfig(form="chat"))
    documents = [{"title": PASSAGE.title, "text": PASSAGE.text}]
    assert reads.ids(record, record.passages) == templated(tokenizer, CONVERSATIONS["several"], documents=documents)


def test_a_template_of_ones_own_reads_columns_and_writes_special_tokens():
    passages = "{% for p in passages %}{{ p.title }}: {{ p.sentences | join('|') }}\n{% endfor %}"
    template = "{{ bos_token }}" + passages + "Q: {{ prompt }}\nA:"
    policy = Policy(*tiny_llama())
    policy.use_prompts(PromptConfig(form="template", template=template))
    record = PromptRecord(prompt="who </s>?", passages=(PASSAGE,))
    text = "Ada Veld: Ada was a mason.|She died in winter.\nQ: who ?\nA:"
    ids = policy.encode_prompt(record)
    assert (ids[0], ids.count(policy.tokenizer.bos_token_id), ids.count(policy.eos_id)) == (
        policy.tokenizer.bos_token_id,
        1,
        0,
    )
    assert policy.tokenizer.decode(ids[1:]) == text.replace("who ?", "who </s>?")
    answer = policy.encode_response("Oslo")
    assert policy.tokenizer.decode(answer) == " Oslo</s>", "a blank, because the template ends in a letter"
    policy = Policy(*tiny_llama())
    policy.use_prompts(PromptConfig(form="template", template="{{ prompt }}{{ '\n' }}"))
    assert policy.tokenizer.decode(policy.encode_response("Oslo")) == "Oslo</s>"


def test_plain_is_the_passages_and_the_prompt():
    policy = Policy(*tiny_llama())
    policy.use_prompts(PromptConfig(form="plain"))
    record = PromptRecord(prompt="Why?", passages=(PASSAGE,))
    expected = "Ada Veld\nAda was a mason. She died in winter.\n\nWhy?"
    assert policy.encode_prompt(record) == policy.tokenizer(expected).input_ids
    with pytest.raises(DataError, match=r"prompt.form=plain has no turns, .* set prompt.form to chat"):
        policy.encode_prompt(PromptRecord(messages=CONVERSATIONS["several"]))


def test_a_model_without_a_template_reads_prompts_as_before():
    policy, record = Policy(*tiny_llama()), PromptRecord(prompt="Why?", passages=(PASSAGE,))
    assert policy.form.form == "wu2023"
    assert policy.encode_prompt(record) == policy.encode_prompt(record.model_input)


def test_the_form_is_kept_in_the_checkpoint_and_another_one_is_refused(tmp_path):
    policy = chat_policy("qwen")
    policy.use_prompts(PromptConfig(system="Be brief.", thinking=False))
    policy.save(tmp_path / "kept")
    again = Policy.load(tmp_path / "kept")
    assert again.form == PromptConfig(form="chat", system="Be brief.", thinking=False)
    record = PromptRecord(messages=[ASK])
    assert again.encode_prompt(record) == policy.encode_prompt(record)
    for same in ({}, {"form": "auto"}, {"form": "chat", "system": "Be brief.", "thinking": False}):
        again.use_prompts(PromptConfig(**same))
    with pytest.raises(
        ConfigError,
        match=r"kept: was trained on prompts of form chat, system 'Be brief.', thinking False, the config asks for "
        r"form wu2023; leave `prompt` out or set it to the same.",
    ):
        again.use_prompts(PromptConfig(form="wu2023"))
    with pytest.raises(ConfigError, match=r"asks for form chat, system 'Shout.'"):
        again.use_prompts(PromptConfig(system="Shout."))


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match=r"its tokenizer has no chat template; set prompt.form to template or plain"):
        Policy(*tiny_llama()).use_prompts(PromptConfig(form="chat"))
    for wrong, reason in (
        ({"form": "template"}, "go together"),
        ({"form": "plain", "thinking": True}, "knows neither thinking"),
        ({"form": "wu2023", "system": "x"}, "no place for a system text"),
    ):
        with pytest.raises(ValidationError, match=reason):
            PromptConfig(**wrong)
    with pytest.raises(DataError, match="the template refuses 'user: Where was Ada"):
        chat_policy("mistral").encode_prompt(PromptRecord(messages=[ASK, ASK]))
