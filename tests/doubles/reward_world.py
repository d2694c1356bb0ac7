"""A task so small that a reward model learns it in seconds, and a tiny BERT and a tiny Llama to learn it.

Answers are two sentences each; a colour is right, a weekday is a wrong fact and an animal is irrelevant. What is
missing is counted, and the answer with fewer errors is preferred.
"""

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from spanwise.core.seeding import numpy_generator
from spanwise.feedback.schema import Evidence, FeedbackRecord, MissingInfo, Passage, Preference, Response, mark

COLOURS, DAYS, ANIMALS = ("red", "blue", "green"), ("monday", "friday", "sunday"), ("cow", "dog", "hen")
FRAMES = ("the house was then called {} .", "some people have said {} too .")
SHAPE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
PASSAGE = Passage(title="house", sentences=("the house was called red .", "others say blue ."))


def record(number, generator, count=3):
    """One record with `count` marked responses and all pairs compared."""
    responses, quality = [], []
    for _ in range(count):
        kinds = generator.integers(0, 3, size=2)
        words = [(COLOURS, DAYS, ANIMALS)[kind][generator.integers(3)] for kind in kinds]
        parts = [frame.format(word) for frame, word in zip(FRAMES, words, strict=True)]
        text = " ".join(part[0].upper() + part[1:] for part in parts)
        spans, start = [], 0
        for kind, part in zip(kinds, parts, strict=True):
            if kind:
                spans.append(mark(text, start, start + len(part), ("Wrong-Grounding", "Irrelevant")[kind - 1]))
            start += len(part) + 1
        missing = [MissingInfo(category="Missing-Answer", evidence=Evidence(passage=0, sentences=(0,)))] * len(spans)
        responses.append(Response(text=text, marked=True, spans=tuple(spans), missing=tuple(missing)))
        quality.append(-len(spans))
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    return FeedbackRecord(
        id=str(number),
        prompt=f"what was house {number} called ?",
        passages=(PASSAGE,),
        responses=tuple(responses),
        preferences=tuple(Preference(first=i, second=j, winner=_winner(quality[i], quality[j])) for i, j in pairs),
    )


def records(count, purpose="world"):
    """`count` records, the same for the same purpose."""
    generator = numpy_generator(0, purpose)
    return [record(f"{purpose}{number}", generator) for number in range(count)]


def tiny_bert():
    """(model, tokenizer) of a fresh tiny BERT with whole words as tokens."""
    vocabulary = _vocabulary("[PAD]", "[UNK]", "[CLS]", "[SEP]")
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer()
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    return _seeded(BertModel, BertConfig(vocab_size=len(vocabulary), max_position_embeddings=256, **SHAPE)), tokenizer


def tiny_decoder():
    """(model, tokenizer) of a fresh tiny Llama with whole words as tokens."""
    vocabulary = _vocabulary("<pad>", "<unk>", "</s>")
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", unk_token="<unk>", eos_token="</s>")
    config = LlamaConfig(
        vocab_size=len(vocabulary), max_position_embeddings=256, initializer_range=0.15, pad_token_id=0, **SHAPE
    )
    return _seeded(LlamaForCausalLM, config), tokenizer


def _vocabulary(*special):
    text = " ".join(r.text.lower() for item in records(60) for r in item.responses)
    extra = ("question", ":", "context", "wikipage", "text", "answer", "?", "what", "house", "others", "say")
    return {word: number for number, word in enumerate([*special, *sorted({*text.split(), *extra})])}


def _seeded(kind, config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(config)


def _winner(first, second):
    return "tie" if first == second else ("first" if first > second else "second")
