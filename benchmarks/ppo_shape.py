"""The task that PPO steps are timed on: models with random weights, prompts, and how long answers get.

Knows nothing of Spanwise, so that a peer's program in an environment of its own can import it. Answers are as long as
`lengths` says: `full`, all of them to the limit; `natural`, ended by the model itself after 40 % of the limit on
average, and prompts of a quarter to all of the prompt length.
"""

import json
import math
from dataclasses import asdict, dataclass

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

PAD, BOS, EOS, UNKNOWN = range(4)
_SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]
NATURAL_SHARE = 0.4
LEARNING_RATE = 1e-9
"""So small that no step changes how long the next step's answers are."""
_LEVEL = 0.5
"""Value of the one coordinate of all embeddings through which the end's probability is set."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a step; the defaults are a Llama of 15 million parameters."""

    dtype: str = "bf16"
    lengths: str = "full"
    prompt_tokens: int = 128
    new_tokens: int = 128
    responses: int = 64
    micro_batch: int = 16
    epochs: int = 4
    steps: int = 3
    vocabulary: int = 32_000
    hidden: int = 288
    layers: int = 6

    def to_json(self) -> str:
        """What `Shape(**json.loads(...))` reads."""
        return json.dumps(asdict(self))

    def torch_dtype(self) -> torch.dtype:
        """Of weights and arithmetic."""
        return {"bf16": torch.bfloat16, "fp32": torch.float32}[self.dtype]

    def config(self, **more: int) -> LlamaConfig:
        """The architecture of all four models."""
        return LlamaConfig(
            vocab_size=self.vocabulary, hidden_size=self.hidden, intermediate_size=self.hidden * 8 // 3,
            num_hidden_layers=self.layers, num_attention_heads=6, max_position_embeddings=2048,
            tie_word_embeddings=True, pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS, **more,
        )  # fmt: skip


def make_tokenizer(shape: Shape) -> PreTrainedTokenizerFast:
    """One word per id. The names of special tokens are in no word, because they are found inside of words, too."""
    names = _SPECIAL + [f"t{i}" for i in range(len(_SPECIAL), shape.vocabulary)]
    words = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token=names[UNKNOWN]))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token=names[PAD], bos_token=names[BOS], eos_token=names[EOS],
        unk_token=names[UNKNOWN], padding_side="left",
    )  # fmt: skip


def make_prompts(shape: Shape) -> list[list[int]]:
    """512 prompts of random ids."""
    generator = torch.Generator().manual_seed(1)
    least = shape.prompt_tokens if shape.lengths == "full" else max(8, shape.prompt_tokens // 4)
    lengths = torch.randint(least, shape.prompt_tokens + 1, (512,), generator=generator).tolist()
    return [torch.randint(4, shape.vocabulary, (n,), generator=generator).tolist() for n in lengths]


def make_policy(shape: Shape) -> LlamaForCausalLM:
    """A random model whose answers have the lengths asked for."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(shape.config()).eval()
    weight = model.get_input_embeddings().weight
    with torch.no_grad():
        weight[:, 0] = _LEVEL
        weight[EOS, 1:] = 0
        # Only this coordinate bears on the end, and no layer changes it: the end is as probable everywhere.
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[0] = 0
            layer.mlp.down_proj.weight[0] = 0
        length = shape.prompt_tokens + shape.new_tokens
        ids = torch.randint(4, shape.vocabulary, (4, length), generator=torch.Generator().manual_seed(2))
        states = model.model(input_ids=ids).last_hidden_state[:, shape.prompt_tokens :]
        logits = model.lm_head(states)
        end = logits[..., EOS].clone()
        logits[..., EOS] = -torch.inf
        log_odds = float((end - logits.logsumexp(-1)).mean())
        weight[EOS, 0] += (_wanted_log_odds(shape) - log_odds) / float(states[..., 0].mean())
    return model.to(shape.torch_dtype())


def _wanted_log_odds(shape: Shape) -> float:
    """Of the end against all other ids, at each token."""
    if shape.lengths == "full":
        return -40.0
    low, high = 1e-9, 1.0
    for _ in range(100):
        chance = (low + high) / 2
        mean = (1 - (1 - chance) ** shape.new_tokens) / chance
        low, high = (chance, high) if mean > NATURAL_SHARE * shape.new_tokens else (low, chance)
    return math.log(low / (1 - low))
