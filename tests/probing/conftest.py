"""Tiny random models of many families, and a slow float64 oracle for every statistic."""

import math

import numpy as np
import pytest
import torch

from benchmarks.tiny_families import FAMILIES, V, build
from companion.models import find_parts

T_BLOCK, BLOCKS = 12, 3


@pytest.fixture(scope="session")
def build_model():
    return build


@pytest.fixture(params=sorted(FAMILIES))
def family(request):
    return request.param


@pytest.fixture(scope="session")
def llama():
    return build("llama")


@pytest.fixture
def tokens():
    return draw_tokens()


def draw_tokens(blocks=BLOCKS, length=T_BLOCK, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(3, V, (blocks, length), generator=generator)


@pytest.fixture(scope="session")
def draw():
    return draw_tokens


@pytest.fixture(scope="session")
def oracle():
    return slow_values


def slow_values(model, tokens):
    """Every quantity, (layer, token), from the model's own forward passes and plain loops.

    States are the library's own `hidden_states` (raw but for the last, caught by a hook). A lens
    at layer l is the model's own logits with the blocks l .. ell-2 (last-block lens) or
    l .. ell-1 (logit lens) turned into the identity.
    """
    parts = find_parts(model)
    with torch.no_grad():
        states = raw_states(model, tokens)
        values = path_loop(states) | (part_norms(model, tokens, parts) if parts else {})
        final = skipped_logits(model, tokens, range(0))
        for suffix, last in (("", model.ell - 1), ("_logit", model.ell)):
            layers = range(model.ell if suffix == "" else model.ell + 1)
            logits = [skipped_logits(model, tokens, range(layer, last)) for layer in layers]
            values |= lens_loop(logits, final, tokens, suffix)
    return values


def raw_states(model, tokens):
    last = []
    hook = model.blocks[-1].register_forward_hook(lambda *seen: last.append(seen[-1]))
    output = model.net(input_ids=tokens, output_hidden_states=True, use_cache=False)
    hook.remove()
    raw = last[0] if isinstance(last[0], torch.Tensor) else last[0][0]
    states = [*output.hidden_states[: model.ell], raw]
    return torch.stack(states).flatten(1, 2).double().numpy()


def skipped_logits(model, tokens, skipped):
    returns_tuple = []
    hook = model.blocks[0].register_forward_hook(
        lambda *seen: returns_tuple.append(isinstance(seen[-1], tuple))
    )
    model.net(input_ids=tokens, use_cache=False)
    hook.remove()

    def identity(hidden_states, *args, **kwargs):
        return (hidden_states, None) if returns_tuple[0] else hidden_states

    for layer in skipped:
        model.blocks[layer].forward = identity
    try:
        return model.net(input_ids=tokens, use_cache=False).logits.double().numpy()
    finally:
        for layer in skipped:
            del model.blocks[layer].forward


def part_norms(model, tokens, parts):
    """Lengths of the two parts of each update, (layer, token): what a block adds when its
    feed-forward part is put to zero is the attention part, the rest of its update the other."""
    lengths = {"attention_norm": [], "mlp_norm": []}

    def zero(module, args, output):
        if isinstance(output, torch.Tensor):
            return torch.zeros_like(output)
        return torch.zeros_like(output[0]), *output[1:]

    with torch.no_grad():
        for block in model.blocks:
            seen = []
            watch = block.register_forward_hook(
                lambda *call, seen=seen: seen.append(call[1:]), with_kwargs=True
            )
            model.states(tokens)
            handle = getattr(block, parts.mlp).register_forward_hook(zero)
            model.states(tokens)
            handle.remove()
            watch.remove()
            whole, attention = (update_of(*call) for call in seen)
            lengths["attention_norm"].append(attention.norm(dim=-1).flatten())
            lengths["mlp_norm"].append((whole - attention).norm(dim=-1).flatten())
    return {name: torch.stack(rows).double().numpy() for name, rows in lengths.items()}


def update_of(args, kwargs, output):
    entered = args[0] if args else kwargs["hidden_states"]
    return (output if isinstance(output, torch.Tensor) else output[0]) - entered


def path_loop(states):
    count, tokens, _ = states.shape
    ell = count - 1
    norm = np.linalg.norm
    shapes = {"norm": ell + 1, "update_norm": ell, "theta": ell, "theta_dh": ell - 1}
    shapes |= {"theta_end": ell, "projection": ell + 1, "curvature": ell - 1}
    values = {name: np.empty((layers, tokens)) for name, layers in shapes.items()}
    values["straightness"] = np.empty((1, tokens))
    values["cosines"] = np.empty((ell, ell, tokens))
    for t in range(tokens):
        h = states[:, t]
        dh = [h[layer + 1] - h[layer] for layer in range(ell)]
        way = h[-1] - h[0]
        for layer in range(ell + 1):
            values["norm"][layer, t] = norm(h[layer])
            values["projection"][layer, t] = (h[layer] - h[0]) @ way / (way @ way)
        for layer in range(ell):
            values["update_norm"][layer, t] = norm(dh[layer])
            values["theta"][layer, t] = angle(h[layer], h[layer + 1])
            values["theta_end"][layer, t] = angle(h[layer], h[-1])
            for other in range(ell):
                values["cosines"][layer, other, t] = math.cos(angle(dh[layer], dh[other]))
        for layer in range(ell - 1):
            turn = angle(dh[layer], dh[layer + 1])
            step = (norm(dh[layer]) + norm(dh[layer + 1])) / 2
            values["theta_dh"][layer, t] = turn
            values["curvature"][layer, t] = turn / step
        values["straightness"][0, t] = norm(way) / sum(norm(x) for x in dh)
    return values


def angle(a, b):
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    return math.acos(min(1.0, max(-1.0, cosine)))


def lens_loop(logits, final, tokens, suffix):
    names = ("cross_entropy", "entropy", "kl", "top1")
    values = {name + suffix: np.full((len(logits), tokens.numel()), np.nan) for name in names}
    length = tokens.shape[1]
    for layer, block, t in np.ndindex(len(logits), len(tokens), length - 1):
        log_p, log_q = log_softmax(logits[layer][block, t]), log_softmax(final[block, t])
        place = layer, block * length + t
        values["cross_entropy" + suffix][place] = -log_p[tokens[block, t + 1]]
        values["entropy" + suffix][place] = -(np.exp(log_p) * log_p).sum()
        values["kl" + suffix][place] = (np.exp(log_q) * (log_q - log_p)).sum()
        values["top1" + suffix][place] = log_p.argmax() == log_q.argmax()
    ce = values["cross_entropy" + suffix]
    values["loss_removed" + suffix] = ce[:-1] - ce[1:]
    return values


def log_softmax(x):
    x = x - x.max()
    return x - np.log(np.exp(x).sum())
