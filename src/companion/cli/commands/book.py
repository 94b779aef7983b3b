"""Commands of the book: `doctor`, `chapters`, `run`, `build`, `serve`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from companion.chapters import Execution, ParallelExecution
from companion.cli.group import FAILED
from companion.cli.options import Json, pairs
from companion.cli.progress import shown
from companion.cli.settings import expanded
from companion.errors import InputError
from companion.runs import locked

Profile = Annotated[str, typer.Option(help="quick, or full: larger, wants a GPU and the Hub.")]


def register(app: typer.Typer) -> None:
    """Attach this module's commands."""
    for command in (doctor, chapters, run, build, serve):
        app.command()(expanded(command))


def doctor(as_json: Json = False) -> None:
    """Say on what this machine would run, where it would look, and what it can reach."""
    from companion.chapters.doctor import examine

    facts = examine()
    if as_json:
        _print_json(facts)
    else:
        width = max(map(len, facts))
        for name, value in facts.items():
            typer.echo(f"{name:<{width}}  {value}")
    if facts["kernel"].startswith("missing"):
        raise typer.Exit(FAILED)


def chapters(as_json: Json = False) -> None:
    """List the chapters with their parameters, types, defaults, help and minutes."""
    from companion.chapters import Book, discover

    listed = discover(Book.here())
    if as_json:
        _print_json([_described(chapter) for chapter in listed])
        return
    for chapter in listed:
        typer.echo(f"{chapter.name}: {chapter.title} ({chapter.minutes:g} min)")
        for one in chapter.parameters:
            limits = f" ({one.limits})" if one.limits else ""
            typer.echo(f"  {one.name}: {one.type} = {one.default!r}  {one.help}{limits}")


def run(
    chapter: Annotated[str, typer.Argument(help="Name of a chapter, see `companion chapters`.")],
    how: Execution,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", metavar="NAME=VALUE", help="Set a parameter.")
    ] = None,
    profile: Profile = "quick",
    out: Annotated[Path | None, typer.Option(help="Where the executed notebook goes.")] = None,
    as_json: Json = False,
) -> None:
    """Execute one chapter, with other parameters if you like."""
    from companion.chapters import Book, environment_hash, execute, find, job, record_results

    book = Book.here()
    one = find(book, chapter)
    folder = out.resolve() if out else book.build / "run"
    given = book.profile(profile).get(one.name, {}) | pairs(parameter, "-p", "tokens=4096")
    output, partial = folder / one.path.name, folder / "partial" / one.path.name
    due = job(one, given, environment_hash(book), output, partial)
    with locked(partial.with_suffix(".lock")), shown("s") as progress:
        execute([due], progress=progress, **asdict(how))
        results = record_results(output, (folder if out else book.results) / f"{one.name}.json")
    if as_json:
        _print_json(results | {"notebook": str(output)})
        return
    typer.echo(f"executed notebook: {output}")
    for claim in results["claims"]:
        typer.echo(f"[{claim['verdict']}] {claim['statement']}")


def build(
    how: ParallelExecution,
    profile: Profile = "quick",
    only: Annotated[
        list[str] | None, typer.Option(metavar="CHAPTER", help="Execute these chapters alone.")
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(metavar="", hidden=True)] = None,
    execute_only: Annotated[bool, typer.Option("--execute-only", help="No pages.")] = False,
) -> None:
    """Execute what has changed, then build the book in `_build/html`."""
    from companion import chapters as room

    if more and not only:
        raise InputError(f"unexpected argument {more[0]!r}: name chapters after --only")
    book = room.Book.here()
    all_chapters = room.discover(book)
    chosen = [room.find(book, name) for name in [*(only or []), *(more or [])]] or all_chapters
    due = room.stage_jobs(book, chosen, profile)
    with locked(book.build / ".lock"), shown("s") as progress:
        room.execute(due, progress=progress, **asdict(how))
        _no_gaps(book, all_chapters)
        counts = room.collect_results(book, all_chapters)
        verdicts = [_told(whose, those) for whose, those in counts.items() if any(those.values())]
        typer.echo(f"claims: {'; '.join(verdicts) or 'none'}")
        if not execute_only:
            built = room.build(book, all_chapters)
            typer.echo(f"{'built' if built else 'up to date'}: {book.html / 'index.html'}")


def serve(port: Annotated[int, typer.Option(min=0, max=65535)] = 8000) -> None:
    """Show the built book on 127.0.0.1 until Ctrl-C."""
    from companion.chapters import Book, server

    with server(Book.here(), port) as serving:
        typer.echo(f"http://127.0.0.1:{serving.server_port}/index.html (Ctrl-C ends it)")
        with contextlib.suppress(KeyboardInterrupt):
            serving.serve_forever()


def _no_gaps(book, all_chapters) -> None:
    missing = [one.name for one in all_chapters if not book.staged(one.name).exists()]
    if missing:
        raise InputError(f"not executed yet: {', '.join(missing)}; build once without --only")


def _described(chapter) -> dict[str, Any]:
    about = {"name": chapter.name, "title": chapter.title, "minutes": chapter.minutes}
    fields = ("name", "type", "default", "help", "limits")
    declared = [{name: getattr(one, name) for name in fields} for one in chapter.parameters]
    return about | {"parameters": declared}


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=1))


def _told(whose: str, counts: Mapping[str, int]) -> str:
    listed = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    return f"{'the paper' if whose == 'paper' else 'our tests'}: {listed}"
