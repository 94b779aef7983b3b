"""Checks on numbers, before a long run, that the parts of a model are what they are taken for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from companion.errors import InputError
from companion.models import Model, Stream, capture, replay_last_block
from companion.models.anatomy import reason
from companion.probing.lens.last_block import separable

TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.03}
"""Largest accepted difference, in units of the standard deviation of what is compared."""

BLOCKS, LENGTH = 2, 24
READ = slice(None, None, 5)
"""Of all tokens, those whose logits are compared: ten, of each of up to 262,144."""


class CertificateError(InputError):
    """A model's parts do not add up to the model."""


def certify(model: Model, seed: int = 0) -> dict[str, Any]:
    """Check the parts of `model` against its own forward pass on random tokens.

    1. `replay`: the last block, replayed on h_{ell-1}, gives h_ell.
    2. `lens`: the readout of h_ell, and so the last-block lens at ell - 1, gives the model's own
       logits, soft caps and scales included.
    3. `future`: another last token changes no state before it.

    Parameters
    ----------
    model : Model
    seed : int
        Of the random tokens.

    Returns
    -------
    dict
        The largest differences in standard deviations, the tolerance, the names of the tail and
        of the final norm (None where there is none), how the head changes the plain product with
        the unembedding, the names of the parts of the last block that treat each token by itself,
        so that the lens needs them only at tokens that are read, and whether a piece of the
        vocabulary can be read without the rest.

    Raises
    ------
    CertificateError
        With the check that failed and by how much.
    """
    if model.ell < 2:
        raise CertificateError(
            f"model {model.name!r} has ell = {model.ell} block: angles between updates need 2"
        )
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, model.V, (BLOCKS, LENGTH), generator=generator)
    tolerance = TOLERANCE[model.dtype]
    with torch.no_grad():
        stream = capture(model, tokens)
        _check_finite(model, stream)
        try:
            differences, head = _compare(model, tokens, stream)
        except Exception as error:  # whatever a family's own code raises
            raise CertificateError(
                f"model {model.name!r} ({model.family}) cannot be taken apart into blocks, final "
                f"norm and unembedding: {reason(error)}"
            ) from error
    _judge(model, differences, tolerance)
    with torch.no_grad():
        by_token = separable(model, stream, tolerance)
        by_column = _by_column(model, stream)
    return {
        **differences,
        "tolerance": tolerance,
        "tail": [type(part).__name__ for part in model.tail],
        "final_norm": type(model.final_norm).__name__ if model.final_norm else None,
        "head": head,
        "by_token": by_token,
        "by_column": by_column,
    }


def _compare(model: Model, tokens: Tensor, stream: Stream) -> tuple[dict[str, float], str]:
    replayed = replay_last_block(model, stream, stream.h[-2])
    own = model.logits(tokens).flatten(0, 1)[READ]
    differences = {
        "replay": _difference(replayed, stream.h[-1]),
        "lens": _difference(model.readout(replayed.flatten(0, 1)[READ]), own),
        "future": _future(model, tokens, stream),
    }
    return differences, _head(model, stream, own)


def _check_finite(model: Model, stream: Stream) -> None:
    bad = ~stream.h.isfinite().flatten(1).all(1)
    if bad.any():
        raise CertificateError(
            f"model {model.name!r} ({model.family}): the hidden state of layer "
            f"{int(bad.nonzero()[0])} is not finite on random tokens (dtype {model.dtype}): "
            "try bfloat16 or float32, or check the weights"
        )


MEANING = {
    "replay": "the last block replayed on its own input does not give its own output",
    "lens": "the lens at the last layer does not give the model's own logits",
    "future": "a later token changes the states of earlier ones, so it is not a causal model",
}


def _judge(model: Model, differences: dict[str, float], tolerance: float) -> None:
    for check, difference in differences.items():
        if not difference <= tolerance:
            raise CertificateError(
                f"model {model.name!r} ({model.family}) fails the certificate {check!r}: "
                f"{MEANING[check]} (off by {difference:.2g} standard deviations, "
                f"{tolerance:.2g} allowed)"
            )


def _difference(a: Tensor, b: Tensor) -> float:
    """Largest difference over the standard deviation; infinite entries must agree in place."""
    a, b = a.double(), b.double()
    finite = b.isfinite()
    if not torch.equal(finite, a.isfinite()) or not finite.any():
        return float("nan")
    a, b = a[finite], b[finite]
    return float((a - b).abs().max() / b.std())


def _future(model: Model, tokens: Tensor, stream: Stream) -> float:
    changed = tokens.clone()
    changed[:, LENGTH // 2 :] = (changed[:, LENGTH // 2 :] + 1) % model.V
    before = slice(0, LENGTH // 2)
    other = capture(model, changed)
    return _difference(other.h[:, :, before], stream.h[:, :, before])


def _head(model: Model, stream: Stream, own: Tensor) -> str:
    """How the model's logits relate to the unembedding of the normed state."""
    z = model.behind_tail(stream.h[-1].flatten(0, 1)[READ])
    plain, own = model.unembedding(z).double().to(own.device), own.double()
    scale = float((own * plain).sum() / (plain * plain).sum())
    if _difference(plain, own) <= TOLERANCE[model.dtype]:
        return "plain"
    if _difference(scale * plain, own) <= TOLERANCE[model.dtype]:
        return f"scaled by {scale:.4g}"
    return f"not linear (soft cap), largest logit {float(own.abs().max()):.4g}"


def _by_column(model: Model, stream: Stream) -> bool:
    """Whether the head gives, asked for a third of the vocabulary at a time, its own logits."""
    if type(model.unembedding) is not nn.Linear or model.unembedding.weight.is_meta:
        return False
    z = model.behind_tail(stream.h[-1].flatten(0, 1)[READ])
    size = -(-len(model.unembedding.weight) // 3)
    try:
        pieces = [model.head(z, slice(at, at + size)) for at in range(0, 3 * size, size)]
    except Exception:  # whatever a family's own code raises at fewer logits than it expects
        return False
    pieces, whole = torch.cat(pieces, -1), model.head(z)
    alike = pieces.shape == whole.shape
    return alike and _difference(pieces, whole) <= TOLERANCE[model.dtype]
