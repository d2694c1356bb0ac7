"""One small tokenizer for each family that policies use, built in memory: the schemes differ, the corpus does not.

`FAMILIES` maps a name to a function that returns a transformers tokenizer; each has an end-of-sequence token `</s>`.
"""

import functools
import json
from collections.abc import Callable

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

CORPUS = (
    "Ada Veld was born in Oslo in 1912, and she worked as a mason. It isn't said when she died!",
    "The society was founded by Ines Korr, a painter, in 1890; it met twice a year, never in winter.",
    "Unlike the others, which were built in stone, the mill of Brack was made of wood. Who knew? Nobody.",
    "Über 70 naïve cafés (and 3 more) paid “a lot”, she said:\nnone — not one — of them stayed 😀 open.",
)
SPECIAL = ["<pad>", "</s>", "<unk>"]


@functools.cache
def gpt2() -> PreTrainedTokenizerBase:
    """Byte-level BPE: words start with their space, rare characters are split into bytes."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=420, special_tokens=SPECIAL, initial_alphabet=sorted(alphabet), show_progress=False
        ),
    )
    return _wrap(inner)


@functools.cache
def llama() -> PreTrainedTokenizerBase:
    """SentencePiece BPE with byte fallback; a space is put before the text and stripped again."""
    inner = _byte_fallback_bpe()
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    inner.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1, right=0),
        ]
    )
    return _wrap(inner)


@functools.cache
def gemma() -> PreTrainedTokenizerBase:
    """The same without the space before the text."""
    inner = _byte_fallback_bpe()
    inner.normalizer = normalizers.Replace(" ", "▁")
    inner.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return _wrap(inner)


@functools.cache
def t5() -> PreTrainedTokenizerBase:
    """Unigram with Metaspace, as Flan-T5: a trailing space is a token of its own."""
    return _wrap(_unigram(pre_tokenizers.Metaspace(prepend_scheme="always")))


@functools.cache
def original_t5() -> PreTrainedTokenizerBase:
    """Unigram with Metaspace on whitespace-split words, as the first T5: trailing spaces vanish."""
    splitting = [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    return _wrap(_unigram(pre_tokenizers.Sequence(splitting)))


@functools.cache
def wordpiece() -> PreTrainedTokenizerBase:
    """BERT's WordPiece: no token holds a space, and the decoder tidies punctuation."""
    inner = Tokenizer(models.WordPiece(unk_token="<unk>"))  # type: ignore[call-arg]
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    inner.train_from_iterator(
        CORPUS, trainers.WordPieceTrainer(vocab_size=260, special_tokens=SPECIAL, show_progress=False)
    )
    return _wrap(inner)


@functools.cache
def suffix_bpe() -> PreTrainedTokenizerBase:
    """GPT-1's BPE: the end of a word is marked, so what a token writes depends on its neighbours."""
    inner = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.BPEDecoder(suffix="</w>")
    inner.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(vocab_size=260, special_tokens=SPECIAL, end_of_word_suffix="</w>", show_progress=False),
    )
    return _wrap(inner)


FAMILIES: dict[str, Callable[[], PreTrainedTokenizerBase]] = {
    "gpt2": gpt2,
    "llama": llama,
    "gemma": gemma,
    "t5": t5,
    "original-t5": original_t5,
    "wordpiece": wordpiece,
    "suffix-bpe": suffix_bpe,
}


def _byte_fallback_bpe() -> Tokenizer:
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trained.pre_tokenizer = pre_tokenizers.Split(Regex("(?=▁)"), "isolated")
    trained.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=160, show_progress=False))
    state = json.loads(trained.to_str())["model"]
    tokens = SPECIAL + [f"<0x{byte:02X}>" for byte in range(256)]
    # The byte tokens stand in for the rarer half of the alphabet, as in a real vocabulary.
    tokens += [token for token in state["vocab"] if token.isascii() or "▁" in token]
    merges = [tuple(merge) for merge in state["merges"] if {*merge, "".join(merge)} <= set(tokens)]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    return Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))


def _unigram(pre_tokenizer: pre_tokenizers.PreTokenizer) -> Tokenizer:
    inner = Tokenizer(models.Unigram())
    inner.pre_tokenizer = pre_tokenizer
    inner.decoder = decoders.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(vocab_size=160, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    inner.train_from_iterator(CORPUS, trainer)
    return inner


def _wrap(inner: Tokenizer) -> PreTrainedTokenizerBase:
    inner.add_special_tokens(SPECIAL)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )
