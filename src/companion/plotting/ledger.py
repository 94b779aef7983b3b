"""The ledger as a forest plot: every measurement against what its claim expects, in one look.

All expected ranges stand at the same place, whatever their units: the middle third of a strip where
a claim has two bounds, one half where it has one. The drawing is HTML with small SVGs in the
colours of the page; a few lines of plain script hide verdicts, and without them all are shown.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from companion.evidence.chips import SHAPES, chip, style
from companion.evidence.claims import NOT_REPRODUCED, NOT_TESTABLE, REPRODUCED, UNDECIDED
from companion.plotting import theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 240.0, 22.0
SHOWN = 2  # measurements of a claim before the rest is folded
OWNERS = {"paper": "Claims of the paper", "ours": "Claims of this book"}
SCRIPT = """
<script>
(() => {
  const forest = document.querySelector('.forest'), keys = forest.querySelectorAll('.keys button');
  forest.querySelector('.keys').hidden = false;
  keys.forEach(key => key.addEventListener('click', () => {
    key.setAttribute('aria-pressed', key.getAttribute('aria-pressed') !== 'true');
    const shown = [...keys].filter(one => one.getAttribute('aria-pressed') === 'true');
    const words = shown.map(one => one.dataset.verdict);
    const all = kind => [...forest.querySelectorAll(kind)];
    all('article').forEach(one => { one.hidden = !words.includes(one.dataset.verdict); });
    all('section').forEach(one => { one.hidden = !one.querySelector('article:not([hidden])'); });
  }));
})();
</script>"""


def exponents(
    sources: Mapping[str, tuple[Mapping[str, Any] | None, str]],
    about_one: tuple[float, float],
    reach: float,
    ax: Axes,
) -> Axes:
    """Depth exponents and their intervals, a line a source, beside what counts as about one.

    Parameters
    ----------
    sources : mapping
        By name: what decides there, with `estimate`, `low` and `high` (None where the interval has
        no end), or None where nothing does; and the verdict.
    about_one : (low, high)
        The grey band.
    reach : float
        Where the axis ends; it begins at 0.
    ax : Axes
    """
    ax.axvspan(*about_one, color=theme.INK, alpha=0.2, linewidth=0, label="about one")
    ax.axvline(1, color=theme.INK, linestyle=":", linewidth=1, label="one over the depth")
    names = []
    for row, (name, (measurement, verdict)) in enumerate(sources.items()):
        names.append(f"{name}\n{interval(measurement) if measurement else verdict}")
        if measurement:
            low = measurement["low"] if measurement["low"] is not None else 0
            high = measurement["high"] if measurement["high"] is not None else reach
            ends = [[measurement["estimate"] - low], [high - measurement["estimate"]]]
            ax.errorbar(measurement["estimate"], row, xerr=ends, fmt="o", linewidth=2.5, label=name)
    ax.set(xlim=(0, reach), ylim=(len(sources) - 0.5, -0.5), xlabel="depth exponent")
    ax.set_yticks(range(len(names)), names)
    ax.grid(False, axis="y")
    return ax


def interval(measurement: Mapping[str, Any]) -> str:
    """An estimate and its interval in two decimals; an end that is not there is infinite."""
    low = "−∞" if measurement["low"] is None else f"{measurement['low']:.2f}"
    high = "∞" if measurement["high"] is None else f"{measurement['high']:.2f}"
    return f"{measurement['estimate']:.2f} [{low}, {high}]"


@dataclass(frozen=True)
class Strip:
    """A piece of the number line on which an expected range has its fixed place.

    Parameters
    ----------
    low, high : float
        The expected range, in the unit of the measurement; infinite where it has no bound.
    reach : float
        How far the strip goes to either side of its middle, in the same unit.
    """

    low: float
    high: float
    reach: float

    @classmethod
    def of(cls, low: float, high: float, values: Iterable[float]) -> Strip:
        """Three times a range of two bounds; with one, as far from it as the values go."""
        middle = _middle(low, high)
        far = max((abs(v - middle) for v in values if math.isfinite(v)), default=0.0)
        between = 1.5 * (high - low)
        return cls(low, high, between if 0 < between < math.inf else (1.1 * far or 1.0))

    def place(self, value: float) -> float:
        """Where a value stands, from 0 to `WIDTH`; what lies beyond stands at the end."""
        if math.isinf(value):
            return WIDTH if value > 0 else 0.0
        share = 0.5 + (value - _middle(self.low, self.high)) / (2 * self.reach)
        return WIDTH * min(max(share, 0.0), 1.0)

    def holds(self, value: float) -> bool:
        """Whether a value lies on the strip."""
        return abs(value - _middle(self.low, self.high)) <= self.reach


def _middle(low: float, high: float) -> float:
    ends = [end for end in (low, high) if math.isfinite(end)]
    return sum(ends) / len(ends) if ends else 0.0


def forest(claims: Iterable[Mapping[str, Any]]) -> str:
    """The whole ledger as HTML: the paper's claims and ours apart, each by question.

    Parameters
    ----------
    claims : iterable of mapping
        Records of `claims.json`.
    """
    claims = list(claims)
    parts = [_owner(title, [c for c in claims if c["whose"] == w]) for w, title in OWNERS.items()]
    return f'<div class="forest">{_keys(claims)}{"".join(parts)}</div>{SCRIPT if claims else ""}'


def _keys(claims: list[Mapping[str, Any]]) -> str:
    counts = {verdict: sum(c["verdict"] == verdict for c in claims) for verdict in SHAPES}
    buttons = "".join(
        f'<button type="button" aria-pressed="true" data-verdict="{verdict}">'
        f"{chip(verdict, f'{count} {verdict}')}</button>"
        for verdict, count in counts.items()
        if count
    )
    return f'<div class="keys" role="group" aria-label="Verdicts to show" hidden>{buttons}</div>'


def _owner(title: str, claims: list[Mapping[str, Any]]) -> str:
    questions = dict.fromkeys(claim["question"] for claim in claims)
    groups = "".join(
        f"<section><h3>{html.escape(question)}</h3>"
        f"{''.join(_claim(claim) for claim in claims if claim['question'] == question)}</section>"
        for question in questions
    )
    return f"<section><h2>{title}</h2>{groups}</section>" if claims else ""


def _claim(claim: Mapping[str, Any]) -> str:
    verdict = claim["verdict"]
    place = f"{claim['chapter']}.html#{claim['anchor']}"
    ranked = sorted(claim["measurements"], key=_rank)
    rows = [_row(one, claim["key"]) for one in ranked]
    more = f", +{len(rows) - SHOWN}" if rows[SHOWN:] else ""
    why = f'<p class="why">{html.escape(claim["untestable"])}</p>' if claim["untestable"] else ""
    shown = "".join([*rows[:SHOWN], why])
    folded = f"<details><summary>How{more}</summary>{_how(claim)}{''.join(rows[SHOWN:])}</details>"
    return (
        f'<article class="{style(verdict)}" data-verdict="{verdict}">'
        f"<p>{chip(verdict, to=place)} {html.escape(claim['statement'])} "
        f"<em>({html.escape(claim['source'])})</em></p>{shown}{folded}</article>"
    )


def _rank(one: Mapping[str, Any]) -> tuple[bool, int]:
    """What decides goes first, and of that what speaks against the claim."""
    against = (NOT_REPRODUCED, UNDECIDED, REPRODUCED)
    verdict = one["verdict"]
    return not one["decides"], against.index(verdict) if verdict in against else len(against)


def _how(claim: Mapping[str, Any]) -> str:
    scope = "; ".join(f"{name}: {value}" for name, value in claim["scope"].items())
    why = claim["why"].replace("_", " ")  # it names chapters
    text = f"Measured: {claim['estimand']}. On {scope}. Decided by: {why}."
    return f'<p class="why">{html.escape(text)}</p>'


def _row(one: Mapping[str, Any], key: str) -> str:
    run = "" if one["run"] == "live" else f"-{one['run']}"
    where = f"{one['chapter']}.html#claim-{key}{run}"
    beside = "" if one["decides"] else f" ({one['run']}, beside)"
    return (
        f'<div class="measured {style(one["verdict"])}"><div><a href="{where}">'
        f"{html.escape(one['name'])}</a>{beside}<br>{_numbers(one)}</div>{strip(one)}</div>"
    )


def strip(one: Mapping[str, Any]) -> str:
    """One measurement as SVG: expected range as a band, interval as a line, estimate as shape."""
    low, high = bounds(one, "expected_low", "expected_high")
    start, end = bounds(one, "low", "high")
    line = Strip.of(low, high, (one["estimate"], start, end))
    x, y = line.place(one["estimate"]), HEIGHT / 2
    a, b = line.place(low), line.place(high)
    ends = "".join(_end(line, value) for value in (start, end))
    shape = SHAPES.get(one["verdict"], SHAPES[NOT_TESTABLE])  # a measurement may be no evidence
    mark = f'<g transform="translate({x:.1f} {y})" class="mark">{shape}</g>'
    return (
        f'<svg class="strip" viewBox="-6 0 {WIDTH + 12:g} {HEIGHT:g}" aria-hidden="true">'
        f'<rect x="{a:.1f}" width="{b - a:.1f}" height="{HEIGHT:g}" class="expected"/>'
        f'<path d="M0 {y}H{WIDTH:g}" class="axis"/>'
        f'<path d="M{line.place(start):.1f} {y}H{line.place(end):.1f}{ends}"/>{mark}</svg>'
    )


def _end(line: Strip, value: float) -> str:
    """A tick where the interval ends; an arrow where it goes on beyond the strip."""
    x, y = line.place(value), HEIGHT / 2
    if line.holds(value):
        return f"M{x:.1f} {y - 4}v8"
    back = -5 if x > 0 else 5
    return f"M{x + back:.1f} {y - 4}L{x:.1f} {y}L{x + back:.1f} {y + 4}"


def bounds(one: Mapping[str, Any], low: str, high: str) -> tuple[float, float]:
    """Two bounds of a record, infinite where they are null."""
    start, end = one[low], one[high]
    return -math.inf if start is None else start, math.inf if end is None else end


def _numbers(one: Mapping[str, Any]) -> str:
    low, high = bounds(one, "low", "high")
    unit = f" {html.escape(one['unit'])}" if one["unit"] else ""
    kind = "range" if one["spread"] else f"{100 * one['level']:.0f} % interval"
    first, last = bounds(one, "expected_low", "expected_high")
    known = [f"at least {first:.4g}"] * math.isfinite(first)
    known += [f"at most {last:.4g}"] * math.isfinite(last)
    limits = f"{first:.4g} to {last:.4g}" if len(known) == 2 else "".join(known) or "anything"
    estimate = f"<strong>{one['estimate']:.4g}</strong>{unit}, {kind} [{low:.4g}, {high:.4g}]"
    return f"{estimate}, expected {limits}"
