"""Fitting of loss laws in width, depth and data, with every uncertainty worth having. Floor 2."""

from companion.scaling.checks import correlation, describe_data, identifiable, outliers
from companion.scaling.fitting import fit
from companion.scaling.laws import LAWS, ScalingLaw, Term, get_law
from companion.scaling.methods import METHODS, quantify
from companion.scaling.profile import Profile, profile, profile_pair, span
from companion.scaling.question import Answer, ask, beside
from companion.scaling.resampling import Draws, bootstrap, jackknife
from companion.scaling.result import Certificate, FitResult

__all__ = [
    "LAWS",
    "METHODS",
    "Answer",
    "Certificate",
    "Draws",
    "FitResult",
    "Profile",
    "ScalingLaw",
    "Term",
    "ask",
    "beside",
    "bootstrap",
    "correlation",
    "describe_data",
    "fit",
    "get_law",
    "identifiable",
    "jackknife",
    "outliers",
    "profile",
    "profile_pair",
    "quantify",
    "span",
]
