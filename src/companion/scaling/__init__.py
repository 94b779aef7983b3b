"""Fitting of loss laws in width, depth and data, with every uncertainty worth having. Floor 2.

`fitting`: the laws as data, the solver, Huber's loss, the certificate, `fit` and its result.
`uncertainty`: sandwich, profile, bootstrap, jackknife, and how often each covers planted truth.
`comparison`: other laws, other cuts, other tables; models that differ in depth alone.
`publications`: published numbers, the published optimiser, our fits of the same rows, stored.
`planning`: the best width, depth and data within a budget.
"""

from companion.scaling import planning
from companion.scaling.comparison import criteria, cuts
from companion.scaling.comparison.evaluation import Evaluation, evaluate, evaluate_tables
from companion.scaling.fitting.certificate import Bound, Certificate
from companion.scaling.fitting.checks import correlation, describe_data, identifiable, outliers
from companion.scaling.fitting.fit import fit
from companion.scaling.fitting.laws import LAWS, ScalingLaw, Term, get_law
from companion.scaling.fitting.result import FitResult, FitSummary
from companion.scaling.publications import refits
from companion.scaling.publications.stand_in import rows_for
from companion.scaling.uncertainty.coverage import coverage, plant
from companion.scaling.uncertainty.methods import METHODS, quantify
from companion.scaling.uncertainty.profile import (
    LikelihoodProfile,
    joint_profile,
    likelihood_profile,
    span,
)
from companion.scaling.uncertainty.resampling import Draws, bootstrap, jackknife

__all__ = [
    "LAWS",
    "METHODS",
    "Bound",
    "Certificate",
    "Draws",
    "Evaluation",
    "FitResult",
    "FitSummary",
    "LikelihoodProfile",
    "ScalingLaw",
    "Term",
    "bootstrap",
    "correlation",
    "coverage",
    "criteria",
    "cuts",
    "describe_data",
    "evaluate",
    "evaluate_tables",
    "fit",
    "get_law",
    "identifiable",
    "jackknife",
    "joint_profile",
    "likelihood_profile",
    "outliers",
    "planning",
    "plant",
    "quantify",
    "refits",
    "rows_for",
    "span",
]
