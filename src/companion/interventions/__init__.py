"""Reach into a model and see what changes: causal tracing, and blocks out of their order.

Floor 2. Works on any decoder-only transformers model that `companion.models` can load.
"""

from companion.interventions.ablation import (
    ablate,
    by_documents,
    gain_of_depth,
    loss_change,
    resampled,
)
from companion.interventions.blocks import KINDS, intervene, places
from companion.interventions.encoding import ROLES, Encoded, encode
from companion.interventions.facts import Fact, load_facts, packaged_facts
from companion.interventions.findings import middle, middle_cost
from companion.interventions.passage import Passage, record, resume
from companion.interventions.restoring import Tracing, embedding_std
from companion.interventions.several import ablate_each
from companion.interventions.tracing import Cost, estimate, save, trace

__all__ = [
    "KINDS",
    "ROLES",
    "Cost",
    "Encoded",
    "Fact",
    "Passage",
    "Tracing",
    "ablate",
    "ablate_each",
    "by_documents",
    "embedding_std",
    "encode",
    "estimate",
    "gain_of_depth",
    "intervene",
    "load_facts",
    "loss_change",
    "middle",
    "middle_cost",
    "packaged_facts",
    "places",
    "record",
    "resampled",
    "resume",
    "save",
    "trace",
]
