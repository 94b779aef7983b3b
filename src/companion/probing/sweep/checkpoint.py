"""The files of one run: its result and, beside it, the checkpoint from which it goes on."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import xarray as xr

from companion.errors import InputError
from companion.models import Model
from companion.probing import dataset as files
from companion.probing.settings import Settings
from companion.probing.sweep.loop import Sweep
from companion.probing.sweep.tokens import Shard, TokenBlocks

SECONDS = 30.0
CURSOR = ("next_block", "blocks", "tokens", "at_once")


class Checkpoint:
    """Where a run is kept; whole files only, so that it may be killed at any moment.

    Parameters
    ----------
    out : path or None
        The result's file; None keeps nothing.
    settings : dict
        What must agree for files to be merged or a run to be resumed, see `identity`.
    shard : Shard
    """

    def __init__(self, out: str | Path | None, settings: dict[str, Any], shard: Shard) -> None:
        self.out = None if out is None else Path(out)
        self.about = {"settings": json.dumps(settings), "shards": json.dumps([str(shard)])}
        self.last = time.monotonic()

    def finished(self) -> xr.Dataset | None:
        """The result of an earlier run with the same parameters, with a notice; None without.

        Raises
        ------
        InputError
            Without a file to look for; if it is of other parameters and there is no checkpoint.
        """
        if self.out is None:
            raise InputError("resume needs `out`: the checkpoint lies beside it")
        if not self.out.exists():
            return None
        kept = files.open(self.out)
        difference = self._difference(kept)
        if difference is None:
            warnings.warn(f"{str(self.out)!r} is complete: there is nothing to do", stacklevel=3)
            return kept
        if self._partial(self.out).exists():
            return None
        raise InputError(f"cannot resume {str(self.out)!r}: {difference}")

    def take_up(self, sweep: Sweep) -> bool:
        """Set a sweep to where its checkpoint was; False, and nothing done, where there is none."""
        if self.out is None or not self._partial(self.out).exists():
            return False
        kept = files.open(self._partial(self.out))
        if difference := self._difference(kept):
            raise InputError(f"cannot resume {str(self.out)!r}: {difference}")
        sweep.state = files.to_state(kept, str(sweep.state.distribution.squares.device))
        for name in CURSOR:
            setattr(sweep, name, int(kept.attrs[name]))
        return True

    def write(self, sweep: Sweep) -> None:
        """Keep the state and the next block in one file, once every `SECONDS`."""
        if self.out is None or time.monotonic() - self.last < SECONDS:
            return
        cursor = {name: getattr(sweep, name) for name in CURSOR}
        files.save(files.state_dataset(sweep.state, self.about | cursor), self._partial(self.out))
        self.last = time.monotonic()

    def finish(self, result: xr.Dataset) -> None:
        """Write the result; the checkpoint has done its work."""
        if self.out is not None:
            files.save(result, self.out)
            self._partial(self.out).unlink(missing_ok=True)

    @staticmethod
    def _partial(out: Path) -> Path:
        return out.with_name(f"{out.stem}.partial.nc")

    def _difference(self, kept: xr.Dataset) -> str | None:
        """The first parameter in which a file differs from this run, in words."""
        ours, theirs = (
            json.loads(about.get("settings", "{}"))
            | {"shard": ", ".join(json.loads(about.get("shards", "[]")))}
            for about in (self.about, kept.attrs)
        )
        for key in ours:
            if ours[key] != theirs.get(key):
                return f"{key} was {theirs.get(key)}, now {ours[key]}"
        return None


def identity(model: Model, source: TokenBlocks, settings: Settings) -> dict[str, Any]:
    """What must agree for files to be merged or a run to be resumed."""
    return {
        "model": model.name,
        "weights": fingerprint(model),
        "corpus": source.facts,
        "dtype": str(model.dtype).removeprefix("torch."),
        "seed": model.runtime.seed,
        **asdict(settings),
    }


def fingerprint(model: Model) -> str:
    """A hash of names, shapes and the first numbers of each weight: tells models apart."""
    digest = hashlib.sha256()
    for path, module in model.net.named_modules():
        with model.present(module):
            for name, weight in module.named_parameters(path, recurse=False):
                head = weight.detach().flatten()[:8].float().cpu().numpy()
                digest.update(f"{name} {tuple(weight.shape)}".encode() + head.tobytes())
    return digest.hexdigest()[:16]
