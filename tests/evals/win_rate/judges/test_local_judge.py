import pytest
import torch
from doubles.models import tiny_gpt2, tiny_llama

from spanwise.core.errors import CheckpointError
from spanwise.evals.win_rate.judges.base import Case
from spanwise.evals.win_rate.judges.chat import ChatJudge
from spanwise.evals.win_rate.judges.config import JudgeConfig
from spanwise.feedback.scores import Unscored
from spanwise.llm.clients import LocalClient

OWN = "$instruction | $first | $second"
CASES = [Case("who?", "Ada", "Ines Korr, a painter"), Case("where was she born?", "in Oslo", "in Brack")]


def config(model="tiny", **more):
    return JudgeConfig(kind="chat", endpoint={"provider": "local", "model": str(model)}, **more)


@pytest.fixture
def short_prompt(tmp_path):
    (tmp_path / "short.txt").write_text(OWN, "utf-8")
    return tmp_path / "short.txt"


@pytest.mark.parametrize("double", [tiny_llama, tiny_gpt2])
def test_the_share_is_that_of_the_two_letters_behind_the_prompt(double, short_prompt):
    model, tokenizer = double()
    judge = ChatJudge(config(prompt_file=short_prompt), client=LocalClient(model, tokenizer))
    found = dict(judge.judge(CASES))
    letters = [tokenizer.encode(f" {letter}", add_special_tokens=False)[-1] for letter in ("m", "M")]
    for place, case in enumerate(CASES):
        text = f"{case.instruction} | {case.first} | {case.second}\nAnswer:"
        with torch.no_grad():
            logits = model(torch.tensor([tokenizer(text)["input_ids"]])).logits[0, -1]
        assert found[place].share == pytest.approx(logits[letters].softmax(0)[1].item(), abs=1e-5)


def test_a_prompt_longer_than_the_window_is_unscored_and_the_others_are_judged(short_prompt):
    judge = ChatJudge(config(prompt_file=short_prompt), client=LocalClient(*tiny_gpt2()))
    found = dict(judge.judge([Case("who?", "word " * 300, "b"), CASES[0]]))
    assert isinstance(found[0].share, Unscored)
    assert 0 < found[1].share < 1


def test_a_folder_without_a_model_is_told(tmp_path):
    with pytest.raises(CheckpointError, match="no causal language model"):
        ChatJudge(config(tmp_path))
