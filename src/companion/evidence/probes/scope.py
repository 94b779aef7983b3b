"""What a verdict on probes holds for, and which claim probes of a kind of model speak to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from companion.evidence.claims import Claim, Measurement
from companion.evidence.judging import judge
from companion.evidence.registry import registry
from companion.probing.summaries import depth, middle_layers

if TYPE_CHECKING:
    import xarray as xr

FEWEST_MIDDLE = 3
"""With fewer middle layers than this, even and staged cannot be told apart."""

_LADDER = re.compile(r"(^|[:/])(m\d+-)?ell\d+")


def scope_of_probes(datasets: Mapping[str, xr.Dataset]) -> dict[str, str]:
    """What a verdict on these datasets holds for: models, corpus, tokens, number format."""
    corpora = {str(d.attrs.get("corpus_name", "unnamed")) for d in datasets.values()}
    tokens = {int(d.attrs["tokens"]) for d in datasets.values() if "tokens" in d.attrs}
    formats = {str(d.attrs["dtype"]) for d in datasets.values() if "dtype" in d.attrs}
    return {
        "models": ", ".join(datasets),
        "data": ", ".join(sorted(corpora)),
        "size": ", ".join(f"{n:,} tokens" for n in sorted(tokens)) + " a model",
        "numbers": ", ".join(sorted(formats)),
    }


def of_ladder(name: str) -> bool:
    """Whether a model is one of a ladder, which differ in depth alone."""
    return bool(_LADDER.search(name))


def by_kind(datasets: Mapping[str, xr.Dataset]) -> dict[str, dict[str, xr.Dataset]]:
    """The datasets of pretrained models and those of a ladder, as far as there are any."""
    kinds: dict[str, dict[str, xr.Dataset]] = {}
    for name, dataset in datasets.items():
        source = str(dataset.attrs.get("model", name))
        kind = "ladder" if of_ladder(source) or of_ladder(name) else "pretrained"
        kinds.setdefault(kind, {})[name] = dataset
    return dict(sorted(kinds.items(), reverse=True))


def judge_probes(
    key: str,
    datasets: Mapping[str, xr.Dataset],
    measurements: list[Measurement],
    otherwise: str = "",
    **given: Any,
) -> Claim:
    """The claim about probes of one kind of model: on a ladder the one that ends in "-ladder".

    `otherwise` says why there are no measurements; `given` is passed to `judge`.
    """
    kind = next(iter(by_kind(datasets)), "pretrained")
    own = f"{key}-ladder" if kind == "ladder" else key
    tokens = sum(int(d.attrs.get("tokens", 0)) for d in datasets.values())
    return judge(
        own if own in registry() else key,
        measurements,
        scope_of_probes(datasets),
        data=kind,
        reason="" if measurements else otherwise,
        size=tokens,
        **given,
    )


def with_a_middle(datasets: Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Those whose middle half has at least `FEWEST_MIDDLE` layers."""
    return {n: d for n, d in datasets.items() if len(middle_layers(depth(d))) >= FEWEST_MIDDLE}
