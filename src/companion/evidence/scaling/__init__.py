"""What the scaling fits say: claims, and sentences that a page cites; one module a chapter.

`fit` (the exponent, the optimum, others' numbers), `identifiability` (cuts, laws, coverage),
`second_table` (Gemstones), `ladder`, `planner`, `effective` (through training). A function whose
name ends in `sentence` composes one; the others give a `Claim` about one table.
"""

from companion.evidence.scaling.effective import inverse_throughout
from companion.evidence.scaling.fit import (
    ABOUT_ONE,
    convergence_sentence,
    design_sentence,
    held_out_sentence,
    intervals_sentence,
    inverse_depth,
    published_optimum,
    reproduction_sentence,
    rows_sentence,
    scatter_sentence,
    stored_sentence,
    warnings_sentence,
)
from companion.evidence.scaling.identifiability import (
    additivity,
    coverage_sentence,
    coverage_study,
    cuts_sentence,
    inflation_sentence,
    laws_sentence,
    preference_sentence,
    robust_depth,
)
from companion.evidence.scaling.planner import (
    efficiency_sentence,
    plan_row,
    reach_sentence,
    shape_sentence,
    warnings_of,
)
from companion.evidence.scaling.second_table import (
    clusters_sentence,
    second_table,
    subsets_sentence,
    usual_shapes_sentence,
)

__all__ = [
    "ABOUT_ONE",
    "additivity",
    "clusters_sentence",
    "convergence_sentence",
    "coverage_sentence",
    "coverage_study",
    "cuts_sentence",
    "design_sentence",
    "efficiency_sentence",
    "held_out_sentence",
    "inflation_sentence",
    "intervals_sentence",
    "inverse_depth",
    "inverse_throughout",
    "laws_sentence",
    "plan_row",
    "preference_sentence",
    "published_optimum",
    "reach_sentence",
    "reproduction_sentence",
    "robust_depth",
    "rows_sentence",
    "scatter_sentence",
    "second_table",
    "shape_sentence",
    "stored_sentence",
    "subsets_sentence",
    "usual_shapes_sentence",
    "warnings_of",
    "warnings_sentence",
]
