"""`spanwise doctor`: what it finds is what training would find, and what it estimates is counted."""

import json

import pytest
import torch
import yaml
from doubles.models import tiny_llama, tiny_t5
from typer.testing import CliRunner

from spanwise.cli.engines import app
from spanwise.feedback import DemonstrationRecord, FeedbackRecord, PromptRecord, Response, write_records
from spanwise.models import Policy
from spanwise.rl import RLConfig
from spanwise.setup.anatomy import Lengths, examine_model
from spanwise.setup.checks import load_any
from spanwise.setup.memory import TRAINED, memory_of_rl
from spanwise.training import Optimizer, OptimizerConfig, SFTRunConfig


@pytest.fixture
def work(tmp_path, model):
    """An SFT and an RL config with their files; RL begins with what SFT will make."""
    asked = [
        PromptRecord(id=str(n), prompt="where was Ada born? " * (n + 1), references=("In Oslo.",)) for n in range(4)
    ]
    taught = [
        DemonstrationRecord.model_validate({**record.model_dump(), "completion": "In Oslo. " * (n + 1)})
        for n, record in enumerate(asked)
    ]
    write_records(tmp_path / "prompts.jsonl", asked)
    write_records(tmp_path / "taught.jsonl", taught)
    sft = {
        "policy": str(model),
        "demonstrations": str(tmp_path / "taught.jsonl"),
        "heldout": str(tmp_path / "taught.jsonl"),
        "run_dir": str(tmp_path / "sft"),
        "max_prompt_tokens": 200,
        "max_response_tokens": 100,
    }
    rl = {
        "policy": str(tmp_path / "sft" / "checkpoints" / "best"),
        "prompts": str(tmp_path / "prompts.jsonl"),
        "heldout": str(tmp_path / "prompts.jsonl"),
        "run_dir": str(tmp_path / "rl"),
        "reward_models": {"marks": {"checkpoint": str(tmp_path / "reward")}},
        "mixture": {"sources": {"relevance": {"weight": 1.0}}},
        "rollout": {"max_prompt_tokens": 200},
        "sampling": {"max_new_tokens": 50},
    }
    for name, values in (("sft", sft), ("rl", rl)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(values))
    return tmp_path


def change(path, **values):
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **values}))


def doctor(*words):
    return CliRunner().invoke(app, ["doctor", *map(str, words)], catch_exceptions=False)


def test_without_a_word_it_looks_at_the_machine():
    done = doctor()
    assert done.exit_code == 0, done.output
    assert f"torch {torch.__version__.split('+')[0]}" in done.stdout
    assert "processor cores" in done.stdout


@pytest.mark.parametrize("content", ["", "# nothing yet\n", "{}\n"])
def test_a_config_without_settings_is_not_fine(content, tmp_path):
    (tmp_path / "empty.yaml").write_text(content)
    done = doctor(tmp_path / "empty.yaml")
    assert done.exit_code == 2
    assert "empty.yaml: holds no settings" in done.stdout.replace("\n", "")


def test_configs_that_are_fine_leave_nothing_bad(work):
    done = doctor(work / "sft.yaml", work / "rl.yaml", "--json")
    assert done.exit_code == 0, done.output
    sentences = [finding["sentence"] for finding in json.loads(done.stdout)["findings"]]
    assert any("taught.jsonl holds 4 demonstrations" in sentence for sentence in sentences)
    assert any("pads with '<pad>'" in sentence for sentence in sentences)
    assert sum("has no chat template" in sentence for sentence in sentences) == 2, "RL is told from the model of SFT"


def test_what_is_too_long_is_counted_as_training_counts_it(work, model):
    policy = Policy.load(model)
    records = [PromptRecord(prompt="where was Ada born? " * (n + 1)) for n in range(4)]
    lengths = [len(policy.encode_prompt(record)) for record in records]
    change(work / "sft.yaml", max_prompt_tokens=lengths[1])
    change(work / "rl.yaml", rollout={"max_prompt_tokens": lengths[2]})
    done = doctor(work / "sft.yaml", work / "rl.yaml")
    assert done.exit_code == 2
    assert f"2 of 4 prompts have more tokens than max_prompt_tokens={lengths[1]}" in done.stdout
    assert f"1 of 4 prompts have more tokens than rollout.max_prompt_tokens={lengths[2]}" in done.stdout
    assert f"set rollout.max_prompt_tokens={lengths[3]}" in done.stdout


def test_answers_that_would_be_cut_are_a_warning(work):
    change(work / "rl.yaml", sampling={"max_new_tokens": 3})
    done = doctor(work / "sft.yaml", work / "rl.yaml")
    assert done.exit_code == 0
    assert "4 of 4 reference answers have more than max_new_tokens=3" in done.stdout


def test_answers_beyond_a_reward_models_window_are_counted(work, model):
    texts = ["short", "long " * 600]
    records = [FeedbackRecord(id=str(n), prompt="q", responses=(Response(text=t),)) for n, t in enumerate(texts)]
    write_records(work / "marks.jsonl", records)
    config = {"backbone": str(model), "data": [str(work / "marks.jsonl")], "run_dir": str(work / "reward")}
    (work / "reward.yaml").write_text(yaml.safe_dump(config))
    done = doctor(work / "reward.yaml")
    assert "1 of 2 answers are longer than the window of 512 tokens" in done.stdout


@pytest.mark.parametrize(
    ("change_of", "said"),
    [
        ({"policy": "nowhere/at-all"}, "no model can be read there"),
        ({"demonstrations": "nowhere.jsonl"}, "nowhere.jsonl"),
        ({"epochs": 0}, "epochs"),
        ({"epoch": 1}, "did you mean epochs?"),
    ],
)
def test_what_would_stop_a_run_is_bad_and_has_a_place(work, change_of, said):
    change(work / "sft.yaml", **change_of)
    done = doctor(work / "sft.yaml")
    assert done.exit_code == 2
    bad = [line for line in done.stdout.splitlines() if line.startswith("BAD")]
    assert said in " ".join(bad)
    assert "sft.yaml" in " ".join(bad)


def test_a_run_that_is_there_stops_sft_and_not_rl(work):
    for name in ("sft", "rl"):
        (work / name).mkdir()
        (work / name / "metrics.jsonl").touch()
    done = doctor(work / "sft.yaml", work / "rl.yaml")
    assert done.exit_code == 2
    bad = [line for line in done.stdout.splitlines() if line.startswith("BAD")]
    assert len(bad) == 1
    assert "holds a run already" in bad[0]


def test_every_config_of_the_recipes_is_told_by_its_keys(work):
    assert isinstance(load_any(work / "sft.yaml"), SFTRunConfig)
    assert isinstance(load_any(work / "rl.yaml"), RLConfig)


@pytest.mark.parametrize("make", [tiny_llama, tiny_t5], ids=["llama", "t5"])
def test_sizes_are_those_of_the_loaded_model(make, tmp_path):
    loaded, tokenizer = make()
    Policy(loaded, tokenizer).save(tmp_path / "model")
    told = examine_model(tmp_path / "model")
    assert told.parameters == loaded.num_parameters()
    policy = Policy.load(tmp_path / "model")
    record = PromptRecord(prompt="Where was Ada Veld born?")
    assert Lengths(told).prompt(record) == len(policy.encode_prompt(record))
    assert Lengths(told).answer("She was born in Oslo.") <= len(policy.encode_response("She was born in Oslo.")) + 1


@pytest.mark.parametrize(("dtype", "size"), [(torch.float32, 4), (torch.bfloat16, 2)])
def test_bytes_of_a_trained_weight_are_those_that_the_optimizer_holds(dtype, size):
    model, _ = tiny_llama()
    model = model.to(dtype)
    parameters = dict(model.named_parameters())
    optimizer = Optimizer(parameters, OptimizerConfig())
    sum(p.sum() for p in model.parameters()).backward()
    gradients = [p.grad for p in parameters.values() if p.grad is not None]
    learned = [p for group in optimizer._adamw.param_groups for p in group["params"]]
    for parameter in learned:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.update()
    numbers = [*parameters.values(), *gradients]
    numbers += [p for p in learned if p.dtype != dtype] + [torch.zeros_like(p) for p in learned if p.dtype != dtype]
    numbers += [value for state in optimizer._adamw.state.values() for key, value in state.items() if key != "step"]
    total = sum(number.numel() * number.element_size() for number in numbers)
    assert total == TRAINED[size] * model.num_parameters()


def test_four_roles_of_a_large_model_are_counted_in_full(work, model):
    config = RLConfig.load(work / "rl.yaml", ["update.micro_batch_size=2", "rollout.prompts_per_step=3"])
    told = examine_model(model)
    shares = {share.what.split(":")[0].split(" leave")[0]: share.size for share in memory_of_rl(config, told, "cpu")}
    n = told.parameters
    assert shares["the policy"] == shares["the value model"] == 16 * n
    assert shares["weights of the reference"] == 4 * n
    tokens = 2 * (200 + 50)
    assert shares[f"what {tokens} tokens"] == tokens * 2 * (10 * 32 + 4 * 48) * 4
    assert shares["the cache of 12 answers"] == 12 * 250 * 2 * (2 * 2 * 8) * 4
