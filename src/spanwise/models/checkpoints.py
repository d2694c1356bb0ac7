"""Language-model checkpoints on disk: what may be loaded, in which precision, and folders that appear whole or not.

A checkpoint is a plain Hugging Face folder (weights, config, tokenizer) that `from_pretrained` reads. What is not one,
or is one of another kind, is refused in one sentence before any work starts.
"""

import contextlib
import hashlib
import shutil
import tempfile
import warnings
from collections.abc import Collection, Generator, Mapping
from logging import Filter, LogRecord
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from spanwise.core import CheckpointError, DataError, pointer_in, read_json, resolve_device, sync
from spanwise.models.config import PrecisionName

_OF_TOKENIZERS = ("token", "vocab", "spiece", "sentencepiece", "tekken")
"""Parts of the names of files in which tokenizers are kept."""
_LANGUAGE_MODELS = ("CausalLM", "LMHead", "ConditionalGeneration")


def load_policy(
    path_or_name: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    attention: str | None = None,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Loads a causal or encoder-decoder language model and its tokenizer from a folder or a Hub name.

    The folder of a PEFT adapter gives its base model with the adapter merged into the weights.

    A folder never touches the network; `attention` is transformers' name of a backend, None its own choice. Raises
    CheckpointError that names the place and the remedy, ConfigError for a device that is not there.
    """
    device = resolve_device(str(device))
    check_downloaded(path_or_name)
    base = adapter_base(path_or_name)
    if base is not None:
        return _with_adapter(str(path_or_name), base, device=device, dtype=dtype, attention=attention)
    source = str(path_or_name)
    options: dict[str, Any] = {"local_files_only": Path(source).is_dir()}
    config = _load_config(source, options)
    _check_kind(source, config)
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    try:
        with without_bars():
            model, report = cast(
                "tuple[PreTrainedModel, dict[str, Any]]",
                kind.from_pretrained(
                    source, dtype=dtype, attn_implementation=attention, output_loading_info=True, **options
                ),
            )
    except Exception as error:  # whatever a damaged folder makes of transformers
        raise CheckpointError(f"{source}: the weights cannot be loaded ({_first_line(error)}).") from error
    tokenizer = load_tokenizer(source)
    missing = sorted(report["missing_keys"])
    if missing:
        raise CheckpointError(
            f"{source}: {len(missing)} weights are missing ({missing[0]} first); pass a complete language model."
        )
    _check_tokenizer(source, model, tokenizer)
    cast("torch.nn.Module", model).to(device)
    return model, tokenizer


def adapter_base(path_or_name: str | Path) -> str | None:
    """The base model of a PEFT adapter's folder, None where `path_or_name` is no such folder."""
    folder = Path(path_or_name)
    if (folder / "config.json").is_file() or not (folder / "adapter_config.json").is_file():
        return None
    base = read_json(folder / "adapter_config.json").get("base_model_name_or_path")
    if not base:
        raise CheckpointError(
            f"{folder}: the adapter does not say what its base model is; write it into base_model_name_or_path of "
            "adapter_config.json."
        )
    return str(base)


def merge_adapter(model: PreTrainedModel, path: str | Path) -> PreTrainedModel:
    """The model with the adapter at `path` added into its weights."""
    import peft  # noqa: PLC0415 - slow, and only adapters need it

    with warnings.catch_warnings():  # peft asks transformers for a name that is on its way out
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        adapted: Any = peft.PeftModel.from_pretrained(cast("Any", model), str(path))
    return cast("PreTrainedModel", adapted.merge_and_unload())


def _with_adapter(
    path: str, base: str, *, device: torch.device | str, dtype: torch.dtype, attention: str | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    model, tokenizer = load_policy(base, device=device, dtype=dtype, attention=attention)
    try:
        if (Path(path) / "tokenizer_config.json").is_file():
            tokenizer = cast("PreTrainedTokenizerBase", AutoTokenizer.from_pretrained(path, local_files_only=True))
        merged = merge_adapter(model, path)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise CheckpointError(
            f"{path}: the adapter does not go onto its base model {base} ({_first_line(error)}); give the base that it "
            "was trained on."
        ) from error
    _check_tokenizer(path, merged, tokenizer)
    return merged, tokenizer


def load_tokenizer(path_or_name: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer at a folder, without the network, or of a Hub name; CheckpointError where there is none."""
    source, local = str(path_or_name), Path(path_or_name).is_dir()
    if local and not any(part in file.name for file in Path(source).iterdir() for part in _OF_TOKENIZERS):
        raise CheckpointError(
            f"{source}: holds no tokenizer; save the one that the model was trained with beside it "
            "(`tokenizer.save_pretrained`)."
        )
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(source, local_files_only=local)
        size = len(tokenizer.get_vocab())
    except Exception as error:  # whatever a damaged folder makes of transformers
        raise CheckpointError(f"{source}: the tokenizer cannot be loaded ({_first_line(error)}).") from error
    if not size:
        raise CheckpointError(f"{source}: the tokenizer there has no vocabulary; save a whole one beside the model.")
    return cast("PreTrainedTokenizerBase", tokenizer)


def check_downloaded(path_or_name: str | Path) -> None:
    """Raises CheckpointError where a file of a folder is no more than a pointer to one that was not downloaded."""
    folder = Path(path_or_name)
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.is_file() and (sentence := pointer_in(file)) is not None:
            raise CheckpointError(f"{file}: {sentence}")


@contextlib.contextmanager
def whole_folder(path: Path) -> Generator[Path]:
    """A fresh folder to write into, which takes the place of `path` when the block ends without an exception.

    Raises CheckpointError when the disk is full or the place cannot be written; what was at `path` is then untouched.
    """
    with _unwritable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        with _unwritable(path):
            fresh = beside / "new"
            fresh.mkdir()
            yield fresh
            _sync(fresh)
            if path.exists():
                path.rename(beside / "old")
            fresh.rename(path)
    finally:
        shutil.rmtree(beside)


@contextlib.contextmanager
def without_bars() -> Generator[None]:
    """Keeps transformers from drawing its own progress bars inside the block."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def load_body(place: str, **options: Any) -> PreTrainedModel:
    """The model at a folder or Hub name without its head; raises whatever transformers does.

    Transformers reports every weight that a model has no place for. Where these are a head's, that is what was asked
    for, and nothing is said; any other report is shown.
    """
    logger = logging.get_logger("transformers.modeling_utils")
    reports = _HeldReports()
    logger.addFilter(reports)
    try:
        with without_bars():
            loaded: Any = AutoModel.from_pretrained(place, output_loading_info=True, **options)
        model = cast("PreTrainedModel", loaded[0])
        if _lacks_only_heads(model, loaded[1]):
            reports.held.clear()
        return model
    finally:
        logger.removeFilter(reports)
        for record in reports.held:
            logger.handle(record)


class _HeldReports(Filter):
    """Holds back transformers' reports of weights."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[LogRecord] = []

    def filter(self, record: LogRecord) -> bool:
        is_report = "LOAD REPORT" in record.getMessage()
        self.held.extend([record] if is_report else [])
        return not is_report


def _lacks_only_heads(model: PreTrainedModel, told: Mapping[str, Collection[str]]) -> bool:
    """Whether all weights of the body came from the checkpoint, and what is left over belongs to no part of it."""
    parts = {model.base_model_prefix, *(name for name, _ in model.named_children())}
    strange = [key for key in told["unexpected_keys"] if key.partition(".")[0] in parts]
    missing = [key for key in told["missing_keys"] if key.partition(".")[0] != "pooler"]  # nothing reads it
    return not (strange or missing or told["mismatched_keys"])


def precision(name: PrecisionName, device: torch.device | str) -> torch.dtype:
    """The type of that name; with auto, bfloat16 where the processor multiplies matrices in it."""
    if name == "auto":
        return torch.bfloat16 if is_made_for_bfloat16(torch.device(device)) else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def is_made_for_bfloat16(device: torch.device) -> bool:
    """Whether `device` has instructions that multiply matrices in bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # pyright: ignore[reportPrivateUsage] - the only way to ask
    return False


@contextlib.contextmanager
def _unwritable(path: Path) -> Generator[None]:
    try:
        yield
    except (OSError, SafetensorError, DataError) as error:
        raise CheckpointError(
            f"{path}: cannot be written ({_first_line(error)}); make room or choose another place."
        ) from error


def _sync(folder: Path) -> None:
    """Has the system put the files of `folder` on disk, so that not even a power cut leaves a half-written one."""
    for path in [*folder.rglob("*"), folder]:
        sync(path)


def _load_config(source: str, options: dict[str, Any]) -> PreTrainedConfig:
    if options["local_files_only"] and not (Path(source) / "config.json").is_file():
        raise CheckpointError(f"{source}: no config.json there; pass the folder that `save_pretrained` wrote.")
    if Path(source).is_file():
        raise CheckpointError(f"{source}: a file, not a checkpoint folder; pass the folder that holds config.json.")
    try:
        return cast("PreTrainedConfig", AutoConfig.from_pretrained(source, **options))
    except Exception as error:  # whatever a damaged config makes of transformers
        raise CheckpointError(
            f"{source}: neither a checkpoint folder nor a model that the Hub gives ({_first_line(error)}); "
            "check the path, or the name and the network."
        ) from error


def _check_kind(source: str, config: PreTrainedConfig) -> None:
    names = config.architectures or []
    if names and not any(part in name for name in names for part in _LANGUAGE_MODELS):
        raise CheckpointError(
            f"{source}: a {names[0]} checkpoint, not a language model that writes text; "
            "pass a causal or encoder-decoder language model."
        )


def _check_tokenizer(source: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    rows = cast("torch.nn.Embedding", model.get_input_embeddings()).num_embeddings
    if len(tokenizer) > rows:
        raise CheckpointError(
            f"{source}: the tokenizer has {len(tokenizer)} ids, the model embeds {rows}; "
            "save the tokenizer that the model was trained with beside it."
        )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")


def weights_digest(model: PreTrainedModel) -> str:
    """Twelve hex digits that change with any weight."""
    digest = hashlib.sha256()
    for name, tensor in sorted(cast("nn.Module", model).state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]
