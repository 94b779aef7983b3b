"""Reach into a model and see what changes: causal tracing, and blocks out of their order.

Floor 2. Works on any decoder-only transformers model that `companion.models` can load.
`blocks` disturbs a block, `losses` and `ablation` measure what that costs, `costs` summarises it;
`comparison` does so for several models, `controls` for stacks of known regime. `facts`, `encoding`
and `tracing` trace facts, one at a time in `restoring`; `indirect_effect` averages over them.
"""

from companion.interventions.ablation import ablate, estimate_ablation
from companion.interventions.blocks import KINDS, intervene, places
from companion.interventions.comparison import (
    Ablation,
    Pretrained,
    Text,
    ablate_models,
    ablate_or_stored,
    ablate_text,
)
from companion.interventions.costs import (
    by_documents,
    gain_of_depth,
    loss_change,
    middle,
    middle_cost,
    resampled,
)
from companion.interventions.encoding import ROLES, Encoded, encode
from companion.interventions.facts import Fact, load_facts, packaged_facts
from companion.interventions.restoring import Tracing, embedding_std
from companion.interventions.tracing import estimate_trace, save, trace

__all__ = [
    "KINDS",
    "ROLES",
    "Ablation",
    "Encoded",
    "Fact",
    "Pretrained",
    "Text",
    "Tracing",
    "ablate",
    "ablate_models",
    "ablate_or_stored",
    "ablate_text",
    "by_documents",
    "embedding_std",
    "encode",
    "estimate_ablation",
    "estimate_trace",
    "gain_of_depth",
    "intervene",
    "load_facts",
    "loss_change",
    "middle",
    "middle_cost",
    "packaged_facts",
    "places",
    "resampled",
    "save",
    "trace",
]
