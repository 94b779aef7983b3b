"""What figures of probes show, one sentence a caption, made from what they draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from companion.evidence.probes.answers import evenly
from companion.evidence.probes.depth_report import Reading
from companion.evidence.probes.geometry import FEWEST_DEPTHS, INVERSE
from companion.evidence.probes.probing import LENS_NAMES, against_guess
from companion.probing.compare_models import short_name
from companion.probing.numerics import COARSE, EXACT, PUBLISHED
from companion.probing.summaries import (
    depth,
    depths,
    estimates,
    middle_layers,
    middle_loss,
    middle_mean,
    own_loss,
    profile,
    rotation_slope,
)

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def of_loss(dataset: xr.Dataset) -> str:
    """How many layers lower the loss, and the largest part of the middle ones."""
    removed, _ = estimates(dataset, "loss_removed")
    known = removed[np.isfinite(removed)]
    lower = f"Read through the last block, {(known > 0).sum()} of {len(known)} layers lower the"
    layers, middle, _ = middle_loss(dataset)
    if not len(layers) or middle.sum() <= 0:
        return f"{lower} loss; the middle ones together do not."
    best = int(middle.argmax())
    share = middle[best] / middle.sum()
    return (
        f"{lower} loss; of the middle ones layer {layers[best]} removes most, "
        f"{100 * share:.0f} % of what they remove together."
    )


def of_agreement(dataset: xr.Dataset) -> str:
    """From which layer on each lens gives the model's own first choice to half of the tokens."""
    lenses = [
        f"{how.lower()} from layer {_from_half(profile(dataset, f'top1{lens}'))} on"
        for lens, how in LENS_NAMES.items()
        if f"top1{lens}" in dataset
    ]
    return f"Half of the first choices or more are the model's own {', '.join(lenses)}."


def _from_half(agreed: np.ndarray) -> int:
    known = agreed[np.isfinite(agreed)]
    below = np.flatnonzero(known < 0.5)
    return int(below[-1]) + 1 if len(below) else 0


def of_norms(dataset: xr.Dataset) -> str:
    """How the norm of the state changes through the layers, and how far first tokens are off."""
    norm, first = profile(dataset, "norm"), profile(dataset, "norm", group="first")
    moves = "grow" if norm[-1] > norm[0] else "shrink"
    ratio = first / norm
    clause = f"From the embedding to the end states {moves} from {norm[0]:.3g} to {norm[-1]:.3g}"
    if not np.isfinite(ratio).any():
        return f"{clause}."
    low, high = np.nanmin(ratio), np.nanmax(ratio)
    return f"{clause}; those of first tokens and sinks are {low:.2g} to {high:.2g} times as long."


def of_curves(datasets: Mapping[str, xr.Dataset]) -> str:
    """What is left at half of the depth of the fall of the loss, over models."""
    left = [_left(dataset) for dataset in datasets.values()]
    few, many = 100 * min(left), 100 * max(left)
    return (
        f"At half of the depth {few:.0f} to {many:.0f} % of a model's fall of the loss are still "
        "to come."
    )


def _left(dataset: xr.Dataset) -> float:
    loss, own = profile(dataset, "cross_entropy"), own_loss(dataset).estimate
    at_half = np.interp(depth(dataset) / 2, np.arange(depth(dataset)), loss[: depth(dataset)])
    return (at_half - own) / (loss[0] - own)


def of_guess(datasets: Mapping[str, xr.Dataset]) -> str:
    """What either lens reads in the middle of models, beside a uniform guess."""
    clauses = [
        f"in the middle of {short_name(d.attrs['model'])} this is {against_guess(d, lens)}, "
        f"{how.lower()}"
        for d in datasets.values()
        for lens, how in LENS_NAMES.items()
        if f"cross_entropy{lens}" in d
    ]
    return f"{'; '.join(clauses)}." if clauses else "no pretrained model could be read."


def of_slope(datasets: Mapping[str, xr.Dataset]) -> str:
    """Whether deeper models turn the state less in each layer."""
    if depths(datasets) < FEWEST_DEPTHS:
        return f"These are {depths(datasets)} depths, too few for an exponent."
    slope = rotation_slope(datasets)
    if slope.low <= 0 <= slope.high:
        return f"Whether depth changes the turn of a layer stays open (exponent {slope:.2f})."
    less = "less" if slope.high < 0 else "more"
    return f"Deeper models turn the state {less} in each layer (exponent {slope:.2f})."


def of_controls(systems: Mapping[str, Mapping[str, xr.Dataset]]) -> str:
    """Which exponents tell the controls apart, by regime."""
    rotation = {name: rotation_slope(one).estimate for name, one in systems.items()}
    turn = {name: rotation_slope(one, "theta_dh").estimate for name, one in systems.items()}
    return f"The exponent of the rotation {_told(rotation)}; that of the turn {_told(turn)}."


def _told(slopes: Mapping[str, float]) -> str:
    apart = max(slopes.values()) - min(slopes.values()) >= INVERSE[1] - INVERSE[0]
    how = "tells the controls apart" if apart else "does not tell the controls apart"
    return f"{how} ({', '.join(f'{name} {slope:.2f}' for name, slope in slopes.items())})"


def of_evenness(reading: Reading) -> str:
    """How evenly one model turns the state."""
    return (
        f"In its middle {short_name(reading.model)} turns the state {evenly(reading.evenness)} "
        f"(participation {reading.evenness:.2f})."
    )


def of_rounding(runs: Mapping[str, xr.Dataset]) -> str:
    """The rounding noise as a share of the rotation, and where the published choices matter."""
    coarse = runs[COARSE]
    noise = float(coarse["theta_noise"].values[middle_layers(depth(coarse))].mean())
    off = profile(runs[PUBLISHED], "theta") - profile(runs[EXACT], "theta")
    layer = int(np.nanargmax(np.abs(off)))
    share = 100 * noise / middle_mean(runs[EXACT]).estimate
    return (
        f"Rounding in bfloat16 is {share:.2g} % of the middle rotation, and the "
        f"published choices change layer {layer} of {len(off) - 1} most, by "
        f"{off[layer]:.2g} rad."
    )


def of_training(frame: pd.DataFrame) -> str:
    """How the exponent of the rotation moves from the first checkpoint to the last."""
    first, last = frame.iloc[0], frame.iloc[-1]
    how = "does not clearly change how rotations depend on depth"
    if last.high < first.low:
        how = "makes deep models turn the state less in each layer"
    if last.low > first.high:
        how = "brings the rotations of deep and shallow models closer"
    return f"Training {how}: exponent {first.estimate:.2f} at first, {last.estimate:.2f} at last."


def of_followed(tracked: xr.Dataset) -> dict[str, str]:
    """Of the deepest model: how evenness and correlation move, and where the loss gets good."""
    deepest = tracked.isel(model=int(tracked["ell"].isel(step=0).argmax("model")))
    ends = deepest.isel(step=[0, -1]).sel(bound="estimate")
    even, cosine = (ends[name].values for name in ("participation", "cosine"))
    return {
        "even": f"From the first checkpoint to the last participation goes from {even[0]:.2f} to "
        f"{even[1]:.2f}, the mean cosine of updates from {cosine[0]:.2f} to {cosine[1]:.2f}.",
        "loss": f"At the first checkpoint {_half_way(ends['cross_entropy'].values[0])}, at the "
        f"last {_half_way(ends['cross_entropy'].values[1])}.",
    }


def _half_way(loss: np.ndarray) -> str:
    known = loss[np.isfinite(loss)]
    if known[-1] >= known[0]:
        return "the loss does not fall through the layers"
    reached = int(np.argmax(known < (known[0] + known[-1]) / 2))
    return f"half of the fall is reached at layer {reached} of {len(known)}"
