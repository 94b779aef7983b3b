"""Specifications: the paper's suite is there, bad ones are refused with one sentence."""

import math

import pytest
import yaml

from companion.errors import InputError
from companion.toy import Specification, named, specification


def test_paper_suite_is_there():
    for name in named():
        spec = specification(name)
        assert spec.name == name
        assert spec.purpose
        assert specification(spec.to_dict()) == spec
    main = specification("entropy-independent")
    assert main == Specification(
        main.name, main.purpose, temperatures=main.temperatures, rho=(0.0,)
    )
    assert (main.members, main.steps, main.lr_depth) == (48, 40_000, None)
    assert main.temperatures[0] == pytest.approx(0.01)
    assert main.temperatures[-1] == pytest.approx(1.0)


PAPER = {
    "entropy-independent": {},
    "entropy-tied": {"rho": (1.0,)},
    "entropy-tied-given-head": {"rho": (1.0,), "head": "given", "steps": 80_000, "lr_depth": 16},
    "regimes": {"steps": 40_000},
    "regimes-long": {"steps": 80_000},
    "regimes-midpoint": {"steps": 80_000, "block": "midpoint", "depths": (3, 6, 8, 12, 16, 24)},
    "regimes-shallow-teacher": {"steps": 40_000, "teacher_depth": 24},
}
STATES = {"rho": (0.0, 1.0), "loss": "mse", "head": "none", "lr_depth": 4}


@pytest.mark.parametrize("name", PAPER)
def test_each_set_of_the_paper_has_its_dimensions(name):
    spec = specification(name)
    expected = {"depths": (6, 12, 16, 24, 32, 48), "teacher_depth": 128, "rho": (0.0,)}
    expected |= {"width": 32, "hidden": 128, "vocabulary": 128, "batch": 1024, "teachers": 3}
    expected |= {"lr": 6e-4, "steps": 40_000, "loss": "kl", "head": "learned", "block": "euler"}
    expected |= (STATES if name.startswith("regimes") else {}) | PAPER[name]
    assert {key: getattr(spec, key) for key in expected} == expected
    assert len(spec.temperatures) == (1 if spec.loss == "mse" else 16)
    decays = spec.lr_depth is not None
    end = spec.learning_rate(24, spec.steps - 1) / spec.learning_rate(24, 0)
    assert end == pytest.approx(0.1 if decays else 1, abs=1e-3)
    late = spec.learning_rate(24, int(0.8 * spec.steps)) / spec.learning_rate(24, 0)
    assert late == pytest.approx(1)


def test_learning_rates_of_the_suite():
    tied = specification("entropy-tied-given-head")
    assert tied.learning_rate(16, 0) == pytest.approx(6e-4 * 4 / math.sqrt(16))
    assert tied.learning_rate(16, 72_000) == pytest.approx(6e-4 * (0.1 + 0.9 / 2))
    regimes = specification("regimes")
    assert regimes.learning_rate(24, 31_999) == pytest.approx(6e-4 * 2 / math.sqrt(24))
    assert specification("entropy-tied").learning_rate(6, 39_999) == 6e-4


def test_flops_of_the_paper_task():
    task = specification("entropy-independent", temperatures=[1.0], teachers=1)
    blocks = 3 * 4 * 32 * 128 * 1024 * 138 + 4 * 32 * 128 * 1024 * 128
    assert task.flops_per_step() == blocks + 6 * 3 * 2 * 32 * 128 * 1024


BAD = {
    "key 'rhos' is unknown": {"rhos": 1},
    "did you mean 'depths'": {"depth": [1]},
    "rho 1.5 must be between 0 and 1": {"rho": [1.5]},
    "depths": {"depths": [0]},
    "temperatures 0": {"temperatures": [0.0]},
    "from > 0": {"temperatures": {"from": 0, "to": 1, "count": 3}},
    "need from, to and count": {"temperatures": {"from": 1}},
    "steps 1.5": {"steps": 1.5},
    "batch 0": {"batch": 0},
    "lr 'fast'": {"lr": "fast"},
    "block 'odd' must be one of": {"block": "odd"},
    "does not fit loss": {"loss": "mse"},
    "divides the width": {
        "teacher": "parity",
        "loss": "mse",
        "head": "none",
        "teacher_depth": 5,
        "temperatures": [1.0],
    },
    "must differ": {"depths": [2, 2]},
    "temperatures .* must differ": {"temperatures": [1, 1.0]},
    "rho .* must differ": {"rho": [0.5, 0.5]},
    "depths 3 must be a list": {"depths": 3},
    "temperatures 0 must be a list": {"temperatures": 0},
    "rho None must be a list": {"rho": None},
    "lr inf": {"lr": math.inf},
    "lr nan": {"lr": math.nan},
    "lr_depth 0": {"lr_depth": 0},
    "nothing else": {"temperatures": {"from": 0.1, "to": 1, "count": 3, "spacing": "log"}},
    "no meaning": {"loss": "mse", "head": "none"},
    "no name": {"name": None},
}


@pytest.mark.parametrize("message", BAD)
def test_bad_specifications_are_refused(small, message):
    with pytest.raises(InputError, match=message):
        specification(small | BAD[message])


def test_bad_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="no specification 'nowhere"):
        specification("nowhere.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1")
    with pytest.raises(InputError, match="not YAML"):
        specification(broken)
    broken.write_text("just words")
    with pytest.raises(InputError, match="has no keys"):
        specification(broken)
    broken.write_bytes(b"name: \xad")
    with pytest.raises(InputError, match="not YAML"):
        specification(broken)


def test_file_and_changes(small, tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(small))
    assert specification(path, steps=7).steps == 7


def test_numbers_that_yaml_takes_for_words(small):
    spec = specification(small | {"lr": "1e-3", "temperatures": ["2e-1", 1.0]})
    assert (spec.lr, spec.temperatures) == (1e-3, (0.2, 1.0))
