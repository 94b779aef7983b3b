"""Where this project's files lie, and how a file is written whole or not at all. Floor 0."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from companion.errors import InputError

if TYPE_CHECKING:
    import xarray as xr


def checkout() -> Path | None:
    """The folder of the git checkout (or source tree) that this package runs from, if any."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").exists() and (root / "book").is_dir() else None


def stored(name: str) -> Path:
    """Path of a stored result of a heavy run, `book/results/<name>`.

    `COMPANION_RESULTS` names another folder, for a package that is used without its checkout.

    Raises
    ------
    InputError
        If there is no such file.
    """
    root = checkout()
    folder = os.environ.get("COMPANION_RESULTS") or (root / "book" / "results" if root else None)
    if folder is None:
        raise InputError("no stored results: run from a checkout or set COMPANION_RESULTS")
    path = Path(folder) / name
    if not path.exists():
        raise InputError(f"no stored result {name!r} in {folder}")
    return path


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it there only if the block succeeds.

    A reader sees the old file or the whole new one, whatever happens in between.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | Path, value: Any) -> None:
    """Write plain JSON, whole or not at all.

    Raises
    ------
    ValueError
        If a number is not finite: JSON has no word for it.
    """
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", "utf-8")


def user_path(name: str | Path) -> Path:
    """The path of that name; ``~`` is a home where there is one, else a name like any other."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def read_netcdf(path: str | Path) -> xr.Dataset:
    """The whole data set of a NetCDF file; the file is closed again.

    Raises
    ------
    InputError
        If there is no such file, or it cannot be read.
    """
    import xarray as xr

    if not Path(path).is_file():
        raise InputError(f"file {str(path)!r} does not exist")
    try:
        with xr.open_dataset(path, engine="h5netcdf") as file:
            return file.load()
    except (OSError, ValueError, KeyError, RuntimeError) as error:  # h5py raises all of them
        raise InputError(
            f"{str(path)!r} is no readable NetCDF file: remove it, and make it again (--resume)"
        ) from error


def write_netcdf(dataset: xr.Dataset, path: str | Path, **options: Any) -> None:
    """Write a dataset as NetCDF, whole or not at all; `options` as for `to_netcdf`.

    The file is made in memory: where the disk is full, HDF5 would take the process down with it.
    """
    made = io.BytesIO()
    with _without_dask():
        dataset.to_netcdf(made, engine="h5netcdf", **options)
    with atomic(path) as temporary:
        temporary.write_bytes(made.getbuffer())


def _without_dask() -> contextlib.AbstractContextManager:
    """Where a Dask client exists, xarray would ask its scheduler for a lock on our memory."""
    if "distributed" not in sys.modules:
        return contextlib.nullcontext()
    import dask.config

    return dask.config.set(scheduler="synchronous")


def cache_folder() -> Path:
    """Where downloads are kept: `COMPANION_CACHE`, or the user's cache folder."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("COMPANION_CACHE") or user_cache_dir("depth-companion"))


def offline() -> bool:
    """Whether `COMPANION_OFFLINE` forbids every download."""
    return os.environ.get("COMPANION_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON")


def sha256_of(path: Path) -> str:
    """Hex digest of a file's content, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
