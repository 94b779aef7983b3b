"""What causal tracing says: which facts are known, where they are, and the paper's sentence."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import xarray as xr

from companion.evidence.claims import Claim, Measurement
from companion.evidence.judging import judge, of
from companion.interventions.indirect_effect import (
    LAST,
    SUBJECT,
    average,
    by_relation,
    exchange,
    over_facts,
    relations,
)
from companion.statistics.intervals import Interval

NEEDLE = "The space needle is in downtown"
PUBLISHED = {
    "pythia-70m": 0.0106,
    "pythia-160m": 0.0124,
    "pythia-1b": 0.0114,
    "pythia-1.4b": 0.0160,
    "pythia-2.8b": 0.0210,
    "pythia-12b": 0.3607,
}
"""Clean probability of " Seattle" after `NEEDLE`, printed by the published code in float16."""


def words(dataset: xr.Dataset) -> dict[str, str]:
    """All sentences about a trace, by the names that the chapter's prose cites."""
    return {
        "known": known_sentence(dataset),
        "relations": relations_sentence(dataset),
        "roles": roles_sentence(dataset),
        "exchange": exchange_sentence(dataset),
        "needle": needle_sentence(dataset),
        "origin": origin_sentence(dataset),
    }


def facts_table(dataset: xr.Dataset) -> pd.DataFrame:
    """One row a fact: target, probability clean and corrupted, rank, and whether it is known."""
    corrupted = dataset.probability_corrupted.mean("noise")
    columns = {
        "target": [repr(str(target)) for target in dataset.target.values],
        "clean": dataset.probability_clean.values.round(4),
        "corrupted": corrupted.values.round(4),
        "rank": dataset["rank"].values,
        "known": ["yes" if not why else f"no: {why}" for why in dataset.reason.values],
    }
    return pd.DataFrame(columns, index=pd.Index(dataset.prompt.values, name="prompt"))


def relations_table(dataset: xr.Dataset) -> pd.DataFrame:
    """One row a relation: facts, known ones, and where the last token takes over, with interval."""
    rows = {}
    for name, part in by_relation(dataset).items():
        handover = over_facts(exchange(part).handover)
        rows[name or "all"] = {
            "facts": part.sizes["prompt"],
            "known": int(part.known.sum()),
            "handover (share of depth)": _told(handover),
        }
    return pd.DataFrame(rows).T.rename_axis("relation")


def known_sentence(dataset: xr.Dataset) -> str:
    """How many facts the model knows, in words."""
    known = dataset.known.values
    return f"{dataset.attrs['model']} knows {known.sum()} of {len(known)} facts."


def relations_sentence(dataset: xr.Dataset) -> str:
    """Of which relations most and fewest facts are known, in words."""
    named = relations(dataset)
    groups = {name: dataset.known.values[named == name] for name in dict.fromkeys(named)}
    ranked = sorted(groups, key=lambda name: groups[name].mean())
    if len(ranked) < 2:
        return "All facts are of one relation."
    first, last = ranked[-1], ranked[0]
    return (
        f"They are of {len(groups)} relations; best known is {first} ({groups[first].sum()} of "
        f"{len(groups[first])}), least {last} ({groups[last].sum()} of {len(groups[last])})."
    )


def roles_sentence(dataset: xr.Dataset) -> str:
    """From which layer on the last token carries the answer, and up to which the subject, in words.

    Carrying means that restoring the state brings back at least half of the lost probability, in
    the mean over known facts.
    """
    if not dataset.known.any():
        return f"{dataset.attrs['model']} knows none of the facts, so nothing can be brought back."
    shares, ell = average(dataset), dataset.attrs["ell"]
    subject, last = (
        shares.layer[shares.estimate.sel(role=role) >= 0.5].values for role in (SUBJECT, LAST)
    )
    until = f"up to layer {subject.max()} of {ell}" if len(subject) else "at no layer"
    since = f"from layer {last.min()} of {ell} on" if len(last) else "at no layer"
    return (
        f"In the mean over {int(dataset.known.sum())} known facts, restoring the end of the "
        f"subject brings back at least half of the lost probability {until}, restoring the last "
        f"token {since}."
    )


def exchange_sentence(dataset: xr.Dataset) -> str:
    """Where in depth the last token takes over, and by how large a step, in words."""
    if not dataset.known.any():
        return "Without a known fact there is nothing to hand over."
    takeover = exchange(dataset)
    handover, step = (over_facts(takeover[name]) for name in ("handover", "largest_step"))
    return (
        f"The last token takes over from the subject at {_told(handover)} of the depth; the "
        f"largest rise of its share from one layer to the next is {_told(step)} in the mean. "
        f"{_commonest_step(takeover)}"
    )


def _commonest_step(takeover: xr.Dataset) -> str:
    """To which layer the largest rise leads most often, in words."""
    layers = takeover.step_to.values[np.isfinite(takeover.step_to.values)].astype(int)
    if not len(layers):
        return "No fact has an end of subject before its last token."
    counts = np.bincount(layers)
    top = int(counts.argmax())
    return f"In {counts[top]} of {len(layers)} facts it is the rise to layer {top}."


def exchange_is_gradual(dataset: xr.Dataset) -> Claim:
    """Claim: no single layer moves most of the answer from the subject to the last token.

    In each fact the largest rise of the last token's share over one layer: 1 where one layer does
    everything, 1/ell where all do alike.
    """
    known, measured = int(dataset.known.sum()), []
    if known:
        step = over_facts(exchange(dataset).largest_step)
        measured = [of(step, "largest step, mean over facts")] if np.isfinite(step.low) else []
    return judge(
        "fact-moves-gradually",
        measured,
        _scope(dataset, f"{known} known facts of {dataset.sizes['prompt']}"),
        met={"known facts": known},
        size=known,
    )


def space_needle(dataset: xr.Dataset) -> Claim:
    """Claim: the published clean probability of the paper's own sentence, to 5 %."""
    model = str(dataset.attrs["model"])
    published = PUBLISHED.get(model.rpartition("/")[2])
    probability = dataset.probability_clean.sel(prompt=dataset.prompt == NEEDLE).values
    measured, reason = [], ""
    if published is None or not len(probability):
        reason = f"needs a Pythia model of the paper and the facts `world`; this run has {model}"
    else:
        ratio = float(probability[0]) / published
        measured = [Measurement(f"p(Seattle) over the published, {model}", ratio, ratio, ratio)]
    scope = _scope(dataset, "one run") | {"data": "one sentence"}
    return judge("space-needle", measured, scope, reason=reason)


def needle_sentence(dataset: xr.Dataset) -> str:
    """How the paper's sentence fares in lower case, and with its capitals, in words."""
    clauses = []
    for prompt in (NEEDLE, NEEDLE.replace("space needle", "Space Needle")):
        one = dataset.isel(prompt=np.flatnonzero(dataset.prompt.values == prompt))
        if one.sizes["prompt"]:
            p, rank = float(one.probability_clean[0]), int(one["rank"][0])
            clauses.append(f"after “{prompt}” Seattle has probability {p:.2g} (choice {rank})")
    if not clauses:
        return "The paper's sentence is not among these facts."
    return f"In {dataset.attrs['model']}, {', and '.join(clauses)}."


def origin_sentence(dataset: xr.Dataset) -> str:
    """Where and how a stored trace was made, in words."""
    stamp = json.loads(dataset.attrs["provenance"])
    given = stamp["parameters"]
    return (
        f"{dataset.attrs['model']} ({dataset.attrs['ell']} blocks), {given['facts']} facts, "
        f"{given['draws']} draws of noise, {max(1, round(given['window'] * dataset.attrs['ell']))} "
        f"layers restored at once, on {stamp['device']}, {stamp['time'][:10]}, commit "
        f"{stamp['commit']}."
    )


def _told(interval: Interval) -> str:
    """Estimate with its interval, without it where there is none."""
    return f"{interval:.2f}" if np.isfinite(interval.low) else f"{interval.estimate:.2f}"


def _scope(dataset: xr.Dataset, data: str) -> dict[str, str]:
    draws = f"{dataset.sizes['noise']} draws of noise a fact"
    return {"model": str(dataset.attrs["model"]), "data": data, "size": draws}
