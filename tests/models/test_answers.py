import pytest

from spanwise.core.errors import ConfigError, DataError
from spanwise.feedback.prompts import PromptRecord
from spanwise.feedback.schema import Passage
from spanwise.models import Policy, Sampling
from spanwise.models.answers import answer_all
from spanwise.models.config import AnswerConfig
from spanwise.reward_models.config import ResponseRecord

RECORDS = [
    PromptRecord(id="first", prompt="who was born in Oslo?"),
    PromptRecord(prompt="who?"),
    PromptRecord(id="third", prompt="where was Ada Veld born, and who founded the Harbour Society?"),
]
SHORT = Sampling(max_new_tokens=6)


def test_answers_come_in_the_order_of_the_prompts_whatever_the_batches(tiny_llama):
    policy = Policy(*tiny_llama)
    at_once, one_by_one = (
        list(answer_all(policy, RECORDS, AnswerConfig(sampling=SHORT, batch_size=size))) for size in (3, 1)
    )
    assert at_once == one_by_one
    assert [answer.id for answer in at_once] == ["first", "1", "third"]
    for answer, record in zip(at_once, RECORDS, strict=True):
        ids = policy.greedy(policy.encode_prompts([record.model_input]), 6).token_lists()[0]
        assert (answer.prompt, answer.response, answer.tokens) == (record.prompt, policy.decode(ids), len(ids))


def test_an_answer_keeps_the_passages_of_its_prompt(tiny_llama):
    passage = Passage(title="Ada Veld", sentences=("Ada Veld was born in Oslo.",))
    records = [*RECORDS, RECORDS[0].model_copy(update={"id": "read", "passages": (passage,)})]
    answers = list(answer_all(Policy(*tiny_llama), records, AnswerConfig(sampling=SHORT)))
    assert [answer.passages for answer in answers] == [(), (), (), (passage,)]
    line = answers[3].model_dump_json()
    assert ResponseRecord.model_validate_json(line).passages == (passage,), "which `spanwise reward score` reads"


def test_several_samples_per_prompt_are_numbered_and_follow_the_seed(tiny_t5):
    policy = Policy(*tiny_t5)

    def sampled(seed):
        config = AnswerConfig(decoding="sample", sampling=SHORT, samples_per_prompt=2, batch_size=2, seed=seed)
        return list(answer_all(policy, RECORDS, config))

    first = sampled(0)
    assert [(answer.id, answer.sample) for answer in first] == [
        ("first", 0), ("first", 1), ("1", 0), ("1", 1), ("third", 0), ("third", 1)
    ]  # fmt: skip
    assert first == sampled(0)
    assert first != sampled(1)


def test_a_long_prompt_is_named_before_any_answer(tiny_llama):
    answers = answer_all(Policy(*tiny_llama), RECORDS, AnswerConfig(sampling=SHORT, max_prompt_tokens=20))
    with pytest.raises(DataError, match=r"Prompt third has \d+ tokens, the limit is 20 \(max_prompt_tokens\)"):
        next(answers)


def test_the_window_of_the_model_is_a_limit_too(tiny_gpt2):
    answers = answer_all(Policy(*tiny_gpt2), RECORDS, AnswerConfig(sampling=Sampling(max_new_tokens=250)))
    with pytest.raises(DataError, match=r"the limit is 6 \(the model's window less max_new_tokens\)"):
        next(answers)


def test_several_greedy_answers_are_refused():
    with pytest.raises(ConfigError, match="set decoding=sample"):
        AnswerConfig.from_values({"samples_per_prompt": 2}, place="x.yaml")
