"""Both kinds of backbone learn a small task; splits do not leak, seeds repeat, listing order stays out of scores."""

import json

import pytest
import torch
from doubles.models import tiny_llama
from doubles.reward_world import records, tiny_bert, tiny_decoder

from spanwise.core.config import Config
from spanwise.core.errors import ConfigError, DataError
from spanwise.core.runs import RunFolder
from spanwise.core.seeding import numpy_generator
from spanwise.feedback.schema import FeedbackRecord, Preference, Response
from spanwise.feedback.scores import Sample
from spanwise.reward_models.config import FittingConfig, RewardModelConfig
from spanwise.reward_models.fitting.segments import evaluate_reward_model, split_by_question, train_reward_model
from spanwise.reward_models.network.checkpoint import load_reward_model
from spanwise.rewards.learned import LearnedRewards


def config(**settings):
    fitting = {
        "epochs": 4,
        "batch_size": 8,
        "learning_rate": 3e-3,
        "head_learning_rate": 3e-3,
        **settings.pop("fitting", {}),
    }
    return RewardModelConfig(fitting=FittingConfig(**fitting), device="cpu", **settings)


@pytest.mark.parametrize(("double", "epochs"), [(tiny_bert, 3), (tiny_decoder, 8)])
def test_all_heads_learn_from_one_forward_and_judge_new_questions(tmp_path, double, epochs):
    folder = RunFolder(tmp_path)
    settings = config(fitting={"epochs": epochs})
    run = train_reward_model(settings, records(90), records(20, "choose"), backbone=double(), folder=folder)
    model, tokenizer = load_reward_model(folder.checkpoint("best"))
    heads, _ = evaluate_reward_model(settings, model, tokenizer, records(25, "judge"))
    assert heads["relevance"].metrics["auroc"] > 0.9
    assert heads["factuality"].metrics["auroc"] > 0.9
    assert heads["completeness"].metrics["pair_accuracy"] > 0.8
    assert heads["preference"].metrics["pair_accuracy"] > 0.8
    for name, head in run.heads.items():
        spec = next(spec for spec in model.config.head_specs if spec.name == name)
        assert (spec.slope != 1.0) == (spec.kind == "segment")
        assert (spec.std != 1.0) == (spec.kind == "sequence")
        stored = json.loads((tmp_path / "results.json").read_text())["reward_models"][name]
        assert stored["metrics"] == head.metrics
    steps = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert sum("reward/loss" in step for step in steps) == epochs * -(-90 // 8)
    assert sum("heldout/selection" in step for step in steps) == epochs


def test_the_same_seed_gives_the_same_model_and_another_seed_another():
    def weights(seed):
        run = train_reward_model(
            config(seed=seed, heads=("factuality",), fitting={"epochs": 1}), records(12), backbone=tiny_bert()
        )
        return run.model.heads.weight

    global_state = torch.random.get_rng_state()
    first = weights(0)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))
    assert torch.equal(global_state, torch.random.get_rng_state())


def test_the_backbone_that_was_given_is_not_changed():
    body, tokenizer = tiny_llama()
    before = {name: tensor.clone() for name, tensor in body.state_dict().items()}
    train_reward_model(config(fitting={"epochs": 1}), records(10), backbone=(body, tokenizer))
    assert all(torch.equal(before[name], tensor) for name, tensor in body.state_dict().items())


def test_all_records_of_a_question_fall_on_the_same_side():
    twice = [*records(30), *(record.model_copy(update={"id": f"again-{record.id}"}) for record in records(30))]
    train, heldout = split_by_question(twice, share=0.2, seed=0)
    assert (len(train), len(heldout)) == (48, 12)
    assert not {record.prompt for record in train} & {record.prompt for record in heldout}
    assert split_by_question(twice, share=0.2, seed=1)[1] != heldout


def test_one_question_cannot_be_split():
    with pytest.raises(DataError, match="1 question cannot be split"):
        split_by_question(records(1), share=0.2, seed=0)


def test_a_head_without_labels_stops_before_training():
    unmarked = [
        FeedbackRecord(id=str(n), prompt=f"what {n} ?", responses=(Response(text="red ."), Response(text="blue .")))
        for n in range(4)
    ]
    with pytest.raises(DataError, match="training records have no label for the head 'relevance'"):
        train_reward_model(config(heads=("relevance",)), unmarked, backbone=tiny_bert())


def biased(count, purpose, bias=0.9):
    """Equally good answers; the one listed first wins with probability `bias`, and its text shows its place."""
    generator = numpy_generator(0, purpose)
    found = []
    for number in range(count):
        texts = ("the house was then called red .", "some people have said blue too .")
        winner = "first" if generator.random() < bias else "second"
        found.append(
            FeedbackRecord(
                id=f"{purpose}{number}",
                prompt=f"what was house {number} called ?",
                responses=tuple(Response(text=text) for text in texts),
                preferences=(Preference(first=0, second=1, winner=winner),),
            )
        )
    return found


def test_what_the_listing_order_explains_does_not_enter_the_scores():
    """Where the text tells the order apart, only the offset can say that the order, not the text, made the winner."""

    def swapped(record):
        return record.model_copy(update={"responses": record.responses[::-1]})

    def gap(*, position_offset):
        fitting = {"epochs": 8, "learning_rate": 1e-6, "head_learning_rate": 0.1}
        settings = config(heads=("preference",), position_offset=position_offset, fitting=fitting)
        mostly_one_way = [*biased(120, "straight"), *map(swapped, biased(20, "swapped"))]
        balanced = [*biased(10, "held"), *map(swapped, biased(10, "held"))]
        run = train_reward_model(settings, mostly_one_way, balanced, backbone=tiny_bert())
        (source,) = LearnedRewards(run.model, run.tokenizer).sources()
        first, second = source.score([Sample("what ?", r.text) for r in biased(1, "x")[0].responses])
        return (first.scores[0].value - second.scores[0].value) * run.model.config.head_specs[0].std

    assert gap(position_offset=False) > 1.0
    assert abs(gap(position_offset=True)) < 0.5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"heads": ["relevence"]}, "no head is called 'relevence'"),
        ({"heads": []}, "at least one head"),
        ({"loss_weights": {"style": 2.0}}, "no head is called 'style'"),
        ({"custom": {"relevance": {"categories": ["x"]}}}, "custom.relevance has the name of a built-in head"),
        ({"relevance": {"min_words": 3}}, "unknown key relevance.min_words; did you mean relevance.min_span_words"),
    ],
)
def test_bad_configs_fail_at_once(values, message):
    assert issubclass(RewardModelConfig, Config)
    with pytest.raises(ConfigError, match=message):
        RewardModelConfig.from_values(values, place="reward.yaml")


def test_a_custom_head_learns_another_taxonomy():
    rule = {"categories": ["Wrong-Grounding", "Irrelevant"], "density": "sentence"}
    settings = config(heads=("any-error",), custom={"any-error": rule}, fitting={"epochs": 3})
    run = train_reward_model(settings, records(60), records(15, "choose"), backbone=tiny_bert())
    assert run.metrics["any-error"]["auroc"] > 0.9
