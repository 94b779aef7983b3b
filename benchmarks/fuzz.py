"""Bad input, many times: names, loss tables, YAML, tokens, NetCDF and GGUF, spoiled at random.

Each case is read as a command would read it. It may be good after all; else it must end in one
sentence (`InputError`, of which a command makes exit code 2), without traceback or NumPy type.

    python benchmarks/fuzz.py [--cases N] [--seed S] [--kinds KIND ...] [--json] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

CASES = 6_000
ODD = [
    "",
    " ",
    "@",
    ":",
    "ladder:",
    "ladder:@",
    "hub:",
    "../",
    "~",
    "\n",
    "é",
    "𝕏",
    "%s",
    "{}",
    "-1",
    "nan",
]
VALUES = [
    None,
    True,
    -1,
    0,
    1,
    2.5,
    1e400,
    float("nan"),
    10**30,
    "",
    "many",
    [],
    [0],
    [[1]],
    {},
    "1e3",
]
Case = tuple[str, Callable[[], Any]]
"""What a case is, in a line, and the call that reads it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=CASES, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--out", type=Path, help="write the figures with their provenance")
    chosen = parser.parse_args()
    os.environ |= {"COMPANION_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryDirectory() as folder:
        figures = run(Path(folder), chosen.cases, chosen.seed, chosen.kinds)
    if chosen.out:
        _store(figures, vars(chosen) | {"out": chosen.out.name}, chosen.out)
    print(json.dumps(figures, indent=1) if chosen.json else text(figures))
    sys.exit(bool(any(row["faults"] for row in figures["rows"])))


def run(folder: Path, cases: int, seed: int, kinds: list[str]) -> dict[str, Any]:
    """Counts of each kind: read after all, refused in a sentence, and the faults."""
    rows, each = [], -(-cases // len(kinds))
    for kind in kinds:
        chance = random.Random(f"{seed}-{kind}")
        make, counts, faults = KINDS[kind](folder, chance), Counter(), {}
        for _ in range(each):
            about, read = make()
            ended = outcome(read)
            counts[ended if ended in ("read", "refused") else "fault"] += 1
            if ended not in ("read", "refused"):
                faults.setdefault(ended, about)
        rows.append({"kind": kind, "cases": each, **counts, "faults": faults})
    return {"seed": seed, "cases": each * len(kinds), "rows": rows}


def outcome(read: Callable[[], Any]) -> str:
    """ "read", "refused", or what is wrong with how it ended."""
    from companion.errors import InputError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read()
    except InputError as refused:
        return _fault_of(str(refused)) or "refused"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}: {error}"[
            :200
        ]
    return "read"


def _fault_of(sentence: str) -> str:
    if "\n" in sentence.strip():
        return f"more than a line: {sentence[:120]!r}"
    if "np." in sentence or "dtype(" in sentence:
        return f"a NumPy type: {sentence[:120]}"
    return "" if sentence.strip() else "no sentence"


def names(folder: Path, chance: random.Random) -> Callable[[], Case]:
    """Names of models, corpora, tables, laws, toy specifications and calibrations."""
    from companion import corpus, scaling, tables, toy
    from companion.models import ladder_models, load_model
    from companion.runtime import Runtime
    from companion.toy.calibration.design import design

    cpu = Runtime.choose("cpu", "float32")
    readers = {
        "model": lambda name: load_model(name, cpu),
        "corpus": lambda name: next(iter(corpus.open_source(name))),
        "table": tables.load_table,
        "law": scaling.get_law,
        "specification": toy.specification,
        "calibration": design,
    }
    good = ["english", "python-source", "chinchilla", "ladder", "additive", *ladder_models()[:2]]

    def make() -> Case:
        kind = chance.choice(list(readers))
        name = _spoiled_text(chance, chance.choice([*good, *ODD]))
        return f"{kind} {name!r}", lambda: readers[kind](name)

    return make


def loss_tables(folder: Path, chance: random.Random) -> Callable[[], Case]:
    """CSV files with columns renamed or gone, cells that are no numbers, and bytes changed."""
    from companion import scaling, tables

    good = tables.load_table("ladder")[["m", "ell", "D", "loss"]].to_csv(index=False)
    path = folder / "table.csv"

    def make() -> Case:
        lines = [line.split(",") for line in good.splitlines()]
        for _ in range(chance.randint(1, 4)):
            row = chance.randrange(len(lines)) if chance.random() < 0.7 else 0
            if lines and lines[row]:
                column = chance.randrange(len(lines[row]))
                lines[row][column] = str(chance.choice([*VALUES, "d_model", "m", "loss", "inf"]))
        if chance.random() < 0.2:
            lines = lines[: chance.randint(0, 9)]
        content = "\n".join(map(",".join, lines)).encode()
        path.write_bytes(_spoiled_bytes(chance, content) if chance.random() < 0.3 else content)
        return f"table {content[:60]!r}", lambda: scaling.fit(tables.load_table(path))

    return make


def specifications(folder: Path, chance: random.Random) -> Callable[[], Case]:
    """Toy specifications, ladder grids and calibrations with keys and values spoiled."""
    import yaml

    from companion import toy
    from companion.ladder.grid import read_grid
    from companion.toy.calibration import design as designs
    from companion.toy.specification import NAMED

    grid = {"widths": [32], "depths": [2, 4], "tokens": [524288], "seeds": [0]}
    sources = [
        (toy.specification, yaml.safe_load((NAMED / "regimes-quick.yaml").read_text("utf-8"))),
        (read_grid, grid),
        (
            lambda path: designs.tasks(designs.design(path)),
            yaml.safe_load((designs.NAMED / "calibration-quick.yaml").read_text("utf-8")),
        ),
    ]
    path = folder / "specification.yaml"

    def make() -> Case:
        reader, record = chance.choice(sources)
        content = yaml.safe_dump(_spoiled_record(chance, json.loads(json.dumps(record)))).encode()
        path.write_bytes(_spoiled_bytes(chance, content) if chance.random() < 0.3 else content)
        return f"YAML {content[:80]!r}", lambda: reader(path)

    return make


def tokens(folder: Path, chance: random.Random) -> Callable[[], Case]:
    """Token tensors of other shapes and types, out of the vocabulary, empty."""
    import torch

    from companion import probe

    model = _tiny()

    def make() -> Case:
        shape = [chance.choice([0, 1, 2, 5, 9]) for _ in range(chance.randint(0, 3))]
        kind = chance.choice([torch.int64, torch.int32, torch.uint8, torch.float32, torch.bool])
        low, high = chance.choice([(0, 40), (-3, 40), (0, 90)])
        ids = torch.randint(low, high, shape).to(kind)
        if kind == torch.float32 and chance.random() < 0.5:
            ids = ids * float("nan")
        return f"tokens {tuple(shape)} {kind} in {low}..{high}", lambda: probe(model, ids)

    return make


def netcdf(folder: Path, chance: random.Random) -> Callable[[], Case]:
    """Probe files cut short, with bytes changed, or without a variable or attribute."""
    import torch

    from companion import probe, probing

    found = probe(_tiny(), torch.randint(0, 40, (4, 9)))
    good, path = folder / "good.nc", folder / "bad.nc"
    probing.save(found, good)
    content = good.read_bytes()

    def spoiled() -> str:
        if chance.random() < 0.5:
            path.write_bytes(_spoiled_bytes(chance, content))
            return "bytes changed"
        gone = chance.choice([*found.data_vars, *found.attrs])
        less = found.drop_vars(gone) if gone in found.data_vars else found.copy()
        less.attrs = {k: v for k, v in found.attrs.items() if k != gone}
        less.to_netcdf(path, engine="h5netcdf")
        return f"without {gone}"

    def make() -> Case:
        about = spoiled()
        return f"NetCDF {about}", lambda: probing.merge([probing.open(path), found])

    return make


def gguf(folder: Path, chance: random.Random) -> Callable[[], Case]:
    """Headers of GGUF files with bytes changed, cut short, and counts that are absurd."""
    import numpy as np
    from gguf import GGUFWriter

    from companion.models.sources.gguf import read_header

    good, path = folder / "good.gguf", folder / "bad.gguf"
    writer = GGUFWriter(good, "llama")
    writer.add_block_count(2)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([str(i) for i in range(40)])
    writer.add_tensor("token_embd.weight", np.zeros((40, 8), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    content = good.read_bytes()

    def make() -> Case:
        path.write_bytes(_spoiled_bytes(chance, content))
        return "GGUF, bytes changed", lambda: read_header(path)

    return make


KINDS = {
    "names": names,
    "loss tables": loss_tables,
    "specifications": specifications,
    "tokens": tokens,
    "NetCDF": netcdf,
    "GGUF": gguf,
}


def _tiny() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    from companion.models import Model
    from companion.runtime import Runtime

    shape = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    net = LlamaForCausalLM(LlamaConfig(num_hidden_layers=4, vocab_size=40, **shape))
    return Model.of(net, Runtime.choose("cpu", "float32"), name="tiny")


def _spoiled_text(chance: random.Random, good: str) -> str:
    for _ in range(chance.randint(0, 3)):
        at = chance.randint(0, len(good))
        good = good[:at] + chance.choice(ODD) + good[at + chance.randint(0, 2) :]
    return good


def _spoiled_bytes(chance: random.Random, good: bytes) -> bytes:
    content = bytearray(good)
    if chance.random() < 0.4:
        del content[chance.randint(0, len(content)) :]
    for _ in range(chance.randint(0, 12)):
        if content:
            content[chance.randrange(len(content))] = chance.choice([0, 255, chance.randrange(256)])
    return bytes(content)


def _spoiled_record(chance: random.Random, record: dict[str, Any]) -> Any:
    for _ in range(chance.randint(1, 3)):
        if not isinstance(record, dict) or not record:
            break
        key = chance.choice(list(record))
        deed = chance.random()
        if deed < 0.15:
            record.pop(key)
        elif deed < 0.3:
            record[_spoiled_text(chance, key)] = record[key]
        elif deed < 0.5 and isinstance(record[key], dict):
            record[key] = _spoiled_record(chance, record[key])
        elif deed < 0.55:
            return chance.choice(VALUES)
        else:
            record[key] = chance.choice(VALUES)
    return record


def text(figures: dict[str, Any]) -> str:
    """A line a kind, and below it the faults."""
    lines = []
    for row in figures["rows"]:
        read, refused = row.get("read", 0), row.get("refused", 0)
        lines.append(
            f"{row['kind']}: {row['cases']:,} cases, {refused:,} refused in a sentence, {read:,} "
            f"good after all, {len(row['faults'])} faults"
        )
        lines += [f"  {fault}  <- {about}" for fault, about in row["faults"].items()]
    return "\n".join(lines)


def _store(figures: dict[str, Any], parameters: dict[str, Any], out: Path) -> None:
    from companion.files import write_json
    from companion.provenance import provenance
    from companion.runtime import Runtime

    stamp = provenance(Runtime.choose("cpu", "float32"), parameters)
    write_json(out, figures | {"provenance": stamp})


if __name__ == "__main__":
    main()
