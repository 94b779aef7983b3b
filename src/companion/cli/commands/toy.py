"""`companion toy`: train the students of a specification."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
import yaml

from companion.cli.options import Device, Json, MaybeKept, Sharding, pairs
from companion.cli.progress import shown
from companion.cli.settings import expanded
from companion.errors import InputError
from companion.evidence.toys import tables as toy_tables
from companion.evidence.toys import toy as evidence
from companion.runs.shards import ask
from companion.runtime import Runtime
from companion.toy import analysis, comparison, named, run_toy, specification


def register(app: typer.Typer) -> None:
    """Attach `companion toy` to the root app."""
    app.command()(expanded(toy))


def toy(
    spec: Annotated[str, typer.Argument(help="YAML file, or a name shown by --list")] = "",
    *,
    kept: MaybeKept,
    dealt: Sharding,
    device: Device = "auto",
    graph: Annotated[
        bool, typer.Option(help="replay each step as one CUDA graph, five times as fast on an H200")
    ] = False,
    change: Annotated[
        list[str] | None, typer.Option("--set", "-s", help="KEY=VALUE, changes the specification")
    ] = None,
    variants: Annotated[
        str, typer.Option(help="residual blocks to compare with the plain one, e.g. gated,streams")
    ] = "",
    rates: Annotated[
        str, typer.Option(help="with --variants: multiples of lr that each may choose from")
    ] = "0.5,1,2,4",
    names: Annotated[bool, typer.Option("--list", help="show the named specifications")] = False,
    as_json: Json = False,
) -> None:
    """Train teacher-student networks of many depths and fit how the loss falls with depth."""
    if names:
        typer.echo(_listing())
        return
    if not spec or kept.out is None:
        raise InputError("companion toy needs a specification and --out FILE.nc (or --list)")
    if variants and graph:
        raise InputError("--graph is for one run, not for --variants")
    if variants and dealt.shards:
        raise InputError("--shards are of one run, not of --variants")
    chosen = specification(spec, **_changes(change))
    with dealt.options() as workers, shown("shards" if workers else "steps") as progress:
        choice = (Runtime.choose, device, "float32", chosen.seed)
        runtime = ask(workers.get("client"), *choice)
        options: dict[str, Any] = asdict(kept) | workers | {"progress": progress}
        if variants:
            blocks = variants.split(",")
            result = comparison.compare(chosen, blocks, _numbers(rates), runtime, **options)
        else:
            result = run_toy(chosen, runtime, graph=graph, **options)
    typer.echo((_compared if variants else _figures)(result, as_json))


def _numbers(words: str) -> list[float]:
    try:
        return [float(word) for word in words.split(",")]
    except ValueError:
        raise InputError(f"--rates {words!r} must be numbers with commas, e.g. 0.5,1,2,4") from None


def _listing() -> str:
    width = max(map(len, named()))
    return "\n".join(f"{name:{width}}  {specification(name).purpose}" for name in named())


def _changes(given: list[str] | None) -> dict[str, object]:
    try:
        read = pairs(given, "--set", "KEY=VALUE, e.g. steps=1000").items()
        return {key: yaml.safe_load(value) for key, value in read}
    except yaml.YAMLError as error:
        raise InputError(f"--set {given} is not YAML: {str(error).splitlines()[0]}") from None


def _compared(result, as_json: bool) -> str:
    if as_json:
        return json.dumps(evidence.variants_claim(result).to_dict(), indent=2)
    return toy_tables.variants_table(result).to_string()


def _figures(result, as_json: bool) -> str:
    each = result["diverged"].sum(["teacher", "temperature", "seed"])
    diverged = {int(ell): int(n) for ell, n in zip(each["depth"], each, strict=True) if n}
    if as_json:
        return json.dumps({"exponents": analysis.records(result), "diverged": diverged}, indent=2)
    lines = [toy_tables.table(result).to_string()]
    lines += [f"depth {ell}: {n} students diverged" for ell, n in diverged.items()]
    return "\n".join(lines)
