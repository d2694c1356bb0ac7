"""A Hugging Face causal model as the judge: it reads the label prompt, and the probabilities of both letters decide.

Nothing is generated, so there is no nonsense to parse: only a prompt too long for the model's window is Unscored.
"""

from collections.abc import Iterator, Sequence

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from spanwise.core import CheckpointError, ConfigError, resolve_device
from spanwise.evals.win_rate.judges.base import Case, Reply, Usage, fingerprint
from spanwise.evals.win_rate.judges.config import JudgeConfig
from spanwise.evals.win_rate.judges.prompt import JudgePrompt
from spanwise.evals.win_rate.judges.verdicts import LABELS
from spanwise.feedback import Unscored


class LocalJudge:
    """P(second letter) of both, right behind the prompt (inside the chat template where the tokenizer has one)."""

    sees_order = True

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, config: JudgeConfig) -> None:
        self._model, self._tokenizer, self._config = model.eval(), tokenizer, config
        self._prompt = JudgePrompt("label", config.prompt)
        self._labels = [_label_id(tokenizer, label) for label in LABELS]
        if len(set(self._labels)) < len(LABELS):
            raise ConfigError(f"{config.model}: its tokenizer does not tell {LABELS} apart; choose another judge.")
        self.name = config.model
        self.version = fingerprint("local", config.model, self._prompt.version)

    def judge(self, cases: Sequence[Case]) -> Iterator[tuple[int, Reply]]:
        """Reads the cases in batches of like length."""
        encoded = [self._encode(case) for case in cases]
        window = getattr(self._model.config, "max_position_embeddings", None) or max(map(len, encoded), default=0)
        fitting = sorted(
            (place for place, ids in enumerate(encoded) if len(ids) <= window), key=lambda p: len(encoded[p])
        )
        for place, ids in enumerate(encoded):
            if len(ids) > window:
                yield place, Reply(Unscored(f"the prompt is longer than the judge's window of {window} tokens"))
        for start in range(0, len(fitting), self._config.batch_size):
            places = fitting[start : start + self._config.batch_size]
            shares = self._shares([encoded[place] for place in places])
            for place, share in zip(places, shares, strict=True):
                yield place, Reply(share, usage=Usage(1, len(encoded[place]), 0))

    def _encode(self, case: Case) -> list[int]:
        text = self._prompt.render(case)
        if getattr(self._tokenizer, "chat_template", None):
            turns = [{"role": "user", "content": text}]
            text = str(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
            return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])
        return list(self._tokenizer(f"{text}\nAnswer:")["input_ids"])

    @torch.inference_mode()
    def _shares(self, rows: Sequence[list[int]]) -> list[float]:
        length, pad = max(map(len, rows)), self._tokenizer.pad_token_id or 0
        ids = torch.tensor([[*row, *[pad] * (length - len(row))] for row in rows])
        mask = torch.arange(length)[None] < torch.tensor([[len(row)] for row in rows])
        device = self._model.device
        logits = self._model(input_ids=ids.to(device), attention_mask=mask.long().to(device)).logits
        ends = torch.tensor([len(row) - 1 for row in rows], device=device)
        both = logits[torch.arange(len(rows), device=device), ends][:, self._labels].float()
        return both.softmax(-1)[:, 1].cpu().tolist()


def load_local(config: JudgeConfig) -> LocalJudge:
    """The judge of a model folder or Hub name; CheckpointError where there is none."""
    device = resolve_device(config.device)
    try:
        tokenizer = AutoTokenizer.from_pretrained(config.model)
        model = AutoModelForCausalLM.from_pretrained(config.model, dtype="auto")
        torch.nn.Module.to(model, device)
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0][:200]
        raise CheckpointError(
            f"{config.model}: no causal language model can be loaded ({first}); check model."
        ) from error
    return LocalJudge(model, tokenizer, config)


def _label_id(tokenizer: PreTrainedTokenizerBase, label: str) -> int:
    """The token that a reply of this letter begins with."""
    template = bool(getattr(tokenizer, "chat_template", None))
    ids = tokenizer.encode(label if template else f" {label}", add_special_tokens=False)
    if not ids:
        raise ConfigError(f"The judge's tokenizer has no token for {label!r}; choose another judge.")
    return ids[-1]
