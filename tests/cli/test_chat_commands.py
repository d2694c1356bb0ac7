"""A chat model from `spanwise sft` to `evaluate`, on conversations: prompts are what `apply_chat_template` gives."""

import json

import pytest
import yaml
from doubles.chat_models import TOKENIZERS, chat_policy, templated
from transformers import LlamaModel
from typer.testing import CliRunner

from spanwise.cli import app
from spanwise.core.errors import ConfigError
from spanwise.feedback import PromptRecord, Sample
from spanwise.models import Policy
from spanwise.models.encoding import form_of
from spanwise.reward_models.network.checkpoint import load_reward_model
from spanwise.reward_models.network.model import encoder_of

ANSWERS = ("It was in Oslo. Nobody knew.", "Ada was born in Oslo. She was a mason.")
QUESTIONS = [f"Where was Ada {number} born?" for number in range(6)]


def conversation(number):
    """Two turns of the user with an answer between; the last turn waits."""
    return [
        {"role": "user", "content": QUESTIONS[number]},
        {"role": "assistant", "content": "In Oslo."},
        {"role": "user", "content": "Say more, please."},
    ]


def marked(number):
    """A conversation that ends with a marked answer, in one list of turns."""
    text = ANSWERS[0]
    wrong = {"start": 16, "end": 28, "quote": text[16:28], "category": "Irrelevant"} if number % 2 else None
    answer = {"role": "assistant", "content": text, "marked": True, "spans": [wrong] if wrong else []}
    return {"id": f"c{number}", "messages": [*conversation(number), answer]}


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def run(folder, *words, **settings):
    """Runs a command on a config of `settings`."""
    config = folder / f"{'-'.join(words)}.yaml"
    config.write_text(yaml.safe_dump(settings))
    result = CliRunner().invoke(app, [*words, str(config), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(params=TOKENIZERS, name="family")
def each_family(request):
    return request.param


@pytest.fixture(name="work")
def folder_with_a_chat_model_and_conversations(tmp_path, family):
    policy = chat_policy(family)
    policy.model.save_pretrained(tmp_path / "base")
    policy.tokenizer.save_pretrained(tmp_path / "base")
    LlamaModel(policy.model.config).save_pretrained(tmp_path / "encoder")
    policy.tokenizer.save_pretrained(tmp_path / "encoder")
    return tmp_path


def test_a_chat_model_goes_the_whole_way(work, family):
    demonstrations = write(
        work / "demonstrations.jsonl",
        [
            {"messages": [*conversation(number), {"role": "assistant", "content": ANSWERS[1]}]}
            if number % 2
            else {"prompt": conversation(number), "completion": [{"role": "assistant", "content": ANSWERS[1]}]}
            for number in range(6)
        ],
    )
    prompts = write(work / "prompts.jsonl", [{"id": f"p{n}", "prompt": conversation(n)} for n in range(4)])
    feedback = write(work / "feedback.jsonl", [marked(number) for number in range(6)])
    tuned = run(
        work, "sft", policy=str(work / "base"), demonstrations=demonstrations, heldout=demonstrations,
        run_dir=str(work / "sft"), epochs=1,
    )["checkpoint"]  # fmt: skip
    reward = run(
        work, "reward", "train", backbone=str(work / "encoder"), data=[feedback], heads=["relevance"],
        relevance={"min_span_words": 0}, run_dir=str(work / "reward"), device="cpu", fitting={"epochs": 1},
    )["checkpoint"]  # fmt: skip
    best = run(
        work, "rl", policy=tuned, prompts=prompts, heldout=prompts, run_dir=str(work / "rl"), steps=1,
        value_warmup_steps=0, reward_models={"own": {"checkpoint": reward}}, sampling={"max_new_tokens": 6},
        mixture={"sources": {"relevance": {"missing": "mask"}}}, rollout={"prompts_per_step": 2},
    )["best_checkpoint"]  # fmt: skip
    answers = str(work / "answers.jsonl")
    run(work, "generate", policy=best, prompts=prompts, output=answers, sampling={"max_new_tokens": 6})
    found = run(work, "evaluate", prompts=prompts, responses=answers, reward_models=[reward], perplexity_model=tuned,
                resamples=100)  # fmt: skip
    assert {"reward/relevance", "perplexity"} <= found["metrics"].keys()

    policy, (model, tokenizer) = Policy.load(best), load_reward_model(reward)
    assert policy.form.form == form_of(model).form == "chat"
    for number in range(4):
        record = PromptRecord(messages=conversation(number))
        expected = templated(TOKENIZERS[family](), conversation(number))
        assert policy.encode_prompt(record) == expected
        (read,) = encoder_of(model, tokenizer).encode([Sample.of(record, ANSWERS[1])])
        assert list(read.ids[: len(expected)]) == expected
    line = json.loads((work / "answers.jsonl").read_text().splitlines()[0])
    assert line["messages"] == conversation(0)
    scored = CliRunner().invoke(app, ["reward", "score", reward, answers, "--json"], catch_exceptions=False)
    assert len(scored.stdout.splitlines()) == 4


@pytest.mark.parametrize("family", ["qwen"])
def test_another_form_than_the_checkpoints_is_refused(work):
    prompts = write(work / "prompts.jsonl", [{"prompt": "Where was Ada born?"}])
    policy = chat_policy("qwen")
    policy.save(work / "tuned")
    config = work / "generate.yaml"
    config.write_text(
        yaml.safe_dump({"policy": str(work / "tuned"), "prompts": prompts, "output": str(work / "answers.jsonl")})
    )
    with pytest.raises(ConfigError, match="was trained on prompts of form chat, the config asks for form plain"):
        CliRunner().invoke(app, ["generate", str(config), "prompt.form=plain"], catch_exceptions=False)
    assert not (work / "answers.jsonl").exists()
