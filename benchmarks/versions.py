"""Do the tests pass on other versions? A fresh environment for each Python, pinned or lowest.

    python benchmarks/versions.py [--pythons 3.11 3.12 3.13] [--which pinned lowest] [--out FILE]
                                  [--tests PATH ...]

"pinned" installs `constraints.txt`; "lowest" the smallest release that `pyproject.toml` allows of
each direct dependency, whatever fits of the others. Torch stays at its pin, for its other releases
are some gigabytes each. A Python is looked for as pythonX.Y.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
TESTS = (
    "tests",
    "--ignore=tests/book",
    "--ignore=tests/chapters",
    "--deselect=tests/test_versions.py",
)
KEPT = {"torch"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pythons", nargs="*", default=list(PYTHONS))
    parser.add_argument("--which", nargs="*", default=["pinned", "lowest"])
    parser.add_argument("--tests", nargs="*", default=list(TESTS), help="what pytest is given")
    parser.add_argument("--out", type=Path, help="write the rows with their provenance")
    chosen = parser.parse_args()
    rows = []
    for python in chosen.pythons:
        for which in chosen.which:
            rows.append(row(python, which, chosen.tests))
            print(f"Python {python}, {which}: {rows[-1]['result']}", flush=True)
            if chosen.out:
                _store(rows, chosen.out)
    sys.exit(any(not one["passed"] for one in rows))


def row(python: str, which: str, tests: list[str]) -> dict[str, Any]:
    """What one environment came to: the last line of pytest, or why there is none."""
    about = {"python": python, "which": which, "passed": False}
    if not shutil.which(f"python{python}"):
        return about | {"result": "not on this machine"}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)  # a test reads it as another user
        limits = place / "limits.txt"
        limits.write_text("\n".join(constraints(which)) + "\n", "utf-8")
        at = place / "bin" / "python"
        made = _run([f"python{python}", "-m", "venv", str(place)]) or _run(
            [*_pip(at), "--constraint", str(limits), "--editable", f"{ROOT}[test]"]
        )
        if made:
            return about | {"result": f"does not install: {made}"}
        versions = _versions(at)
        done = subprocess.run(
            [str(at), "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *tests],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    result = done.stdout.strip().splitlines()[-1:] or [done.stderr.strip()[-200:]]
    passed = done.returncode == 0
    return about | {
        "passed": passed,
        "result": result[0],
        "failed": failed[:20],
        "versions": versions,
    }


def constraints(which: str) -> list[str]:
    """Lines of a constraints file."""
    pinned = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if which == "pinned":
        return pinned
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    lowest = [
        f"{need.name}=={spec.version}"
        for need in map(Requirement, asked)
        for spec in need.specifier
        if spec.operator in (">=", "==") and need.name not in KEPT
    ]
    return lowest + [line for line in pinned if line.partition("==")[0] in KEPT]


def _pip(at: Path) -> list[str]:
    return [str(at), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def _run(words: list[str]) -> str:
    """The last line of what went wrong; empty if nothing did."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    said = done.stderr.strip().splitlines() or ["no word"]
    return said[-1][:200] if done.returncode else ""


def _versions(at: Path) -> dict[str, str]:
    listed = subprocess.run(
        [str(at), "-m", "pip", "list", "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {one["name"]: one["version"] for one in json.loads(listed.stdout)}


def _store(rows: list[dict[str, Any]], out: Path) -> None:
    from companion.files import write_json
    from companion.provenance import provenance
    from companion.runtime import Runtime

    stamp = provenance(Runtime.choose("cpu", "float32"), {})
    write_json(out, {"rows": rows, "provenance": stamp})


if __name__ == "__main__":
    main()
