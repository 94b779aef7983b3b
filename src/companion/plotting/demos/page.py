"""A piece of HTML that shows itself in a notebook, from a template and the data it embeds."""

from __future__ import annotations

import json
import math
from importlib import resources
from string import Template
from typing import Any


class Page:
    """A demonstration; `html` is all of it."""

    def __init__(self, name: str, html: str) -> None:
        self.name, self.html = name, html

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"an interactive figure (HTML): {self.name}"


def page(name: str, label: str, data: dict[str, Any]) -> Page:
    """The demonstration `name`, whose script is NAME.js, around its data in JSON types.

    Parameters
    ----------
    name : str
        Of the script; the HTML id is demo-NAME, so that one stands on a page once.
    label : str
        What the picture shows, for those who cannot see it.
    data : mapping
        What the script reads; numbers that are not finite become null.
    """
    home = resources.files("companion.plotting.demos")
    read = {part: home.joinpath(part).read_text("utf-8") for part in ("shared.css", "shared.js")}
    own = home.joinpath(f"{name}.js").read_text("utf-8")
    frame = Template(home.joinpath("frame.html").read_text("utf-8"))
    html = frame.substitute(
        id=f"demo-{name}",
        label=label,
        data=json.dumps(_finite(data), allow_nan=False),
        css=read["shared.css"],
        shared=read["shared.js"],
        own=own,
    )
    return Page(name, html)


def _finite(value: Any) -> Any:
    """The same without numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
