"""Published tables: where each comes from, found in `COMPANION_DATA` or the cache, or downloaded.

The sha256 of a table is checked each time.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from companion.errors import InputError
from companion.files import atomic

TIMEOUT = 8.0


class TableUnavailable(InputError):
    """A registered table that is neither here nor downloadable."""


@dataclass(frozen=True)
class Source:
    """Where a registered table comes from, and which of its columns are which.

    `columns` maps our names to the file's; an empty `url` means that the table is packaged.
    """

    name: str
    file: str
    url: str
    sha256: str
    columns: Mapping[str, str]
    citation: str
    licence: str = "none stated: figures only"
    notes: str = field(default="", kw_only=True)


_RAW = "https://raw.githubusercontent.com"
SOURCES = {
    s.name: s
    for s in (
        Source(
            "chinchilla",
            "chinchilla.csv",
            f"{_RAW}/liuyz0/DepthScaling/main/Scaling/get_fitting_data_chinchilla.csv",
            "cb474e8f5fc87be4132190a0c782d1521c4f06b9c041395b3a78ff2ffc34f83e",
            {"m": "d_model", "ell": "n_layers", "D": "num_tokens", "N": "model_size"}
            | {"flops": "FLOP"},
            "Hoffmann et al. 2022, figure 4, digitised by Besiroglu et al. 2024",
            notes="245 runs, 39 shapes; width and depth rise together",
        ),
        Source(
            "gemstones",
            "gemstones_hot_100b.jsonl",
            f"{_RAW}/mcleish7/gemstone-scaling-laws/main/wandb_dfs/"
            "wandb_df_for_fitting_hot_100b%2B.jsonl",
            "1da97ce3d1394e0223826c8f5ca081cb0fb289ec65d2707fb5430721e92e9659",
            {"m": "width", "ell": "depth", "D": "tokens", "loss": "final_loss"}
            | {"N": "params_active_precise", "run": "run_name"},
            "McLeish et al. 2025",
            "MIT",
            notes="770 checkpoints of 22 training runs; width and depth nearly independent",
        ),
        Source(
            "ladder",
            "ladder.csv",
            "",
            "",
            {},
            "this project's own small models",
            "MIT",
            notes="trained by `companion ladder train`",
        ),
    )
}


def locate(source: Source) -> Path:
    """The file of a registered table, downloaded if need be and verified in any case."""
    if not source.url:
        path = Path(str(resources.files("companion"))) / "data" / source.file
        if not path.is_file():
            raise TableUnavailable(f"table {source.name!r} is not in this installation ({path})")
        return path
    folder = os.environ.get("COMPANION_DATA")
    if folder and (Path(folder) / source.file).is_file():
        return _verified(Path(folder) / source.file, source)
    cached = _cache() / source.file
    if cached.is_file():
        return _verified(cached, source, aside=True)
    return _download(source, cached)


def _pooch():
    """The downloader; tqdm, which it imports, warns about notebooks without widgets."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pooch
    return pooch


def _cache() -> Path:
    return Path(os.environ.get("COMPANION_CACHE") or _pooch().os_cache("depth-companion"))


def _verified(path: Path, source: Source, aside: bool = False) -> Path:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found == source.sha256:
        return path
    where = f"{path}"
    if aside:
        where = f"{path.rename(path.with_name(path.name + '.corrupt'))} (set aside)"
    raise InputError(
        f"checksum error in {where}: sha256 is {found[:12]}..., "
        f"{source.name} has {source.sha256[:12]}...; fetch it again from {source.url}"
    )


def _download(source: Source, target: Path) -> Path:
    try:
        with atomic(target) as temporary:
            _pooch().HTTPDownloader(timeout=TIMEOUT)(source.url, str(temporary), None)
    except OSError as error:
        data = os.environ.get("COMPANION_DATA")
        raise TableUnavailable(
            f"table {source.name!r} is not in COMPANION_DATA ({data or 'not set'}) nor in "
            f"{target.parent}, and {source.url} did not answer ({type(error).__name__}): "
            f"put {source.file} in a folder and set COMPANION_DATA to it"
        ) from None
    return _verified(target, source, aside=True)
