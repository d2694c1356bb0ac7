"""Trains the base checkpoint of the simulated world: a Llama of about a million parameters that reads and copies.

    python recipes/sim_base/pretrain.py --out runs/retold --lessons retell --steps 6000 --stop 2000 --context 0.3 --bf16
    python recipes/sim_base/pretrain.py --out src/spanwise/sim/base --start runs/retold --steps 8000 --seed 2 --bf16

Documents are prompts of the world with what follows "answer:". First the passages are retold, in other words and in
another order: from that a model this small learns to copy values, which it hardly does from answers. Then come
questions with their right answers, from small prompts to full ones. The loss is on the answer, and a little on the
context. To err, the model learns later, from the demonstrations of a writer with habits. Writes the checkpoint, its
tokenizer and `training.json` with what greedy answers score.
"""

import argparse
import json
import math
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from spanwise.core import derive_seed, numpy_generator
from spanwise.feedback import PromptRecord
from spanwise.sim import (
    CLEAN,
    KINDS,
    Label,
    Size,
    base_config,
    draw_entity,
    judge,
    make_item,
    make_items,
    make_sized_item,
    relations_of,
    train_tokenizer,
    write_answer,
    write_passage,
    write_question,
)

GROWN = 0.4
"""Progress at which all lessons have full size."""
SCORED: tuple[Label, ...] = ("correct", "Irrelevant", "Redundant", "Wrong-Grounding", "Unverifiable", "Incoherent")


def main() -> None:
    """Tokenizer, lessons, evaluation, checkpoint."""
    options = _options()
    started = time.time()
    model, tokenizer = _continued(options.start) if options.start else _fresh(options)
    tokenizer.save_pretrained(options.out)
    _train(model, tokenizer, options, started)
    scores = _evaluate(model, tokenizer, options.seed, 512)
    model.to(torch.bfloat16).save_pretrained(options.out)
    record = {
        "options": {key: value for key, value in vars(options).items() if key not in ("out", "start")},
        "parameters": model.num_parameters(),
        "minutes": round((time.time() - started) / 60, 1),
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
        "greedy": scores,
    }
    (options.out / "training.json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record), flush=True)


def _fresh(options: argparse.Namespace) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    writer = numpy_generator(options.seed, "pretrain/tokenizer")
    tokenizer = train_tokenizer((" ".join(_answered(writer, 1.0)) for _ in range(10_000)), options.vocabulary)
    torch.manual_seed(derive_seed(options.seed, "pretrain/weights"))  # transformers draws first weights globally
    return LlamaForCausalLM(
        base_config(tokenizer, hidden=options.hidden, layers=options.layers, heads=options.heads)
    ), tokenizer


def _continued(folder: Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    return LlamaForCausalLM.from_pretrained(folder).float(), AutoTokenizer.from_pretrained(folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--start", type=Path, default=None, help="checkpoint to go on from")
    parser.add_argument("--lessons", choices=("retell", "questions"), default="questions", help="what is learnt")
    parser.add_argument("--progress", type=float, default=0.0, help="where lessons start: 0 small, 1 full")
    parser.add_argument("--hidden", type=int, default=128, help="width of the model, a multiple of 32")
    parser.add_argument("--heads", type=int, default=8, help="attention heads, of 32 dimensions each")
    parser.add_argument("--layers", type=int, default=4, help="transformer blocks")
    parser.add_argument("--vocabulary", type=int, default=1280, help="tokens of the byte-level BPE")
    parser.add_argument("--steps", type=int, default=8000, help="steps of the schedule")
    parser.add_argument("--stop", type=int, default=None, help="end after so many of them")
    parser.add_argument("--tokens", type=int, default=3500, help="tokens per step")
    parser.add_argument("--lr", type=float, default=2e-3, help="peak learning rate")
    parser.add_argument("--bf16", action="store_true", help="compute in bfloat16, where the processor has it")
    parser.add_argument("--context", type=float, default=0.1, help="weight of the prompt's tokens in the loss")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _lesson(generator: np.random.Generator, progress: float, kind: str) -> tuple[str, str]:
    """Prompt and continuation; `progress` runs from 0 to 1."""
    return _answered(generator, progress) if kind == "questions" else _retold(generator, progress)


def _retold(generator: np.random.Generator, progress: float) -> tuple[str, str]:
    """Short passages, then ever more full prompts, are told again; some of the full ones are answered."""
    if generator.random() < max(0.1, 0.95 - 2 * progress):
        return _drill(generator)
    return _answered(generator, 1.0) if generator.random() < 0.35 + 0.5 * progress else _retell(generator)


def _drill(generator: np.random.Generator) -> tuple[str, str]:
    """One short passage, retold."""
    kind = KINDS[generator.integers(3)]
    entity = draw_entity(generator, kind)
    names = [relation.name for relation in relations_of(kind)]
    chosen = [names[int(i)] for i in generator.permutation(len(names))[: int(generator.integers(2, 5))]]
    passage, _ = write_passage(generator, entity, chosen)
    asked = chosen[: int(generator.integers(1, 3))]
    prompt = PromptRecord(prompt=write_question(generator, entity, asked), passages=(passage,))
    return prompt.model_input, " " + write_passage(generator, entity, chosen)[0].text


def _retell(generator: np.random.Generator) -> tuple[str, str]:
    """A full prompt, followed by everything that both passages say."""
    truth = (item := make_item(generator, "lesson")).truth
    told = [write_passage(generator, truth.entity, tuple(truth.stated))[0].text,
            write_passage(generator, truth.other, truth.other_stated)[0].text]  # fmt: skip
    first = int(generator.integers(2))
    return item.record.model_input, f" {told[first]} {told[1 - first]}"


def _answered(generator: np.random.Generator, progress: float) -> tuple[str, str]:
    """Prompt, in all wordings, and its right answer; `progress` runs from 0 to 1 and sizes from small to full."""
    wording = "held-out" if generator.random() < 1 / 3 else "usual"
    growth = min(1.0, progress / GROWN)
    if generator.random() < 0.3 + 0.7 * growth**2:
        item = make_item(generator, "lesson", wording)
    else:
        stated = int(generator.integers(1, 3 + round(4 * growth)))
        size = Size(
            stated=stated,
            asked=int(generator.integers(1, min(stated, 5) + 1)),
            silent=int(generator.integers(0, 2)),
            other=int(generator.integers(1, 2 + round(3 * growth))),
        )
        item = make_sized_item(generator, "lesson", size, wording)
    return item.record.model_input, " " + write_answer(item.truth, generator, CLEAN)


def _batches(
    tokenizer: PreTrainedTokenizerFast, generator: np.random.Generator, options: argparse.Namespace
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields (ids, weights), both (B, L), of lessons of like length, about `tokens` in each batch."""
    step = 0
    while step < (options.stop or options.steps):
        progress = options.progress + (1 - options.progress) * step / options.steps
        lessons = [_lesson(generator, progress, options.lessons) for _ in range(512)]
        prompts = tokenizer([prompt for prompt, _ in lessons]).input_ids
        answers = tokenizer([answer for _, answer in lessons]).input_ids
        rows = [(p, [*a, tokenizer.eos_token_id]) for p, a in zip(prompts, answers, strict=True)]
        rows.sort(key=lambda row: len(row[0]) + len(row[1]))
        batches = list(_cut(rows, options.tokens))
        for index in generator.permutation(len(batches)):
            yield _pad(batches[int(index)], options.context)
            step += 1


def _cut(rows: list[tuple[list[int], list[int]]], tokens: int) -> Iterator[list[tuple[list[int], list[int]]]]:
    batch: list[tuple[list[int], list[int]]] = []
    for prompt, answer in rows:
        if batch and (len(batch) + 1) * (len(prompt) + len(answer)) > tokens:
            yield batch
            batch = []
        batch.append((prompt, answer))
    yield batch


def _pad(rows: list[tuple[list[int], list[int]]], context: float) -> tuple[Tensor, Tensor]:
    width = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    weights = torch.zeros(len(rows), width)
    for row, (prompt, answer) in enumerate(rows):
        ids[row, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        weights[row, : len(prompt)] = context
        weights[row, len(prompt) : len(prompt) + len(answer)] = 1.0
    return ids, weights


def _train(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, options: argparse.Namespace, started: float
) -> None:
    """Muon for the matrices of the blocks, which learns to copy in a fraction of AdamW's steps; AdamW for the rest."""
    blocks = [weight for weight in model.model.layers.parameters() if weight.ndim == 2]
    others = [weight for weight in model.parameters() if not any(weight is block for block in blocks)]
    optimizers = [
        torch.optim.Muon(blocks, lr=options.lr, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=options.lr, betas=(0.9, 0.98), weight_decay=0.01),
    ]
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(each, lambda step: _rate(step, options.steps)) for each in optimizers
    ]
    generator = numpy_generator(options.seed, "pretrain/lessons/continued" if options.start else "pretrain/lessons")
    for step, (ids, weights) in enumerate(_batches(tokenizer, generator, options)):
        if step >= (options.stop or options.steps):
            break
        wanted = weights[:, 1:]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bf16):
            states = model.model(input_ids=ids[:, :-1]).last_hidden_state[wanted > 0]
            logits = model.lm_head(states)
        losses = cross_entropy(logits.float(), ids[:, 1:][wanted > 0], reduction="none")
        shares = wanted[wanted > 0]
        loss = (losses * shares).sum() / shares.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
        if step % 100 == 0:
            answer = losses.detach()[shares == 1].mean().item()
            print(f"step {step} loss {loss.item():.3f} answer {answer:.4f} {time.time() - started:.0f} s", flush=True)
        if step % 1000 == 999:
            print(json.dumps(_evaluate(model, tokenizer, options.seed, 128)), flush=True)
            model.save_pretrained(options.out)


def _rate(step: int, steps: int, warm_up: int = 100) -> float:
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1, steps - warm_up))))


@torch.inference_mode()
def _evaluate(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, seed: int, count: int) -> dict[str, float]:
    """What the oracle says of greedy answers to questions that training did not see: shares of clauses by label."""
    items = make_items(count, seed=seed, split="pretrain-test")
    tokenizer.padding_side = "left"
    prompts = [item.record.model_input for item in items]
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, return_token_type_ids=False)
    output = model.generate(**inputs, do_sample=False, max_new_tokens=128)
    answers = tokenizer.batch_decode(output[:, inputs.input_ids.shape[1] :], skip_special_tokens=True)
    judged = [judge(answer, item.truth) for answer, item in zip(answers, items, strict=True)]
    clauses = sum(len(judgement.findings) for judgement in judged)
    shares = {label: round(sum(j.count(label) for j in judged) / clauses, 4) for label in SCORED}
    missing = sum(len(j.missing) for j in judged) / sum(j.answerable for j in judged)
    return {**shares, "missing": round(missing, 4), "answers": count}


if __name__ == "__main__":
    main()
