"""The stamp of a run: versions, commit, device, time, parameters. Floor 0."""

from __future__ import annotations

import html
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from companion.files import checkout
from companion.runtime import Runtime

STAMPED_PACKAGES = ("depth-companion", "torch", "transformers", "numpy", "scipy", "xarray")
PROVENANCE_MIME = "application/vnd.companion.provenance+json"


class Provenance(dict):
    """Versions, commit, device, time and parameters of one run; shows as a folded table."""

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, Any]:
        rows = "".join(
            f"<tr><th>{html.escape(key)}</th><td>{html.escape(_plain(value))}</td></tr>"
            for key, value in self.items()
        )
        table = f'<table class="provenance">{rows}</table>'
        folded = f"<details><summary>Provenance of this run</summary>{table}</details>"
        return {"text/html": folded, "text/plain": repr(dict(self)), PROVENANCE_MIME: dict(self)}


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k}={v}" for k, v in value.items())
    return str(value)


def provenance(runtime: Runtime, parameters: Mapping[str, Any], **more: Any) -> Provenance:
    """The stamp of a run: parameters, device, versions, commit, time (UTC), and `more`."""
    return Provenance(
        parameters=dict(parameters),
        runtime=asdict(runtime),
        device=runtime.device_name,
        platform=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        versions={name: metadata.version(name) for name in STAMPED_PACKAGES},
        commit=commit(),
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        **more,
    )


def commit() -> str:
    """The commit of the checkout, "-dirty" where files differ from it, "unknown" without git."""
    root = checkout()
    if root is None or not (root / ".git").exists():
        return "unknown"
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
