"""The English corpus: prose only, each paragraph once, documents whole, in a fixed order."""

from itertools import islice

import pytest

from companion.corpus import english, open_source
from companion.corpus.english import PACKAGES, prose
from companion.corpus.sources import TRAIN_PACKAGES


@pytest.mark.slow
def test_it_is_large_enough_and_says_nothing_twice():
    documents = list(open_source("english"))
    assert len(documents) >= 300
    # 4.3 characters a token with SmolLM2's tokenizer: half a million tokens.
    assert sum(len(document.text) for document in documents) >= 4.3 * 500_000
    paragraphs = [p for document in documents for p in document.text.split("\n\n")]
    assert len(set(paragraphs)) == len(paragraphs)
    letters = sum(c.isalpha() or c.isspace() for c in "".join(paragraphs))
    assert letters > 0.85 * sum(map(len, paragraphs))


def test_reading_twice_gives_the_same_documents_without_reading_all(monkeypatch):
    parsed = []
    whole = english._docstrings
    monkeypatch.setattr(english, "_docstrings", lambda path: parsed.append(path) or whole(path))
    source = open_source("english")
    first, second = list(islice(source, 20)), list(islice(source, 20))
    assert first == second
    assert len(parsed) < 500
    kinds = {document.name.startswith("python reference") for document in first}
    assert kinds == {True, False}


def test_it_says_what_it_is_made_of():
    facts = open_source("english").facts
    assert set(facts["packages"]) == set(PACKAGES)
    assert "have in all likelihood seen" in facts["exposure"]
    assert not set(PACKAGES) & set(TRAIN_PACKAGES)


SENTENCE = "This is a sentence of more than eight words that ends in a stop."


@pytest.mark.parametrize(
    "other",
    [
        "Parameters\n----------\nx : int\n    How many of them there are in all of the lists.",
        ">>> print('a line of code, which is not prose at all, whatever it says.')",
        ":param x: how many of them there are in all of the many lists of things.",
        "Args: x: how many of them there are in all of the many lists of things.",
        "Too short a line.",
        "a = {b: [c[0] for c in d]} | e_f[g] <= h_i and j_k[l] != m_n[o].",
    ],
)
def test_only_sentences_pass(other):
    assert prose(f"{SENTENCE}\n\n{other}\n\nAnother\n{SENTENCE}") == [
        SENTENCE,
        f"Another {SENTENCE}",
    ]
