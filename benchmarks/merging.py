"""What it costs to merge many shards: each a file, merged eight at a time as they come.

The states are of a tiny random model of as many blocks and are told to be of other shards; merging
does not look at their numbers. Processor seconds of the process that merges, files included.

    python benchmarks/merging.py [--shards N] [--blocks ELL] [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from companion import probing
from companion.probing.dataset import bare, completed, merge_states
from companion.runs import Output
from companion.runs.tree import Tree


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=int, default=10_000)
    parser.add_argument("--blocks", type=int, default=24, help="depth of the model")
    parser.add_argument("--quick", action="store_true", help="200 shards")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    chosen = parser.parse_args()
    figures = measure(200 if chosen.quick else chosen.shards, chosen.blocks)
    print(json.dumps(figures, indent=1) if chosen.json else text(figures))


def measure(shards: int, blocks: int) -> dict:
    """Processor seconds of all merging, bytes of a shard, and the most that lay there at once."""
    one, most = _shard(blocks), 0
    with tempfile.TemporaryDirectory() as folder:
        output = Output(Path(folder) / "all.nc", {})
        tree = Tree(shards, merge_states, output)
        began = time.process_time()
        for index in range(shards):
            tree.add(index, one.assign_attrs(shards=json.dumps([f"{index}/{shards}"])))
            if index % 97 == 0:
                most = max(most, sum(f.stat().st_size for f in Path(folder).rglob("*.nc")))
        result, seconds = completed(tree.root()), time.process_time() - began
    assert result.attrs["tokens"] == shards * one.attrs["tokens"]
    assert len(json.loads(result.attrs["shards"])) == shards
    state = sum(values.nbytes for name, values in one.items() if str(name).startswith("state_"))
    return {
        "shards": shards,
        "blocks": blocks,
        "seconds": seconds,
        "each": seconds / shards,
        "state_bytes": state,
        "most_on_disk": most,
    }


def text(figures: dict) -> str:
    return (
        f"{figures['shards']} shards of a model of {figures['blocks']} blocks merged in "
        f"{figures['seconds']:.1f} processor seconds, {1e3 * figures['each']:.1f} ms each; a state "
        f"takes {figures['state_bytes'] / 1e6:.1f} MB, at most {figures['most_on_disk'] / 1e6:.1f} "
        "MB lay on disk"
    )


def _shard(blocks: int):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": blocks}
    config = LlamaConfig(vocab_size=64, num_attention_heads=2, num_key_value_heads=2, **sizes)
    return bare(probing.probe(LlamaForCausalLM(config).eval(), torch.randint(0, 64, (40, 64))))


if __name__ == "__main__":
    main()
