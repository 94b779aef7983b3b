"""Every token is in a block, cut, or in the remainder; documents keep their names and numbers."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from companion import corpus
from companion.corpus import Document, Source, blocks
from companion.errors import InputError


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


class Begun(Bytes):
    """As `Bytes`, with 257 before each text of its own accord."""

    bos_token_id = 257

    def __call__(self, texts, add_special_tokens=True, **_):
        begin = [257] if add_special_tokens else []
        return {"input_ids": [begin + list(text.encode()) for text in texts]}


def test_a_tokenizer_that_begins_texts_begins_every_block():
    read = corpus.Blocks(source("abcd", "ef"), Begun(), 4)
    found = [(b.tokens.tolist(), b.documents.tolist()) for b in read]
    a, b, c, d, e, f = b"abcdef"
    assert found == [([257, a, b, c], [0] * 4), ([257, d, 256, e], [0, 0, 0, 1])]
    assert read.manifest()["tokens"] == 8
    assert read.manifest()["remainder"] == 2
    assert f not in found[1][0]


def test_a_reader_who_stops_early_does_not_make_the_corpus_short():
    read = corpus.Blocks(source("abcdef" * 10), Bytes(), 3, 30)
    next(iter(read))
    assert read.manifest()["short_of"] == 0
    assert len(list(corpus.Blocks(source("abcd"), Bytes(), 3, 30))) == 1


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


def test_one_long_text_is_read_whole_in_passages(tmp_path, monkeypatch):
    monkeypatch.setattr("companion.corpus.sources.PASSAGE", 10)
    file = tmp_path / "book.txt"
    file.write_text("".join(f"line {i}\n" for i in range(40)), encoding="utf-8-sig")
    read = blocks(str(file), Bytes(), 8, document_tokens=4)
    found = list(read)
    text = bytes(t for b in found for t in b.tokens.tolist()).decode()
    assert text == file.read_text(encoding="utf-8-sig")[: len(text)]
    assert read.manifest()["cut"] == 0
    assert len({int(d) for b in found for d in b.documents}) > 10
    assert all(document.text.endswith("\n") for document in corpus.open_source(str(file)))


def test_json_lines_end_at_line_feeds_only_and_may_be_empty(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a\u2028b"}\n\n{"text": "c"}\n', encoding="utf-8")
    assert [d.text for d in corpus.open_source(str(tmp_path / "a.jsonl"))] == ["a\u2028b", "c"]


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
        ("", "neither python-source"),
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
