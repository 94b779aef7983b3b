"""Speed and memory of `probe` beside a plain implementation of the same statistics, same run.

Plain means: the whole forward pass with its logits, full-vocabulary float32 logits and log_softmax
for every layer, every per-token value kept and concatenated, statistics at the end. With a share of
the lens below 1 it replays the last block on all tokens and reads as many of them as ours does.

python benchmarks/probing.py [--quick] [--json] [--device cuda] [--memory]
                             [--model NAME_OR_FOLDER] [--share X|auto] [--profile]
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from clock import seconds
from shapes import LADDER, PYTHIA_410M, build
from torch import Tensor
from torch.nn.functional import cosine_similarity, log_softmax

from companion import models, probing
from companion.probing.settings import Settings
from companion.runtime import Runtime


@dataclass(frozen=True)
class Case:
    """A model's shape and how it is fed."""

    config: Any
    block: int
    blocks: int
    at_once: int


def ladder_case(quick: bool) -> Case:
    """The embedded ladder's shape: 8 blocks, 128 wide, vocabulary 2,048."""
    return Case(LADDER, 256, 32 if quick else 128, 32)


def pythia_case(quick: bool) -> Case:
    """Pythia-410m's shape: 24 blocks, 1,024 wide, vocabulary 50,304, blocks of 1,024 tokens."""
    return Case(PYTHIA_410M, 1024, 16 if quick else 96, 8)


def real_case(model: models.Model, quick: bool) -> Case:
    """A pretrained model on blocks of 256 tokens."""
    return Case(model.net.config, 256, 8 if quick else 32, 8)


def plain(
    model: models.Model, tokens: Tensor, at_once: int, share: float = 1.0
) -> dict[str, np.ndarray]:
    """Every value of every token, then mean, variance, extremes and quantiles."""
    kept: dict[str, list[Tensor]] = {}
    for batch in tokens.split(at_once):
        for name, values in _plain_batch(model, batch.to(model.device), share).items():
            kept[name] = [torch.cat([*kept.get(name, []), values.cpu()], -1)]
    levels = np.array([0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])
    table = {}
    for name, (values,) in kept.items():
        x = values.double().numpy()
        moments = [x.mean(-1), x.var(-1, ddof=1), x.min(-1), x.max(-1)]
        table[name] = np.stack([*moments, *np.quantile(x, levels, axis=-1)], -1)
    return table


def _plain_batch(model: models.Model, tokens: Tensor, share: float) -> dict[str, Tensor]:
    states, call = [], {}

    def keep(block, args, kwargs):
        states.append(args[0] if args else kwargs["hidden_states"])
        call.update(args=args[1:], kwargs=kwargs)

    hooks = [b.register_forward_pre_hook(keep, with_kwargs=True) for b in model.blocks]
    last = []
    hooks.append(
        model.blocks[-1].register_forward_hook(
            lambda b, a, output: last.append(output if isinstance(output, Tensor) else output[0])
        )
    )
    logits = model.net(input_ids=tokens, use_cache=False).logits
    for hook in hooks:
        hook.remove()
    values = _plain_geometry(torch.stack([*states, last[0]]).float())
    some = _positions(tokens, share)
    final = log_softmax(logits.flatten(0, 1)[some].float(), -1)
    target = tokens.flatten()[some + 1, None]
    by_layer: dict[str, list[Tensor]] = {"cross_entropy": [], "entropy": [], "kl": [], "top1": []}
    for h in states:
        z = model.blocks[-1](h, *call["args"], **call["kwargs"])
        z = z if isinstance(z, Tensor) else z[0]
        read = model.unembedding(model.final_norm(z.flatten(0, 1)[some]))
        logp = log_softmax(read.float(), -1)
        p = logp.exp()
        by_layer["cross_entropy"].append(-logp.gather(-1, target).flatten())
        by_layer["entropy"].append(-(p * logp).sum(-1).flatten())
        by_layer["kl"].append((final.exp() * (final - logp)).sum(-1).flatten())
        by_layer["top1"].append((logp.argmax(-1) == final.argmax(-1)).float().flatten())
    values |= {name: torch.stack(layers) for name, layers in by_layer.items()}
    values["loss_removed"] = values["cross_entropy"][:-1] - values["cross_entropy"][1:]
    return values


def _positions(tokens: Tensor, share: float) -> Tensor:
    """Flat positions of as many tokens with a successor in each block as the lens reads of ours."""
    length = tokens.shape[1]
    number = max(1, round(share * (length - 1)))
    rows = [row * length + torch.randperm(length - 1)[:number] for row in range(len(tokens))]
    return torch.cat(rows).to(tokens.device)


def _plain_geometry(h: Tensor) -> dict[str, Tensor]:
    dh, way = h[1:] - h[:-1], h[-1] - h[0]
    theta = cosine_similarity(h[:-1], h[1:], dim=-1).clamp(-1, 1).acos()
    theta_dh = cosine_similarity(dh[:-1], dh[1:], dim=-1).clamp(-1, 1).acos()
    step = dh.norm(dim=-1)
    u = dh / step[..., None]
    values = {
        "norm": h.norm(dim=-1),
        "update_norm": step,
        "theta": theta,
        "theta_dh": theta_dh,
        "theta_end": cosine_similarity(h[:-1], h[-1:], dim=-1).clamp(-1, 1).acos(),
        "projection": ((h - h[0]) * way).sum(-1) / way.square().sum(-1),
        "curvature": 2 * theta_dh / (step[1:] + step[:-1]),
        "straightness": way.norm(dim=-1)[None] / step.sum(0)[None],
        "update_correlation": torch.einsum("ibtm,jbtm->ijbt", u, u),
    }
    return {name: x.flatten(-2) for name, x in values.items()}


def compare(
    model: models.Model, case: Case, repeats: int, fuse: bool, share: str = "1.0"
) -> dict[str, Any]:
    """Both implementations in turns on the same tokens; medians of tokens a second."""
    runtime, tokens = model.runtime, draw(case, model.V, case.blocks)
    definite = Settings(lens_fraction=share).resolved(model, case.block).share
    options = {"batch_size": case.at_once, "noise_batches": 0, "lens_fraction": definite}

    def theirs(part: Tensor = tokens) -> None:
        plain(model, part, case.at_once, definite)

    def ours(part: Tensor = tokens) -> None:
        probing.probe(model, part, compile=fuse, **options)

    with torch.no_grad():
        for warm in (theirs, ours):
            warm(tokens[: case.at_once, :64])
        pairs = [
            (seconds(theirs, model.device), seconds(ours, model.device)) for _ in range(repeats)
        ]
    baseline, own = (statistics.median(times) for times in zip(*pairs, strict=True))
    result = {
        "ratio": statistics.median(a / b for a, b in pairs),
        "baseline": tokens.numel() / baseline,
        "ours": tokens.numel() / own,
        "unit": "tokens/s",
        "model": model.name,
        "lens_share": definite,
        "tokens": tokens.numel(),
        "repeats": repeats,
        "device": runtime.device_name,
        "dtype": runtime.dtype,
    }
    before = seconds(lambda: probing.certify(model), model.device)
    return result | against_floor(model, case, definite, own, before)


def draw(case: Case, V: int, blocks: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, V, (blocks, case.block), generator=generator)


def against_floor(
    model: models.Model, case: Case, share: float, spent: float, before: float
) -> dict[str, float]:
    """Time of the products that no probe can do without, at the measured matmul peak, over ours.

    A token takes one forward pass up to the unembedding; at `share` of the tokens the last block is
    run once more for every layer, and every layer is read. `spent` and `before` are seconds that
    the probe took, and of these its certificate, which longer runs do not feel.
    """
    peak = model.runtime.matmul_peak(8192 if model.runtime.device.startswith("cuda") else 2048)
    blocks = 2 * sum(p.numel() for p in model.blocks.parameters() if p.ndim == 2)
    attention = 2 * 2 * model.m * case.block * model.ell
    read = 2 * model.m * model.V * model.ell
    floor = case.blocks * case.block * ((blocks + attention) * (1 + share) + read * share) / peak
    return {
        "fraction_of_peak": floor / spent,
        "fraction_after_certificate": floor / (spent - before),
        "certificate_seconds": before,
        "peak_flops": peak,
        "floor_seconds": floor,
    }


def profile(model: models.Model, case: Case, share: str) -> list[dict[str, Any]]:
    """The ten operators that take most of our time, each with its share, from torch's profiler."""
    from torch.profiler import ProfilerActivity, profile

    runtime, tokens = model.runtime, draw(case, model.V, case.blocks)
    on_gpu = runtime.device.startswith("cuda")
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    options = {"batch_size": case.at_once, "noise_batches": 0, "lens_fraction": share}
    probing.probe(model, tokens[: case.at_once, :64], **options)
    with profile(activities=kinds) as record:
        probing.probe(model, tokens, **options)
    field = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    spent = {one.key: (getattr(one, field), one.count) for one in record.key_averages()}
    whole = sum(time for time, _ in spent.values())
    first = sorted(spent.items(), key=lambda item: -item[1][0])[:10]
    return [{"operator": k, "share": t / whole, "calls": n} for k, (t, n) in first]


def memory_growth(runtime: Runtime, first: int = 100_000, last: int = 1_000_000) -> dict[str, Any]:
    """Growth of resident memory between `first` and `last` tokens of one probe, in bytes.

    The largest reading after `first` tokens less the one there, so that it counts the allocator's
    ups and downs from batch to batch; `trend` is the slope of a line through all readings.
    """
    import psutil

    case, config = ladder_case(True), copy.copy(LADDER)
    config.num_hidden_layers, config.hidden_size = 4, 64
    model = build(config, runtime)
    tokens = draw(case, model.V, -(-last // case.block))
    process, seen = psutil.Process(), []

    def watch(done: float, total: float | None) -> None:
        if done >= first:
            seen.append((done, process.memory_info().rss))

    probing.probe(model, tokens, batch_size=32, progress=watch)
    done, resident = np.transpose(seen)
    return {
        "memory_growth_bytes": int(resident.max() - resident[0]),
        "memory_trend_bytes": int(np.polyfit(done, resident, 1)[0] * (last - first)),
        "from_tokens": first,
        "to_tokens": last,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within a minute on two cores")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--memory", action="store_true", help="also memory from 1e5 to 1e6 tokens")
    parser.add_argument("--model", help="a pretrained model, by name or folder")
    parser.add_argument("--share", default="1.0", help="of the tokens whose lens is read, or auto")
    parser.add_argument("--compile", action="store_true", help="fused reduction (default on CUDA)")
    parser.add_argument("--profile", action="store_true", help="only where our time goes")
    arguments = parser.parse_args()
    runtime = Runtime.choose(arguments.device)
    on_gpu = runtime.device.startswith("cuda")
    repeats = 3 if arguments.quick else 5
    if arguments.model:
        model = models.load_model(arguments.model, runtime)
        case, repeats = real_case(model, arguments.quick), repeats - 2
    else:
        case = (pythia_case if on_gpu else ladder_case)(arguments.quick)
        model = build(case.config, runtime)
    if arguments.profile:
        for row in profile(model, case, arguments.share):
            print(f"{row['share']:6.1%}  {row['calls']:>7,}  {row['operator']}")
        return
    result = compare(model, case, repeats, arguments.compile or on_gpu, arguments.share)
    if arguments.memory or not (arguments.quick or arguments.model):
        result |= memory_growth(runtime)
    if arguments.json:
        print(json.dumps(result, indent=1))
        return
    for name, value in result.items():
        print(f"{name:>20}  {value:,.4g}" if isinstance(value, float) else f"{name:>20}  {value}")


if __name__ == "__main__":
    main()
