"""The checkpoint of a run, and what makes two runs the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from companion.files import read_netcdf, write_netcdf
from companion.models import Model
from companion.probing.dataset import state_dataset, to_state
from companion.probing.settings import Settings
from companion.probing.sweep.loop import Sweep
from companion.probing.sweep.tokens import TokenBlocks
from companion.runs import Every

SECONDS = 30.0
FILE = "state.nc"
CURSOR = ("next_block", "blocks", "tokens", "at_once")


def take_up(sweep: Sweep, file: Path | None) -> bool:
    """Set a sweep to where its checkpoint was; False, and nothing done, where there is none."""
    if file is None or not file.exists():
        return False
    kept = read_netcdf(file)
    sweep.state = to_state(kept, str(sweep.state.distribution.squares.device))
    for name in CURSOR:
        setattr(sweep, name, int(kept.attrs[name]))
    return True


def keeper(file: Path | None) -> Callable[[Sweep], None]:
    """A function that keeps a sweep's state and place in `file`, once every `SECONDS`."""
    often = Every(SECONDS)

    def keep(sweep: Sweep) -> None:
        if file is not None and often.due():
            place = {name: getattr(sweep, name) for name in CURSOR}
            write_netcdf(state_dataset(sweep.state, place), file)

    return keep


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
