"""Which decoder families of transformers can be read: the certificate on a tiny model of each.

    python benchmarks/families.py [--out FILE] [--json]

Each model has random weights and three blocks. What is written down: how far its parts are from
adding up to the model (largest difference, standard deviations), whether every block's update is
an attention and an MLP part, and the sentence with which a family is refused.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import transformers

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.tiny_families import FAMILIES, OTHERS, build
from companion.errors import InputError
from companion.files import write_json
from companion.models import find_parts
from companion.probing.lens.certificate import certify
from companion.provenance import provenance
from companion.runtime import Runtime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="write the table with its provenance")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    chosen = parser.parse_args()
    rows = [tried(family) for family in sorted(FAMILIES | OTHERS)]
    record = {"transformers": transformers.__version__, "rows": rows}
    if chosen.out:
        stamp = provenance(Runtime.choose("cpu", "float32"), {})
        write_json(chosen.out, record | {"provenance": stamp})
    print(json.dumps(record, indent=1) if chosen.json else "\n".join(map(line, rows)))


def tried(family: str) -> dict[str, Any]:
    """The row of a family: what was certified, or why it was refused."""
    name = (FAMILIES | OTHERS)[family][0].removesuffix("Config").removesuffix("Text")
    row: dict[str, Any] = {"family": family, "name": name, "against_oracle": family in FAMILIES}
    try:
        model = build(family)
        found = certify(model)
        parts = find_parts(model)
    except InputError as refused:
        return row | {"supported": False, "why": str(refused)}
    except Exception as error:  # the library's own: this configuration does not run here
        why = "not tried: this tiny configuration does not run in transformers"
        return row | {"supported": None, "why": why, "error": f"{error!r}"[:160]}
    largest = max(found[check] for check in ("replay", "lens", "future"))
    split = [parts.attention, parts.mlp] if parts else None
    return row | {"supported": True, "largest": largest, "split": split, "head": found["head"]}


def line(row: dict[str, Any]) -> str:
    """A row in a line."""
    if not row["supported"]:
        return f"{row['family']}: {'refused' if row['supported'] is False else '?'}: {row['why']}"
    split = " + ".join(row["split"]) if row["split"] else "no split"
    return f"{row['family']}: {row['largest']:.1e}, {split}, head {row['head']}"


if __name__ == "__main__":
    sys.exit(main())
