"""Every token is in a block, cut, or in the remainder; documents keep their names and numbers."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from companion import corpus
from companion.corpus import Document, Source, blocks
from companion.runtime import InputError


class Bytes:
    """A tokenizer of one token per byte, 256 between documents."""

    eos_token_id = 256

    def __call__(self, texts, **_):
        return {"input_ids": [list(text.encode()) for text in texts]}


def source(*texts):
    return Source("memory", lambda: [Document(str(i), text) for i, text in enumerate(texts)])


@settings(max_examples=60)
@given(
    st.lists(st.text(max_size=30), min_size=1, max_size=8),
    st.integers(2, 9),
    st.integers(9, 60) | st.none(),
    st.integers(1, 12) | st.none(),
)
def test_tokens_are_conserved(texts, length, tokens, document_tokens):
    read = corpus.Blocks(source(*texts), Bytes(), length, tokens, document_tokens)
    encoded = [[*text.encode(), 256] for text in texts]
    kept = [(t, i) for i, ids in enumerate(encoded) for t in ids[:document_tokens]]
    try:
        found = list(read)
    except InputError:
        assert len(kept) < length
        return
    pairs = [(int(t), int(d)) for b in found for t, d in zip(b.tokens, b.documents, strict=True)]
    counts = read.manifest()
    assert pairs == kept[: len(pairs)]
    assert counts["tokens"] == len(pairs) == length * counts["blocks"]
    if tokens is None:
        assert len(pairs) + counts["remainder"] == len(kept)
        assert counts["cut"] == sum(map(len, encoded)) - len(kept)
    else:
        assert len(pairs) + counts["short_of"] == tokens // length * length


def test_reading_twice_gives_the_same_blocks():
    read = corpus.Blocks(source("abcdef", "ghij"), Bytes(), 3)
    first, second = list(read), list(read)
    assert np.array_equal([b.tokens for b in first], [b.tokens for b in second])


@pytest.mark.slow
def test_python_source_is_deterministic_and_disjoint_from_training():
    held_out = list(corpus.open_source("python-source"))
    again = corpus.open_source("python-source")
    assert held_out[:20] == [d for d, _ in zip(again, range(20), strict=False)]
    train = {d.text for d in corpus.open_source("python-source:train")}
    assert not any(document.text in train for document in held_out)
    assert not any("_vendor" in document.name for document in held_out)
    assert set(again.facts["packages"]) == set(corpus.HELD_OUT_PACKAGES)


def test_files_folders_and_json_lines(tmp_path):
    (tmp_path / "a.txt").write_text("aaaa")
    (tmp_path / "b.jsonl").write_text('{"text": "bb"}\n{"content": "cc"}\n')
    texts = [d.text for d in corpus.open_source(str(tmp_path))]
    assert texts == ["aaaa", "bb", "cc"]
    assert [d.text for d in corpus.open_source(str(tmp_path / "a.txt"))] == ["aaaa"]


def test_a_data_set_in_the_hub_layout(tmp_path, monkeypatch):
    pytest.importorskip("datasets", reason='the extra "hub" is not installed')
    (tmp_path / "train.jsonl").write_text("\n".join(json.dumps({"text": t}) for t in "abc"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    read = blocks(f"hub:{tmp_path}", Bytes(), 2)
    assert [b.tokens.tolist() for b in read] == [[97, 256], [98, 256], [99, 256]]
    assert read.manifest()["split"] == "train"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("hub:someone/something", "cannot be reached"),
        ("no-such-corpus", "neither python-source"),
    ],
)
def test_absent_corpora_are_refused(name, sentence, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=sentence):
        blocks(name, Bytes(), 8)


def test_bad_files_are_refused_by_name(tmp_path):
    binary, broken, nameless = (tmp_path / n for n in ("a.bin", "b.jsonl", "c.jsonl"))
    binary.write_bytes(b"\xff\xfe\x00")
    broken.write_text("{not json\n")
    nameless.write_text('{"words": "x"}\n')
    for file, sentence in [
        (binary, "not UTF-8"),
        (broken, "line 1"),
        (nameless, "no field text or content: it has words"),
    ]:
        with pytest.raises(InputError, match=sentence):
            list(corpus.open_source(str(file)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no files"):
        corpus.open_source(str(tmp_path / "empty"))


def test_lengths_that_make_no_block_are_refused():
    with pytest.raises(InputError, match="at least 2"):
        corpus.Blocks(source("abc"), Bytes(), 1)
    with pytest.raises(InputError, match="do not fill"):
        corpus.Blocks(source("abc"), Bytes(), 8, 7)
    with pytest.raises(InputError, match="fewer than one block"):
        list(corpus.Blocks(source("abc"), Bytes(), 8))
