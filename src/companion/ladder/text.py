"""The ladder's text: its tokenizer, its token arrays, and what n-gram models make of it."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from companion import corpus
from companion.errors import InputError
from companion.files import atomic
from companion.ladder.grid import Grid

END_OF_TEXT = "<|endoftext|>"
TOKENIZER = "tokenizer.json"
TOKENIZER_DOCUMENTS = 1500
ROUNDS = 100  # of expectation maximisation


def train_tokenizer(source: corpus.Source, vocabulary: int) -> Any:
    """A byte-level BPE of `vocabulary` tokens, trained on the first documents of `source`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (document.text for document in islice(source, TOKENIZER_DOCUMENTS))
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END_OF_TEXT, bos_token=END_OF_TEXT
    )


def load_tokenizer(folder: Path, grid: Grid) -> Any:
    """The tokenizer in `folder`, trained and saved there first if it is not.

    `TOKENIZER` gets its name last, so that where it is, all of it is.
    """
    from transformers import PreTrainedTokenizerFast

    if not (folder / TOKENIZER).exists():
        tokenizer = train_tokenizer(corpus.open_source(grid.corpus), grid.vocabulary)
        with TemporaryDirectory(dir=folder) as aside:
            tokenizer.save_pretrained(aside)
            for file in sorted(Path(aside).iterdir(), key=lambda file: file.name == TOKENIZER):
                file.replace(folder / file.name)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def load_blocks(
    folder: Path,
    name: str,
    tokenizer: Any,
    context: int,
    tokens: int,
    document_tokens: int | None = None,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Blocks of corpus `name`, kept in `folder` for the next call.

    Returns
    -------
    tokens : array (block, position), uint16
    documents : array (block, position), int32
    manifest : dict

    Raises
    ------
    InputError
        If the corpus is smaller than asked for.
    """
    file = folder / f"{name.replace(':', '-').replace('/', '-')}-{tokens}.npz"
    if not file.exists():
        read = corpus.blocks(name, tokenizer, context, tokens, document_tokens)
        pairs = [(b.tokens.astype(np.uint16), b.documents.astype(np.int32)) for b in read]
        manifest = read.manifest()
        if manifest["short_of"]:
            raise InputError(
                f"corpus {name!r} has {manifest['tokens']} tokens, {tokens} are asked for"
            )
        with atomic(file) as temporary:
            text = np.array(json.dumps(manifest))
            arrays = [np.stack(part) for part in zip(*pairs, strict=True)]
            np.savez(temporary, tokens=arrays[0], documents=arrays[1], manifest=text)
    with np.load(file) as stored:
        return stored["tokens"], stored["documents"], json.loads(str(stored["manifest"]))


class Texts(NamedTuple):
    """What a grid trains on and is measured on: token ids (block, position), document ids."""

    train: np.ndarray
    train_manifest: dict[str, Any]
    held_out: np.ndarray
    documents: np.ndarray
    held_out_manifest: dict[str, Any]


def load_texts(folder: Path, grid: Grid) -> Texts:
    """The texts of `grid`, tokenised once and kept in `folder`."""
    tokenizer = load_tokenizer(folder, grid)
    train, _, manifest = load_blocks(folder, grid.corpus, tokenizer, grid.context, max(grid.tokens))
    held_out = load_blocks(
        folder, grid.held_out, tokenizer, grid.context, grid.evaluate, corpus.DOCUMENT_TOKENS
    )
    return Texts(train, manifest, *held_out)


def ngram_losses(train: np.ndarray, test: np.ndarray, vocabulary: int) -> dict[str, float]:
    """Held-out cross-entropy of a unigram and an interpolated bigram model, nats/token.

    p(b|a) = sum_k w_k p_k with k = 0 (uniform), 1 (unigram), 2 (bigram); the weights w maximise the
    likelihood of the last tenth of `train` (expectation maximisation), the counts are of the rest.

    Parameters
    ----------
    train, test : arrays (block, position) of token ids
    """
    cut = len(train) * 9 // 10
    unigram, bigram = _counts(train[:cut], vocabulary)

    def parts(blocks: np.ndarray) -> np.ndarray:
        a, b = blocks[:, :-1].ravel().astype(np.int64), blocks[:, 1:].ravel().astype(np.int64)
        context = np.maximum(unigram[a], 1)
        uniform = np.full(len(a), 1 / vocabulary)
        return np.stack([uniform, unigram[b] / unigram.sum(), bigram[a * vocabulary + b] / context])

    tuning, held_out = parts(train[cut:]), parts(test)
    return {
        "unigram": _mixture_loss(held_out[:2], _mixture_weights(tuning[:2])),
        "bigram": _mixture_loss(held_out, _mixture_weights(tuning)),
    }


def _counts(blocks: np.ndarray, vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    a, b = blocks[:, :-1].ravel().astype(np.int64), blocks[:, 1:].ravel().astype(np.int64)
    pairs = np.bincount(a * vocabulary + b, minlength=vocabulary**2)
    return np.bincount(a, minlength=vocabulary), pairs


def _mixture_weights(parts: np.ndarray) -> np.ndarray:
    weights = np.full(len(parts), 1 / len(parts))
    for _ in range(ROUNDS):
        share = weights[:, None] * parts
        weights = (share / share.sum(0)).mean(1)
    return weights


def _mixture_loss(parts: np.ndarray, weights: np.ndarray) -> float:
    return float(-np.log(weights @ parts).mean())
