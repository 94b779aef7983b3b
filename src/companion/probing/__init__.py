"""How a language model uses its depth: all per-layer statistics in one pass (floor 2).

`sweep`: the pass and its statistics; `lens`: predictions from every layer, and the certificate.
`training`: the same over checkpoints; `compare_models`, `controls`, `numerics`: over models, over
systems of known regime, over number formats. `settings`, `quantities`: what is measured.
`dataset`: files, open, save, merge, compact; `summaries`: few numbers out of a dataset.
"""

from companion.probing.dataset import compact, merge, open, save
from companion.probing.lens.certificate import CertificateError, certify
from companion.probing.sweep.cost import Estimate, estimate_probe
from companion.probing.sweep.run import probe, summarise

__all__ = [
    "CertificateError",
    "Estimate",
    "certify",
    "compact",
    "estimate_probe",
    "merge",
    "open",
    "probe",
    "save",
    "summarise",
]
