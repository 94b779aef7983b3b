"""A run's output: claimed before it starts, locked while it goes on, whole once it is there.

Beside `result.nc` stands, until it is whole, the folder `result.nc.partial` with the settings of
the run, its lock, and whatever it keeps there (checkpoints, finished parts). One rule for what is
there already: it is refused, unless `resume` or `overwrite` says what to do with it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from companion.errors import InputError
from companion.files import read_netcdf, write_json, write_netcdf
from companion.runs.identity import difference, plain

if TYPE_CHECKING:
    import xarray as xr

Keep = Callable[[str, Callable[[], "xr.Dataset"]], "xr.Dataset"]
"""Gives the data set of a part by its name, computed if it is not kept; see `Output.kept`."""
SETTINGS, LOCK = "settings.json", ".lock"
ATTRIBUTE = "run_settings"


def computed(name: str, compute: Callable[[], xr.Dataset]) -> xr.Dataset:
    """The part of a run that keeps nothing."""
    return compute()


class Output:
    """The NetCDF file that one run makes; use it in a ``with`` statement around the whole run.

    Parameters
    ----------
    path : path or None
        The result's file; None keeps nothing, and every part is None.
    settings : mapping
        What makes two runs the same, by content: compared on `resume`, stored in the result.
    resume : bool
        Go on from what an interrupted run left; a whole result is `finished`.
    overwrite : bool
        Start anew; an old result stays until the new one takes its place.

    Raises
    ------
    InputError
        If there is something already and neither `resume` nor `overwrite` is given, if what is
        there is of other settings, or if another process is at work on it.
    """

    def __init__(
        self,
        path: str | Path | None,
        settings: Mapping[str, Any],
        *,
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        if resume and overwrite:
            raise InputError("resume and overwrite exclude each other: choose one")
        if path is None and (resume or overwrite):
            raise InputError("resume and overwrite need an output: name its file")
        self.path = None if path is None else Path(path)
        self.settings, self.resume, self.overwrite = settings, resume, overwrite
        self.finished: xr.Dataset | None = None
        self._open = contextlib.ExitStack()

    @property
    def folder(self) -> Path | None:
        """Where unfinished work is kept."""
        return self.path and self.path.with_name(f"{self.path.name}.partial")

    def part(self, name: str) -> Path | None:
        """The path of one piece of unfinished work; None where nothing is kept."""
        return self.folder and self.folder / name

    def kept(self, name: str, compute: Callable[[], xr.Dataset]) -> xr.Dataset:
        """The data set in part `name`, computed and kept there first if it is not yet."""
        part = self.part(name)
        if part is None:
            return compute()
        if not part.exists():
            write_netcdf(compute(), part)
        return read_netcdf(part)

    def finish(self, result: xr.Dataset) -> None:
        """Write the result with the settings of its run; what was kept on the way goes."""
        if self.path is None or self.folder is None:
            return
        written = json.dumps(plain(self.settings))
        write_netcdf(result.assign_attrs({ATTRIBUTE: written}), self.path)
        shutil.rmtree(self.folder)

    def __enter__(self) -> Output:
        if self.path is None or self.folder is None:
            return self
        if self.path.exists() and not self.overwrite:
            self._take_up(self.path, self.folder)
        if self.finished is None:
            self._open.enter_context(
                claimed(self.folder, self.settings, resume=self.resume, overwrite=self.overwrite)
            )
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.close()

    def _take_up(self, path: Path, folder: Path) -> None:
        """Read a result that is there, if it is this run's."""
        if not self.resume:
            raise InputError(
                f"{str(path)!r} is there already: choose another name, or replace it (--overwrite)"
            )
        result = read_netcdf(path)
        then = json.loads(result.attrs.get(ATTRIBUTE, "{}"))
        if unlike := difference(then, self.settings):
            if not folder.exists():
                raise InputError(f"cannot resume {str(path)!r}: {unlike}")
            return
        self.finished = result


@contextlib.contextmanager
def claimed(
    folder: str | Path,
    settings: Mapping[str, Any],
    *,
    resume: bool = False,
    overwrite: bool = False,
    record: str = SETTINGS,
) -> Iterator[Path]:
    """Hold a folder of unfinished work for one run; leaves none behind in which nothing is kept.

    Parameters
    ----------
    folder : path
        New or empty, or of a run with the same settings together with `resume`.
    settings : mapping
        Stored in the folder's file `record`, and compared with what is there.
    resume, overwrite : bool
        Go on with what is there, or remove it.

    Raises
    ------
    InputError
        As `Output`.
    """
    folder = Path(folder)
    with locked(folder / LOCK):
        try:
            _check(folder, settings, record, resume, overwrite)
            write_json(folder / record, plain(settings))
            yield folder
        finally:
            if folder.is_dir() and not _content(folder, record):
                shutil.rmtree(folder)


def _check(
    folder: Path, settings: Mapping[str, Any], record: str, resume: bool, overwrite: bool
) -> None:
    content = _content(folder, record)
    if not content:
        return
    mark = folder / record
    if not mark.exists():
        raise InputError(f"{str(folder)!r} is not empty and of no run: choose another place")
    if overwrite:
        _remove(content)
    elif not resume:
        raise InputError(
            f"{str(folder)!r} holds a run: go on with it (--resume) or start anew (--overwrite)"
        )
    elif unlike := difference(json.loads(mark.read_text("utf-8")), settings):
        raise InputError(f"cannot resume {str(folder)!r}: {unlike}")


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _content(folder: Path, record: str) -> list[Path]:
    """What a run has kept in its folder, besides settings and lock.

    A process that was killed while it wrote its settings has left a file on the way to them.
    """
    ours = (record, LOCK)
    unfinished = f".{record}."
    return [
        path
        for path in folder.iterdir()
        if path.name not in ours and not path.name.startswith(unfinished)
    ]


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; the lock ends with this process, however it ends.

    Raises
    ------
    InputError
        If another process holds it.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        where = str(path.parent)
        raise InputError(f"another process is at work on {where!r}: wait for it") from None
    try:
        yield
    finally:
        # Before the release: whoever opened the file meanwhile sees that it has lost its name.
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()
