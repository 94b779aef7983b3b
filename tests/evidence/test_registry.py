"""The registry: each claim whole, each range with its reason, and no key that nobody judges."""

import math
import re
from pathlib import Path

import pytest

import companion
from companion.errors import InputError
from companion.evidence import Measurement, judge
from companion.evidence.registry import entry, questions, ranges, registry

SOURCES = "\n".join(p.read_text("utf-8") for p in Path(companion.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("key", registry())
def test_an_entry_is_whole(key):
    one = entry(key)
    assert one.question in questions()
    assert one.statement.endswith(".")
    for part in one.parts:
        expected = one.range(part)
        assert expected.low < expected.high
        assert expected.why
    assert set(one.about) <= {"chinchilla", "gemstones", "ladder", "pretrained", "toy"}


@pytest.mark.parametrize("key", registry())
def test_every_claim_can_come_out_either_way(key, as_if_calibrated):
    one = entry(key)
    data = one.about[0] if one.about else ""

    def at(where):
        ends = {"in": [], "out": []}
        for part in one.parts:
            low, high = one.range(part).low, one.range(part).high
            bounded = math.isfinite(high)
            beyond = high + 9 if bounded else low - 9
            middle = max(low, high - 1e-3) if bounded else low + 1
            ends["in"].append(Measurement(part, middle, middle, middle, part))
            ends["out"].append(Measurement(part, beyond, beyond, beyond, part))
        return judge(key, ends[where], {}, data=data).verdict

    assert at("in") == "reproduced"
    assert at("out") == "not reproduced"


def test_about_one_is_the_same_everywhere():
    one, minus = ranges()["about one"], ranges()["about minus one"]
    assert (minus.low, minus.high) == (-one.high, -one.low)
    for key in registry():
        given = entry(key).parts.get("exponent", "")
        assert isinstance(given, str) or given[:2] != [one.low, one.high]


@pytest.mark.parametrize("key", registry())
def test_every_claim_is_judged_somewhere(key):
    stem = re.sub(r"-(ladder|gemstones|residual|parity|logit-ladder)$", "", key)
    stem = re.sub(r"-logit$", "", stem)
    assert f'"{key}"' in SOURCES or f'"{stem}' in SOURCES or f'"{stem}-' in SOURCES


def test_what_is_not_registered_is_refused():
    with pytest.raises(InputError, match="'nothing' is not registered"):
        entry("nothing")
    with pytest.raises(KeyError):
        judge("depth-exponent", [Measurement("x", 1, 0, 2, "nowhere")], {}, data="chinchilla")
