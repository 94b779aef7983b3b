"""A pretrained model beside the ladder: read live where it can be had, and from a stored run."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from companion.errors import InputError
from companion.evidence.probes.depth_report import read_all
from companion.evidence.probes.probing import lens_sentence, origin_of_probe
from companion.files import stored
from companion.models import ModelUnavailable
from companion.probing.compare_models import probe_one, short_name
from companion.probing.dataset import open as open_probe
from companion.runtime import Runtime

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr


@dataclass(frozen=True)
class RealModel:
    """A pretrained model as this run could show it.

    Parameters
    ----------
    name : str
    runs : dict of str to dataset
        "NAME, stored" and "NAME, live", as far as there are any; the stored, larger run first.
    sentence : str
        Where the numbers come from, and why there are none where there are none.
    """

    name: str
    runs: dict[str, xr.Dataset] = field(default_factory=dict)
    sentence: str = ""

    @property
    def largest(self) -> dict[str, xr.Dataset]:
        """The stored run, or else the live one; empty without any."""
        return dict(islice(self.runs.items(), 1))

    @property
    def lenses(self) -> str:
        """What either lens reads from its middle layers, in words."""
        return " ".join(lens_sentence(dataset) for dataset in self.largest.values())

    def reading(self, generator: np.random.Generator) -> str:
        """What its geometry and its losses say of its use of depth, in words."""
        readings = read_all(self.largest, generator).values()
        return " ".join(sentence for reading in readings for sentence in reading.sentences)


def real_model(name: str, runtime: Runtime, **options) -> RealModel:
    """Probe a pretrained model if it can be had, and take the stored run if there is one.

    Parameters
    ----------
    name : str
        As for `load_model`; empty for none.
    runtime : Runtime
    **options
        As for `probe_one`.
    """
    if not name:
        return RealModel(name, sentence="No pretrained model was asked for.")
    runs, sentences = {}, []
    if (kept := _stored(name)) is not None:
        runs[f"{short_name(name)}, stored"] = kept
        sentences.append(f"Stored run: {origin_of_probe(kept)}")
    try:
        runs[f"{short_name(name)}, live"] = live = probe_one(name, runtime, **options)
        sentences.append(f"Live run: {origin_of_probe(live)}")
    except ModelUnavailable as absent:
        sentences.append(f"There is no live run: {absent}.")
    return RealModel(name, runs, " ".join(sentences))


def _stored(name: str) -> xr.Dataset | None:
    try:
        return open_probe(stored(f"probe-{short_name(name)}.nc"))
    except InputError:
        return None
