"""Facts: read from files, refused when they are none, found in the model's tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.errors import InputError
from companion.interventions import Fact, encode, load_facts, packaged_facts

YAML = '- {prompt: "import {subject} as", subject: numpy, target: " np"}\n'
JSONL = '{"prompt": "import numpy as", "subject": "numpy", "target": " np"}\n\n'


@pytest.mark.parametrize(("name", "text"), [("f.yaml", YAML), ("f.yml", YAML), ("f.jsonl", JSONL)])
def test_yaml_and_jsonl_say_the_same(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    (fact,) = load_facts(path)
    assert fact.text == "import numpy as"
    assert fact.text[slice(*fact.span)] == "numpy"


@given(before=st.text(), subject=st.text(min_size=1), after=st.text(), target=st.text(min_size=1))
def test_the_span_is_the_subject_whatever_the_text(before, subject, after, target):
    prompt = f"{before}{{subject}}{after}"
    if prompt.count("{subject}") == 1:
        fact = Fact(prompt, subject, target)
        assert fact.text[slice(*fact.span)] == subject


def test_every_packaged_file_is_a_list_of_facts():
    assert {"python", "world"} <= set(packaged_facts())
    assert all(len(load_facts(name)) > 5 for name in packaged_facts())


def test_facts_about_the_world_are_many_and_of_many_relations():
    facts = load_facts("world")
    relations = {fact.relation for fact in facts}
    assert len(facts) >= 60
    assert len(relations) >= 6
    assert "" not in relations
    assert len({(fact.text, fact.target) for fact in facts}) == len(facts)
    assert all(fact.target.startswith(" ") for fact in facts)


def test_a_relation_is_optional_and_a_text(tmp_path):
    path = tmp_path / "f.jsonl"
    path.write_text(JSONL.strip()[:-1] + ', "relation": "alias"}', encoding="utf-8")
    assert [fact.relation for fact in load_facts(path)] == ["alias"]
    path.write_text(JSONL.strip()[:-1] + ', "relation": 3}', encoding="utf-8")
    with pytest.raises(InputError, match="and may have relation"):
        load_facts(path)


def test_the_papers_sentence_is_among_the_facts():
    assert any("space needle" in fact.text.lower() for fact in load_facts("world"))


@pytest.mark.parametrize(
    ("prompt", "subject", "target", "message"),
    [
        ("import it as", "numpy", " np", "exactly once.*found 0"),
        ("a numpy is a numpy", "numpy", ".", "found 2"),
        ("{subject} and {subject}", "numpy", ".", "found 2"),
        ("import {subject}", "", ".", "needs a prompt, a subject and a target"),
        ("import {subject}", "numpy", "", "needs a prompt, a subject and a target"),
    ],
)
def test_a_subject_must_be_there_exactly_once(prompt, subject, target, message):
    with pytest.raises(InputError, match=message):
        Fact(prompt, subject, target)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt: one", "a list of at least one fact"),
        ("[]", "a list of at least one fact"),
        ("- {prompt: a, subject: a}", "fact 1 of .* exactly the texts"),
        ("- {prompt: a, subject: a, target: 3}", "exactly the texts"),
        ("- [a", "neither YAML nor JSONL"),
    ],
)
def test_files_that_hold_no_facts_are_refused(tmp_path, text, message):
    path = tmp_path / "facts.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_facts(path)


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match=r"no facts file 'nowhere.yaml'; packaged facts: python"):
        load_facts("nowhere.yaml")


def test_subject_and_target_are_found_in_tokens(llama):
    item = encode(Fact("import {subject} as", "numpy", " np"), llama.tokenizer)
    assert "".join(item.texts) == "import numpy as"
    assert "".join(item.texts[i] for i in item.subject) == "numpy"
    assert llama.tokenizer.decode(item.target) == " np"
    assert len(item.target) == 1
    assert item.ids == list(item.prompt)
    assert item.roles[item.subject[-1]] == "end of subject"
    assert item.roles[-1] == "last"


def test_the_last_token_of_a_longer_target_is_not_read(llama):
    item = encode(Fact("import {subject} as", "numpy", " np\n"), llama.tokenizer)
    assert item.ids == [*item.prompt, item.target[0]]


def test_a_subject_at_the_end_is_last_too(llama):
    item = encode(Fact("import {subject}", "nx", "\n"), llama.tokenizer)
    assert item.roles[-2:] == ["subject", "last"]


def test_a_token_over_the_boundary_is_refused(llama):
    with pytest.raises(InputError, match="one token spans the end"):
        encode(Fact("import {subject} as n", "x", "p"), llama.tokenizer)


def test_a_model_without_fast_tokenizer_is_refused():
    with pytest.raises(InputError, match="fast tokenizer"):
        encode(Fact("{subject}", "x", "p"), None)
