"""Figures of the scaling fits: parts of the loss, intervals, profiles, comparisons.

Floor 3. Each function takes a result and, if given, an Axes; it returns the Axes.
"""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from companion.plotting import theme
from companion.scaling import FitResult, LikelihoodProfile, planning

LABELS = {
    "m": "width $m$ (channels)",
    "ell": r"depth $\ell$ (blocks)",
    "D": "training tokens $D$",
    "N": "parameters $N$",
    "alpha_m": r"$\alpha_m$",
    "alpha_ell": r"$\alpha_\ell$",
    "alpha_D": r"$\alpha_D$",
    "L_0": "$L_0$ (nats/token)",
}
BLUE, RED, GREEN, PINK = theme.FAMILY_PALETTE[:4]


def part(result: FitResult, variable: str, ax=None):
    """One part of the loss: what the other fitted terms leave, against its variable.

    The line is the fitted term, dots where it depends on other variables too. Under a law with an
    outer power s the parts are those of loss^(1/s). Rows that the other terms overshoot cannot be
    drawn on a log axis; they are marked at the foot of the axes.
    """
    ax = ax or plt.gca()
    params, law, table = result.params, result.law, result.table
    terms = [t for t in law.terms if _has(t, variable)]
    rest = {name: 0.0 for name in law.coefficients if name not in {t.coefficient for t in terms}}
    power = 1 / params[law.power] if law.power else 1.0
    term = law.predict(dict(params) | rest, table) ** power
    left = np.asarray(table["loss"]) ** power - result.predict(table) ** power + term
    x, seen = np.asarray(table[variable]), left > 0
    ax.scatter(x[seen], left[seen], s=12, alpha=0.5, color=BLUE, linewidths=0)
    label = f"loss due to ${_tex(variable)}$" if power == 1 else f"part of ${_tex(variable)}$"
    ax.set(xscale="log", yscale="log", xlabel=LABELS[variable], ylabel=label)
    order = np.argsort(x)
    alone = all(len(t.exponents) == 1 for t in terms)
    ax.plot(x[order], term[order], "-" if alone else ".", color=RED, markersize=3)
    _plain_ticks(ax)
    if not seen.all():
        foot = np.full((~seen).sum(), 0.02)
        ax.plot(x[~seen], foot, "|", color=RED, transform=ax.get_xaxis_transform())
    return ax


def parts(result: FitResult, axes=None):
    """The parts of the loss by each variable of the law (the paper's figure 2f, redrawn)."""
    variables = result.law.variables
    if axes is None:
        _, axes = plt.subplots(1, len(variables), figsize=(10, 3.2), squeeze=False)
    for ax, variable in zip(np.ravel(axes), variables, strict=True):
        part(result, variable, ax)
    return np.ravel(axes)


def _plain_ticks(ax) -> None:
    """Plain numbers on log axes of less than two decades, where powers of ten are too few."""
    for axis in (ax.xaxis, ax.yaxis):
        low, high = axis.get_view_interval()
        if axis.get_scale() == "log" and high < min(100 * low, 1e5):
            steps = (1, 2, 5) if high > 10 * low else (1, 2, 3, 5, 7)
            steps = steps if high > 4 * low else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 7)
            axis.set_major_locator(LogLocator(subs=steps))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())


def _has(term, variable: str) -> bool:
    return any(v == variable for v, _ in term.exponents)


def _tex(variable: str) -> str:
    return {"ell": r"\ell"}.get(variable, variable)


def design(table, ax=None):
    """Where the runs lie in width and depth; area grows with the number of runs of a shape."""
    ax = ax or plt.gca()
    counts = table.groupby(["m", "ell"]).size().reset_index(name="rows")
    ax.scatter(
        counts["m"],
        counts["ell"],
        s=150 * counts["rows"] / counts["rows"].max(),
        alpha=0.6,
        color=BLUE,
    )
    ax.set(xscale="log", yscale="log", xlabel=LABELS["m"], ylabel=LABELS["ell"])
    _plain_ticks(ax)
    return ax


def intervals(result: FitResult, name: str, ax=None, expected=(None, None)):
    """All 95 % intervals of one parameter, a line for each method; the band is what is expected."""
    ax = ax or plt.gca()
    pairs = [(method, v[name]) for method, v in result.intervals.items() if name in v]
    for row, (_, interval) in enumerate(pairs):
        ax.plot([interval.low, interval.high], [row, row], color=BLUE)
        ax.plot(interval.estimate, row, "o", color=BLUE)
    ax.set_yticks(range(len(pairs)), [method.replace("_", ", ") for method, _ in pairs])
    ax.set_xlabel(LABELS.get(name, name))
    ax.invert_yaxis()
    _band(ax, expected)
    return ax


def _band(ax, expected) -> None:
    if None not in expected:
        ax.axvspan(*expected, color=GREEN, alpha=0.15, linewidth=0)


def curve(profile: LikelihoodProfile, ax=None):
    """Deviance along one held parameter, with the 95 % threshold; crosses did not converge."""
    ax = ax or plt.gca()
    ax.plot(profile.values[0], profile.deviance, color=BLUE)
    lost = ~profile.converged
    ax.plot(profile.values[0][lost], profile.deviance[lost], "x", color=RED)
    ax.axhline(profile.level95, color=theme.INK, linestyle=":", linewidth=1)
    ax.set(xlabel=LABELS.get(profile.names[0], profile.names[0]), ylabel="deviance")
    top = min(5 * profile.level95, float(np.max(profile.deviance)) * 1.05)
    near = profile.values[0][profile.deviance <= top]
    ax.set(ylim=(0, top), xlim=(near.min(), near.max()))
    return ax


def contours(profile: LikelihoodProfile, ax=None, best=None):
    """Deviance over two held parameters: the joint 95 % region filled, half and twice it drawn.

    Crosses mark refits that did not converge.
    """
    ax = ax or plt.gca()
    x, y = profile.values
    levels = np.array([0, 0.5, 1, 2]) * profile.level95
    ax.contourf(x, y, profile.deviance.T, levels=levels[[0, 2]], colors=[BLUE], alpha=0.3)
    ax.contour(x, y, profile.deviance.T, levels=levels[1:], colors=[BLUE], linewidths=1)
    lost = np.argwhere(~profile.converged)
    ax.plot(x[lost[:, 0]], y[lost[:, 1]], "x", color=RED)
    if best is not None:
        ax.plot(best[profile.names[0]], best[profile.names[1]], "o", color=RED)
    ax.set(xlabel=LABELS[profile.names[0]], ylabel=LABELS[profile.names[1]])
    return ax


def sweep(frame, name: str, ax=None, column: str = "dropped"):
    """An exponent and its interval while rows are taken out; `column` says how many."""
    ax = ax or plt.gca()
    ax.fill_between(frame[column], frame["low"], frame["high"], color=BLUE, alpha=0.2, linewidth=0)
    ax.plot(frame[column], frame["estimate"], "o-", color=BLUE)
    ax.axhline(1, color=theme.INK, linestyle=":", linewidth=1)
    ax.set(xlabel="highest losses left out", ylabel=LABELS.get(name, name))
    return ax


def path(trace, optimum: FitResult, axes=None):
    """An optimiser's objective above the optimum, and its depth exponent, along its steps."""
    if axes is None:
        _, axes = plt.subplots(1, 2, figsize=(9, 3.4))
    later = trace.steps > 0
    excess = trace.objective[later] / optimum.objective - 1
    axes[0].plot(trace.steps[later], excess, color=BLUE)
    axes[0].set(xscale="log", yscale="log", ylabel="objective above the optimum")
    axes[1].plot(trace.steps[later], trace.params["alpha_ell"][later], color=BLUE)
    axes[1].axhline(optimum.params["alpha_ell"], color=RED, linestyle="--")
    axes[1].set(xscale="log", ylabel=LABELS["alpha_ell"])
    for ax in axes:
        ax.set_xlabel("steps of Adam")
        for stop in (1_000, 10_000):
            ax.axvline(stop, color=theme.INK, linestyle=":", linewidth=1)
    return axes


def spreads(draws: dict[str, np.ndarray], name: str, ax=None):
    """Distributions of one refitted parameter as cumulative shares, one for each procedure."""
    ax = ax or plt.gca()
    for color, (label, values) in zip(theme.FAMILY_PALETTE, draws.items(), strict=False):
        ax.ecdf(values, color=color, label=label)
    ax.set(xlabel=LABELS.get(name, name), ylabel="share of refits below")
    theme.label(ax)
    return ax


def criteria(frame, ax=None, columns=("aic", "bic")):
    """Information criteria of the laws, relative to the best one; shorter is better."""
    ax = ax or plt.gca()
    rows = np.arange(len(frame))
    for shift, (color, column) in zip(
        (-0.2, 0.2), zip((BLUE, RED), columns, strict=True), strict=True
    ):
        ax.barh(rows + shift, frame[column], height=0.38, color=color, label=column.upper())
    ax.set_yticks(rows, frame.index)
    ax.set_xscale("symlog", linthresh=10)
    ax.set_xlabel("above the best law")
    ax.invert_yaxis()
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return ax


def held_out(frame, ax=None):
    """Errors on held-out shapes and on the largest models, beside the error of the fit."""
    ax = ax or plt.gca()
    rows = np.arange(len(frame))
    columns = {"rmse": "fitted rows", "cv_shape": "held-out shapes", "cv_largest": "largest models"}
    for color, (column, label) in zip((GREEN, BLUE, RED), columns.items(), strict=True):
        ax.plot(frame[column], rows, "o", color=color, label=label)
    ax.set_yticks(rows, frame.index)
    ax.set(xscale="log", xlabel="root mean squared log error")
    _plain_ticks(ax)
    ax.invert_yaxis()
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    return ax


def coverage(frame, name: str, ax=None, level: float = 0.95):
    """Share of planted tables whose interval contains the truth, by method."""
    ax = ax or plt.gca()
    results = frame[frame["parameter"] == name]
    if results.empty:
        ax.text(0.5, 0.5, "not yet run", ha="center", transform=ax.transAxes)
        return ax
    cases = list(dict.fromkeys(results["case"]))
    methods = list(dict.fromkeys(results["method"]))
    for offset, (color, case) in enumerate(zip((BLUE, RED, GREEN), cases, strict=False)):
        rows = results[results["case"] == case]
        place = np.array([methods.index(m) for m in rows["method"]]) + 0.18 * offset - 0.09
        error = np.abs(rows[["low", "high"]].to_numpy().T - rows["coverage"].to_numpy())
        ax.errorbar(rows["coverage"], place, xerr=error, fmt="o", color=color, label=case)
    ax.axvline(level, color=theme.INK, linestyle=":", linewidth=1)
    ax.set_yticks(range(len(methods)), [m.replace("_", ", ") for m in methods])
    ax.set_xlabel(f"coverage of {LABELS.get(name, name)}")
    ax.set_ylim(len(methods) - 0.5, -0.5)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return ax


def subsets(frame, ax=None):
    """The depth exponent with its interval for each choice of rows, one line a choice."""
    ax = ax or plt.gca()
    rows = np.arange(len(frame))
    error = np.abs(frame[["low", "high"]].to_numpy().T - frame["estimate"].to_numpy())
    ax.errorbar(frame["estimate"], rows, xerr=error, fmt="o", color=BLUE)
    ax.axvline(1, color=theme.INK, linestyle=":", linewidth=1)
    ax.set_yticks(rows, frame["rows"])
    ax.set_xlabel(LABELS["alpha_ell"])
    ax.invert_yaxis()
    return ax


def best_by_depth(result, draws, budget, ax=None):
    """The lowest loss at each depth within a budget, its 95 % band, and where rows end (grey)."""
    ax = ax or plt.gca()
    optima = planning.by_depth(result, draws, budget)
    near = optima["loss"] < 1.1 * optima["loss"].min()
    ell, loss, low, high = (optima[name][near] for name in ("ell", "loss", "low", "high"))
    ax.fill_between(ell, low, high, color=BLUE, alpha=0.2, linewidth=0, label="95 % of refits")
    ax.semilogx(ell, loss, color=BLUE)
    ax.axvline(ell[loss.argmin()], color=RED, linestyle="--", label="best depth")
    least, most = planning.seen(result.table)["ell"]
    for start, stop in ((ell[0], least), (most, ell[-1])):
        if start < stop:
            ax.axvspan(start, stop, color=theme.INK, alpha=0.15, linewidth=0)
            ax.axvline(most if stop > most else least, color=theme.INK, linewidth=0.8)
    ax.set(xlabel=r"depth $\ell$ (blocks)", ylabel="lowest loss (nats/token)")
    theme.label(ax)
    return ax


def doublings(plans, ax=None):
    """What twice the depth changes at each plan, with data kept and with operations kept."""
    ax = ax or plt.gca()
    kinds = {"deeper": "data kept", "deeper_same_flops": "operations kept"}
    for shift, color, (kind, label) in zip((-0.12, 0.12), (BLUE, RED), kinds.items(), strict=True):
        changes = [getattr(plan, kind) for plan in plans.values()]
        middle = np.array([i.estimate for i in changes])
        error = np.abs(np.array([[i.low for i in changes], [i.high for i in changes]]) - middle)
        ax.errorbar(
            middle, np.arange(len(changes)) + shift, xerr=error, fmt="o", color=color, label=label
        )
    ax.axvline(0, color=theme.INK, linestyle=":", linewidth=1)
    ax.set_yticks(range(len(plans)), list(plans))
    ax.locator_params(axis="x", nbins=5)
    ax.set_xlabel("change of the loss by twice the depth (nats/token)")
    ax.invert_yaxis()
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return ax
