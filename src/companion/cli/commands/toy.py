"""`companion toy`: train the students of a specification."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from companion.cli.options import Device, Json, MaybeOut, pairs
from companion.cli.progress import shown
from companion.runs import Progress


def toy(
    spec: Annotated[str, typer.Argument(help="YAML file, or a name shown by --list")] = "",
    out: MaybeOut = None,
    resume: Annotated[
        bool, typer.Option(help="go on from what an interrupted run left beside OUT")
    ] = False,
    device: Device = "auto",
    graph: Annotated[
        bool, typer.Option(help="replay each step as one CUDA graph (not measured yet)")
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
    from companion.errors import InputError
    from companion.runtime import Runtime
    from companion.toy import specification

    if names:
        typer.echo(_listing())
        return
    if not spec or out is None:
        raise InputError("companion toy needs a specification and --out FILE.nc (or --list)")
    chosen = specification(spec, **_changes(change))
    runtime = Runtime.choose(device, "float32", chosen.seed)
    if variants and graph:
        raise InputError("--graph is for one run, not for --variants")
    if variants:
        typer.echo(_compare(chosen, variants, rates, runtime, out, resume, as_json))
    else:
        typer.echo(_train(chosen, runtime, out, resume, as_json, graph))


def _train(spec, runtime, out: Path, resume: bool, as_json: bool, graph: bool) -> str:
    from companion.toy import experiment

    checkpoint = out.with_name(out.name + ".checkpoint")
    with shown("steps") as progress:
        report = _reported(progress)
        result = experiment.run_toy(
            spec, runtime, checkpoint=checkpoint, resume=resume, progress=report, graph=graph
        )
    experiment.save(result, out)
    return _figures(result, as_json)


def _compare(
    spec, variants: str, rates: str, runtime, out: Path, resume: bool, as_json: bool
) -> str:
    import json
    import shutil

    from companion.errors import InputError
    from companion.evidence import toy, toy_tables
    from companion.toy import comparison, experiment

    parts = out.with_name(out.name + ".parts")
    if parts.exists() and not resume:
        raise InputError(f"{str(parts)!r} exists: resume from it with --resume, or delete it")
    with shown("steps") as progress:
        blocks = variants.split(",")
        result = comparison.compare(
            spec, blocks, _numbers(rates), runtime, _reported(progress), parts
        )
    experiment.save(result, out)
    shutil.rmtree(parts)
    if as_json:
        return json.dumps(toy.variants_claim(result).to_dict(), indent=2)
    return toy_tables.variants_table(result).to_string()


def _numbers(words: str) -> list[float]:
    from companion.errors import InputError

    try:
        return [float(word) for word in words.split(",")]
    except ValueError:
        raise InputError(f"--rates {words!r} must be numbers with commas, e.g. 0.5,1,2,4") from None


def register(app: typer.Typer) -> None:
    """Attach `companion toy` to the root app."""
    app.command()(toy)


def _listing() -> str:
    from companion.toy import named, specification

    width = max(map(len, named()))
    return "\n".join(f"{name:{width}}  {specification(name).purpose}" for name in named())


def _changes(given: list[str] | None) -> dict[str, object]:
    import yaml

    from companion.errors import InputError

    try:
        read = pairs(given, "--set", "KEY=VALUE, e.g. steps=1000").items()
        return {key: yaml.safe_load(value) for key, value in read}
    except yaml.YAMLError as error:
        raise InputError(f"--set {given} is not YAML: {str(error).splitlines()[0]}") from None


def _reported(progress: Progress) -> Callable[[Any], None]:
    """The callback of a training: its losses by depth, and what it has to tell at the start."""

    def report(state: Any) -> None:
        if state.notice:
            typer.echo(f"notice: {state.notice}", err=True)
        losses = " ".join(f"{ell}:{loss:.3g}" for ell, loss in state.losses.items())
        progress(state.step, state.steps, note=f"loss {losses}")

    return report


def _figures(result, as_json: bool) -> str:
    import json

    from companion.evidence import toy_tables
    from companion.toy import analysis

    each = result["diverged"].sum(["teacher", "temperature", "seed"])
    diverged = {int(ell): int(n) for ell, n in zip(each["depth"], each, strict=True) if n}
    if as_json:
        return json.dumps({"exponents": analysis.records(result), "diverged": diverged}, indent=2)
    lines = [toy_tables.table(result).to_string()]
    lines += [f"depth {ell}: {n} students diverged" for ell, n in diverged.items()]
    return "\n".join(lines)
