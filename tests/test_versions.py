"""One set of versions: `pyproject.toml`, `constraints.txt` and `environment.yml` say the same."""

from __future__ import annotations

import re
import sysconfig
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from companion.files import checkout

ROOT = checkout()
assert ROOT is not None
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def _name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def _pins(lines: list[str]) -> dict[str, str]:
    pairs = [line.split("==") for line in lines if re.match(r"[A-Za-z0-9].*==", line)]
    return {_name(name): version for name, version in pairs}


CONSTRAINTS = _pins((ROOT / "constraints.txt").read_text("utf-8").splitlines())
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
DEFAULT = [*PROJECT["dependencies"], *EXTRAS["test"], *EXTRAS["lint"]]


@pytest.mark.parametrize("asked", [*DEFAULT, *EXTRAS["hub"], *EXTRAS["spread"], *EXTRAS["dask"]])
def test_every_dependency_is_pinned_within_its_range(asked):
    requirement = Requirement(asked)
    assert Version(CONSTRAINTS[_name(requirement.name)]) in requirement.specifier


def test_conda_users_get_the_same_versions():
    (by_pip,) = [entry["pip"] for entry in CONDA if isinstance(entry, dict)]
    expected = {_name(Requirement(asked).name) for asked in DEFAULT}
    assert _pins(by_pip) == {name: CONSTRAINTS[name] for name in expected}
    assert "--constraint constraints.txt" in by_pip


def test_conda_and_the_package_ask_for_one_python():
    (python,) = [entry for entry in CONDA if str(entry).startswith("python=")]
    assert Version(python.split("=")[1]) in Requirement(f"x{PROJECT['requires-python']}").specifier


def test_what_is_installed_is_what_is_pinned():
    # `sys.path` would also show the copies that setuptools carries within itself.
    here = metadata.distributions(path=[sysconfig.get_path("purelib")])
    installed = {_name(d.metadata["Name"]): Version(d.version).public for d in here}
    assert "torch" in installed
    differing = {n: v for n, v in installed.items() if n in CONSTRAINTS and v != CONSTRAINTS[n]}
    assert differing == {}


def test_no_pin_names_one_build_of_torch():
    assert CONSTRAINTS["torch"] == str(Version(CONSTRAINTS["torch"]).public)
