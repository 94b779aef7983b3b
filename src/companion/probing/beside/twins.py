"""Models beside their untrained twins: the same architecture, the same text, random weights.

Floor 2. What an untrained network shows too, training has not made. A model that cannot be had is
named with the reason, and the others go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from companion.errors import InputError
from companion.files import stored
from companion.probing.compare_models import (
    model_names,
    probe_loaded,
    reinitialised,
    short_name,
)
from companion.probing.dataset import compact, save
from companion.probing.dataset import open as open_probe
from companion.runtime import Runtime

if TYPE_CHECKING:
    import xarray as xr

TRAINED, UNTRAINED = "probe-{}.nc", "probe-{}-untrained.nc"
"""Names of the stored runs of a model and of its untrained twin."""


@dataclass(frozen=True)
class Twins:
    """Probes by short name, of models and of their untrained twins, and what could not be had.

    Parameters
    ----------
    trained, untrained : dict of name to Dataset
        Shallowest first.
    missing : dict of name to str
        The reason, one sentence.
    """

    trained: Mapping[str, xr.Dataset]
    untrained: Mapping[str, xr.Dataset]
    missing: Mapping[str, str] = field(default_factory=dict)


def probe_twins(models: str, runtime: Runtime, **options) -> Twins:
    """Probe every model that can be had, and the same network with random weights.

    Parameters
    ----------
    models : str
        As for `model_names`; empty for none.
    runtime : Runtime
    **options
        As for `probe_loaded`.
    """
    from companion.models import load_model

    trained, untrained, missing = {}, {}, {}
    for name in model_names(models) if models.strip() else ():
        try:
            loaded = load_model(name, runtime)
        except InputError as refused:
            missing[short_name(name)] = str(refused)
            continue
        trained[short_name(name)] = probe_loaded(loaded, **options)
        untrained[short_name(name)] = probe_loaded(reinitialised(loaded), **options)
    return Twins(_by_depth(trained), _by_depth(untrained), missing)


def store_untrained(model: str, runtime: Runtime, folder: str | Path, **options) -> Path:
    """Probe the untrained twin of a model, and keep it where `stored_twins` looks for it.

    Parameters
    ----------
    model : str
        As for `load_model`.
    runtime : Runtime
    folder : path
        `book/results` of a checkout.
    **options
        As for `probe_loaded`.

    Returns
    -------
    Path
        The file.
    """
    from companion.models import load_model

    path = Path(folder) / UNTRAINED.format(short_name(model))
    save(compact(probe_loaded(reinitialised(load_model(model, runtime)), **options)), path)
    return path


def stored_twins(models: str) -> Twins:
    """The stored runs `probe-NAME.nc` and, where there is one, `probe-NAME-untrained.nc`."""
    names = [name.strip() for name in models.split(",") if name.strip()]
    trained, missing = _stored(names, TRAINED)
    untrained, _ = _stored(trained, UNTRAINED)
    return Twins(_by_depth(trained), _by_depth(untrained), missing)


def _stored(names: Iterable[str], form: str) -> tuple[dict[str, xr.Dataset], dict[str, str]]:
    there, missing = {}, {}
    for name in names:
        try:
            path = stored(form.format(name))
        except InputError:
            missing[name] = "no stored run of it is there"
        else:
            there[name] = open_probe(path)
    return there, missing


def _by_depth(probes: Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    return dict(sorted(probes.items(), key=lambda item: int(item[1].attrs["ell"])))
