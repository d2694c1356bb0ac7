"""What a set-up lacks, in sentences: packages, devices, and whether a config's models, data and limits go together.

Every finding is good, a warning or bad; bad is what would stop a run or lose data, and its sentence says the remedy.
Models are told from their configs and tokenizers, data is read whole; nothing is trained and no weights are loaded.
"""

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml
from packaging.requirements import Requirement

from spanwise.core import Config, ConfigError, SpanwiseError, device_line, read_text, resolve_device
from spanwise.evals.metrics import EvaluateConfig
from spanwise.feedback import DemonstrationRecord, EditPair, FeedbackRecord, PromptRecord, load_or_raise
from spanwise.integrations import Finding
from spanwise.models import GenerateConfig
from spanwise.reward_models import RewardModelConfig, TokenRewardConfig, load_reward_config
from spanwise.rl import RLConfig
from spanwise.setup.anatomy import Anatomy, Lengths, examine_model
from spanwise.setup.memory import (
    Share,
    disk_of_rl,
    disk_of_sft,
    gigabytes,
    machine_memory,
    memory_of_reward,
    memory_of_rl,
    memory_of_sft,
)
from spanwise.training import DPORunConfig, SFTRunConfig

SHOWN = ("torch", "transformers", "tokenizers", "accelerate", "peft", "numpy")
CLASSES: tuple[type[Config], ...] = (
    SFTRunConfig, DPORunConfig, RLConfig, GenerateConfig, EvaluateConfig, TokenRewardConfig, RewardModelConfig,
)  # fmt: skip
"""What a config can be of, in the order in which they are tried."""


class Checked(NamedTuple):
    """A config with the place it was read from."""

    place: str
    config: Config


def examine_setup(configs: Sequence[Path]) -> Iterator[Finding]:
    """What was found, one by one: of the installation and the machine, and of each config in turn.

    A model that a step of one config will make is told from the model that step begins with.
    """
    yield from _packages()
    yield from _machine()
    read: list[Checked] = []
    for path in configs:
        try:
            read.append(Checked(str(path), load_any(path)))
        except SpanwiseError as error:
            yield _bad(str(error))
    made = dict(_models_to_come(one.config for one in read))
    for one in read:
        yield from _of_config(one, made)


def load_any(path: Path) -> Config:
    """The config in a file, of the command that knows its keys best; raises ConfigError like that command."""
    try:
        values: Any = yaml.safe_load(read_text(path))
    except (SpanwiseError, yaml.YAMLError):
        values = ""  # its command says what is wrong with it
    if values is None or values == {}:
        raise ConfigError(f"{path}: holds no settings, so that nothing says which command it is of; fill it in.")
    keys = set(cast("dict[str, Any]", values)) if isinstance(values, dict) else set[str]()
    model = min(CLASSES, key=lambda one: _strangeness(one, keys))
    return load_reward_config(path, []) if model in (TokenRewardConfig, RewardModelConfig) else model.load(path)


def _strangeness(model: type[Config], keys: set[str]) -> tuple[int, int]:
    required = {name for name, field in model.model_fields.items() if field.is_required()}
    return len(keys - set(model.model_fields)), len(required - keys)


def _packages() -> Iterator[Finding]:
    names = (("spanwise", *SHOWN), platform.python_version())
    known = [f"{name} {version}" for name in names[0] if (version := _version(name)) is not None]
    yield Finding("good", f"Python {names[1]}, {', '.join(known)}.")
    for extra, lacks in _extras():
        if not lacks:
            yield Finding("good", f"The extra {extra} is complete.")
        else:
            command = f"pip install 'spanwise[{extra}]'"
            yield Finding("warning", f"The extra {extra} lacks {', '.join(lacks)}; if you need it: {command}")


def _extras() -> Iterator[tuple[str, list[str]]]:
    """Every extra of the package with what is missing or too old of it; developers' own is left out."""
    lacks: dict[str, list[str]] = {}
    for line in importlib.metadata.requires("spanwise") or ():
        wanted = Requirement(line)
        for extra in importlib.metadata.metadata("spanwise").get_all("Provides-Extra") or ():
            if extra == "dev" or wanted.marker is None or not wanted.marker.evaluate({"extra": extra}):
                continue
            version = _version(wanted.name)
            fits = version is not None and wanted.specifier.contains(version, prereleases=True)
            lacks.setdefault(extra, []).extend([] if fits else [f"{wanted.name}{wanted.specifier}"])
    yield from sorted(lacks.items())


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _machine() -> Iterator[Finding]:
    device = resolve_device("auto")
    memory = machine_memory(device)
    told = f"{gigabytes(memory.free or 0)} of {gigabytes(memory.total or 0)} memory free"
    yield Finding("good", f"{device_line('auto', device)}, {os.cpu_count()} processor cores, {told}.")


def _models_to_come(configs: Iterable[Config]) -> Iterator[tuple[str, str]]:
    """The checkpoints that runs of these configs will write, each with the model that its training begins with."""
    for config in configs:
        run_dir, begins = getattr(config, "run_dir", None), getattr(config, "policy", None)
        begins = begins or getattr(config, "backbone", None)
        if run_dir is not None and begins:
            yield os.path.normpath(Path(run_dir) / "checkpoints" / "best"), str(begins)


def _of_config(one: Checked, made: Mapping[str, str]) -> Iterator[Finding]:
    config: Any = one.config
    begins = str(getattr(config, "policy", None) or getattr(config, "backbone", None) or "")
    model: Anatomy | None = None
    if begins:
        seen: set[str] = set()
        while os.path.normpath(begins) in made and not Path(begins).is_dir() and begins not in seen:
            seen.add(begins)
            begins = made[os.path.normpath(begins)]
        try:
            model = examine_model(begins)
            yield from _model(one, model)
        except SpanwiseError as error:
            yield _bad(f"{one.place}: {error}")
    yield from _taken(one)
    try:
        yield from _data(one, model)
    except SpanwiseError as error:
        yield _bad(f"{one.place}: {error}")
    if model is not None:
        yield from _room(one, model)


def _model(one: Checked, model: Anatomy) -> Iterator[Finding]:
    window = "no window of its own" if model.window is None else f"a window of {model.window:,} tokens"
    size = f"{model.parameters / 1e6:,.1f} million weights, {model.layers} layers, {window}"
    asked = getattr(one.config, "prompt", None)
    form = (asked if asked is not None and asked.form != "auto" else model.form).form
    chat = "has a chat template" if model.has_chat else "has no chat template"
    yield Finding(
        "good", f"{one.place}: {model.place} has {size}; prompts are read as form {form}, its tokenizer {chat}."
    )
    tokenizer = model.tokenizer
    if tokenizer.eos_token_id is None and isinstance(one.config, (SFTRunConfig, DPORunConfig, RLConfig)):
        yield _bad(f"{one.place}: {model.place} has no end-of-text token, so no answer can end; set eos_token in its "
                   "tokenizer_config.json.")  # fmt: skip
        return
    pad = tokenizer.pad_token
    ends = f"its end token is {tokenizer.eos_token!r}"
    shared = pad is None or tokenizer.pad_token_id == tokenizer.eos_token_id
    pads = (
        "padding has no token of its own, which is fine here: masks say what counts" if shared else f"pads with {pad!r}"
    )
    yield Finding("good", f"{one.place}: {ends}; {pads}.")


def _taken(one: Checked) -> Iterator[Finding]:
    run_dir = getattr(one.config, "run_dir", None)
    if run_dir is None or not (Path(run_dir) / "metrics.jsonl").exists():
        return
    if isinstance(one.config, RLConfig) and one.config.resume == "auto":
        yield Finding("good", f"{one.place}: {run_dir} holds a run, which goes on if it is of these settings.")
    else:
        yield _bad(f"{one.place}: {run_dir} holds a run already; choose another run_dir or move it away.")


def _data(one: Checked, model: Anatomy | None) -> Iterator[Finding]:
    config = one.config
    if isinstance(config, SFTRunConfig):
        yield from _demonstrations(one, config, model)
    elif isinstance(config, DPORunConfig):
        for path in (config.pairs, config.heldout):
            yield Finding("good", f"{one.place}: {path} holds {len(load_or_raise(path, EditPair)):,} edit pairs.")
    elif isinstance(config, RLConfig):
        room = (config.rollout.max_prompt_tokens, config.sampling.max_new_tokens)
        for path in (config.prompts, config.heldout):
            yield from _prompts(one, path, model, room, "rollout.max_prompt_tokens")
    elif isinstance(config, GenerateConfig):
        room = (config.max_prompt_tokens, config.sampling.max_new_tokens)
        yield from _prompts(one, config.prompts, model, room, "max_prompt_tokens")
    elif isinstance(config, EvaluateConfig):
        room = (config.answering.max_prompt_tokens, config.answering.sampling.max_new_tokens)
        yield from _prompts(one, config.prompts, model, room, "answering.max_prompt_tokens")
    elif isinstance(config, RewardModelConfig):
        for path in (*config.data, *config.heldout, *config.test):
            yield from _answers(one, path, config, model)


def _demonstrations(one: Checked, config: SFTRunConfig, model: Anatomy | None) -> Iterator[Finding]:
    for path in (config.demonstrations, config.heldout):
        records = load_or_raise(path, DemonstrationRecord)
        yield Finding("good", f"{one.place}: {path} holds {len(records):,} demonstrations.")
        if model is None:
            continue
        lengths, place = Lengths(model, config.prompt), f"{one.place}: {path}"
        asked = [lengths.prompt(record) for record in records]
        told = [lengths.answer(record.completion) for record in records]
        yield from _above(place, asked, _Limit(config.max_prompt_tokens, "max_prompt_tokens"), "prompts")
        yield from _above(place, told, _Limit(config.max_response_tokens, "max_response_tokens"), "completions")
        if model.window is not None and not model.is_encoder_decoder:
            both = [a + b for a, b in zip(asked, told, strict=True)]
            yield from _above(place, both, _Limit(model.window), "demonstrations")


def _prompts(one: Checked, path: Path, model: Anatomy | None, room: tuple[int, int], setting: str) -> Iterator[Finding]:
    records = load_or_raise(path, PromptRecord)
    yield Finding("good", f"{one.place}: {path} holds {len(records):,} prompts.")
    if model is None:
        return
    most, new_tokens = room
    lengths, place = Lengths(model, getattr(one.config, "prompt", None)), f"{one.place}: {path}"
    asked = [lengths.prompt(record) for record in records]
    yield from _above(place, asked, _Limit(most, setting), "prompts")
    if model.window is not None and not model.is_encoder_decoder:
        yield from _above(place, [n + new_tokens for n in asked], _Limit(model.window), "prompts with their answers")
    known = [lengths.answer(text) for record in records for text in record.references]
    cut = sum(length > new_tokens for length in known)
    if cut:
        yield Finding("warning", f"{one.place}: {path}: {cut:,} of {len(known):,} reference answers have more than "
                      f"max_new_tokens={new_tokens} tokens: answers as long would be cut off.")  # fmt: skip


def _answers(one: Checked, path: Path, config: RewardModelConfig, model: Anatomy | None) -> Iterator[Finding]:
    records = load_or_raise(path, FeedbackRecord)
    texts = [(record, response.text) for record in records for response in record.responses]
    yield Finding("good", f"{one.place}: {path} holds {len(records):,} records with {len(texts):,} answers.")
    window = min((n for n in (config.max_length, model.window if model else None) if n is not None), default=None)
    if model is None or window is None:
        return
    lengths = Lengths(model, config.prompt)
    asked = {id(record): lengths.prompt(record) if config.use_passages else 0 for record in records}
    told = [(asked[id(record)], lengths.answer(text)) for record, text in texts]
    over = sum(answer > window for _, answer in told)
    if over:
        yield Finding(
            "warning",
            f"{one.place}: {path}: {over:,} of {len(told):,} answers are longer than the window of {window:,} tokens "
            "and teach nothing; give a backbone with a longer one.",
        )
    cut = sum(prompt + answer > window >= answer for prompt, answer in told)
    if cut:
        yield Finding(
            "warning",
            f"{one.place}: {path}: before {cut:,} of {len(told):,} answers passages are cut to fit the window of "
            f"{window:,} tokens, the sentences that share least words first.",
        )


class _Limit(NamedTuple):
    """So many tokens at most; `setting` is where that is said, empty where it is the model's window."""

    tokens: int
    setting: str = ""


def _above(place: str, lengths: Sequence[int], limit: _Limit, noun: str) -> Iterator[Finding]:
    over = sum(length > limit.tokens for length in lengths)
    if over:
        remedy = f"set {limit.setting}={max(lengths)} or leave them out" if limit.setting else "leave them out"
        bound = f"{limit.setting}={limit.tokens}" if limit.setting else f"the model's window of {limit.tokens:,}"
        yield _bad(
            f"{place}: {over:,} of {len(lengths):,} {noun} have more tokens than {bound} and would be refused (the "
            f"longest has {max(lengths):,}); {remedy}."
        )


def _room(one: Checked, model: Anatomy) -> Iterator[Finding]:
    """Memory and disk; estimates, and said so."""
    config: Any = one.config
    shares: list[Share] = []
    disk = 0.0
    device = resolve_device(config.device)
    if isinstance(config, SFTRunConfig):
        shares, disk = memory_of_sft(config, model, device), disk_of_sft(model)
    elif isinstance(config, RLConfig):
        shares, disk = memory_of_rl(config, model, device), disk_of_rl(config, model, device)
    elif isinstance(config, (RewardModelConfig, TokenRewardConfig)):
        shares, disk = memory_of_reward(config, model), disk_of_sft(model)
    if not shares:
        return
    needed = sum(share.size for share in shares)
    parts = "; ".join(f"{share.what} {gigabytes(share.size)}" for share in shares)
    sentence = f"{one.place}: takes about {gigabytes(needed)} of memory on {device} (estimated: {parts})"
    memory = machine_memory(device)
    if memory.total is not None and needed > memory.total:
        yield _bad(f"{sentence}; {gigabytes(memory.total)} are there: use a smaller model, lora, dtype=bfloat16 or "
                   "smaller micro-batches.")  # fmt: skip
    elif memory.free is not None and needed > memory.free:
        yield Finding("warning", f"{sentence}; only {gigabytes(memory.free)} are free now.")
    else:
        yield Finding("good", f"{sentence}.")
    yield _disk(one, Path(config.run_dir), disk)


def _disk(one: Checked, run_dir: Path, needed: float) -> Finding:
    there = next(folder for folder in (run_dir.resolve(), *run_dir.resolve().parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    sentence = f"{one.place}: {run_dir} takes up to about {gigabytes(needed)} of disk, {gigabytes(free)} are free"
    if needed > free:
        return _bad(f"{sentence}; make room or choose another run_dir.")
    return Finding("good", f"{sentence}.")


def _bad(sentence: str) -> Finding:
    return Finding("bad", sentence)
