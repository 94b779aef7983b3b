"""What quantisation does to a model, and so to what is measured on it (floor 1).

The two real models come in files of four to eight bits a weight. `quantise` rounds the weights of
any model in the same way, and `shifts` says how far a statistic moves by it: a systematic error
that no number of tokens makes smaller.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import mean

import torch
from torch import Tensor

from companion.errors import InputError
from companion.models.anatomy import Model
from companion.models.block_formats import FORMATS, Format

PARTS = {
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
    "embed_tokens": "token_embd",
    "lm_head": "output",
}
"""A module's last name in transformers, and the name of its matrix in a file."""

_NARROW = {"Q4_K": "Q5_0", "Q6_K": "Q8_0"}
"""What stands in for a format with super-blocks where they do not fit into a row."""

_AT_ONCE = 2**22


@dataclass(frozen=True)
class Scheme:
    """Which matrix is stored in which format.

    Parameters
    ----------
    name : str
    base : str
        The format of most matrices.
    across : tuple of str
        Parts whose super-blocks may run from one row into the next. No file has that; it is how a
        narrow model gets the formats that a part has in the file of a wider one.
    model : str
        The open model whose file is stored so; empty if none.
    """

    name: str
    base: str
    across: tuple[str, ...] = ()
    model: str = ""

    def format(self, part: str, layer: int, ell: int, shape: torch.Size) -> Format:
        """The format of one matrix.

        As llama.cpp chooses: the values' and the down projection get more bits in an eighth of the
        layers at either end and in every third between; the output gets more throughout, and so
        does the embedding, which in both files is the output, too.
        """
        favoured = part in ("attn_v", "ffn_down") and self.base == "Q4_K" and _more_bits(layer, ell)
        wanted = "Q6_K" if favoured or part in ("token_embd", "output") else self.base
        length = math.prod(shape) if part in self.across else shape[-1]
        if length % FORMATS[wanted].size == 0:
            return FORMATS[wanted]
        narrow = FORMATS[_NARROW.get(wanted, wanted)]
        return narrow if shape[-1] % narrow.size == 0 else FORMATS["F16"]


def _more_bits(layer: int, ell: int) -> bool:
    return layer < ell // 8 or layer >= 7 * ell // 8 or (layer - ell // 8) % 3 == 2


SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme("Q4_1", "Q4_1", model="smollm2-135m"),
        Scheme("Q4_K_M", "Q4_K"),
        Scheme("Q4_K_M-gemma3", "Q4_K", ("attn_output", "ffn_down"), "gemma3-270m"),
    )
}


def quantise(model: Model, scheme: Scheme | str) -> Model:
    """The model with its matrices rounded as a quantised file would; computed in its own dtype.

    Norms and biases stay as they are, as in such files. The model given is not changed.

    Parameters
    ----------
    model : Model
    scheme : Scheme or str
        One of `SCHEMES` by name.

    Returns
    -------
    Model
        Of the same runtime and tokenizer, named "NAME (SCHEME)".

    Raises
    ------
    InputError
        If the scheme is unknown, or a matrix of the model has no counterpart in such files.
    """
    scheme = _scheme(scheme)
    net = copy.deepcopy(model.net)
    with torch.no_grad():
        for name, format in formats(model, scheme).items():
            weight = net.get_parameter(name)
            weight.copy_(rounded(weight, format))
    return Model.of(net, model.runtime, model.tokenizer, f"{model.name} ({scheme.name})")


def formats(model: Model, scheme: Scheme | str) -> dict[str, Format]:
    """The format of each matrix of a model, by the name of its weight in transformers."""
    scheme = _scheme(scheme)
    return {
        name: scheme.format(part, layer, model.ell, weight.shape)
        for name, part, layer, weight in _matrices(model)
    }


def rounded(weight: Tensor, format: Format) -> Tensor:
    """A matrix as it is read back from a file of that format; rows are cut into blocks."""
    flat = weight.detach().float().reshape(-1, format.size)
    parts = [format.rounded(some) for some in flat.split(max(1, _AT_ONCE // format.size))]
    return torch.cat(parts).reshape(weight.shape).to(weight.dtype)


def _scheme(scheme: Scheme | str) -> Scheme:
    if isinstance(scheme, Scheme):
        return scheme
    if scheme not in SCHEMES:
        raise InputError(f"scheme {scheme!r} is unknown: use one of {', '.join(SCHEMES)}")
    return SCHEMES[scheme]


def _matrices(model: Model) -> Iterator[tuple[str, str, int, Tensor]]:
    """Name, part, layer (-1 outside of the blocks) and weight of each matrix, tied ones once."""
    for name, weight in model.net.named_parameters():
        if weight.ndim < 2:
            continue
        *path, module, _ = name.split(".")
        if module not in PARTS or weight.ndim > 2:
            raise InputError(
                f"the matrix {name!r} of {model.name!r} has no counterpart in the quantised files "
                f"that are known here: they hold {', '.join(PARTS)}"
            )
        layer = next((int(step) for step in path if step.isdigit()), -1)
        yield name, PARTS[module], layer, weight


@dataclass(frozen=True)
class Shift:
    """How far one statistic of one model moves when its weights are rounded."""

    model: str
    ell: int
    m: int
    scheme: str
    statistic: str
    original: float
    quantised: float

    @property
    def shift(self) -> float:
        """Quantised less original."""
        return self.quantised - self.original


def shifts(
    model: Model,
    statistic: Callable[[Model], Mapping[str, float]],
    schemes: Iterable[str] = tuple(SCHEMES),
) -> list[Shift]:
    """A model's statistics before and after quantisation, for each scheme.

    Parameters
    ----------
    model : Model
    statistic : callable
        Numbers by name; a name may end in ".INDEX", e.g. "loss_share.3".
    schemes : iterable of str
    """
    original = statistic(model)
    about = (model.name, model.ell, model.m)
    return [
        Shift(*about, scheme, name, float(original[name]), float(value))
        for scheme in schemes
        for name, value in statistic(quantise(model, scheme)).items()
    ]


def bands(found: Iterable[Shift]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Mean and largest size of the shifts by scheme and statistic, over models and indices.

    Returns
    -------
    dict
        scheme -> name -> `mean`, `largest` in the statistic's unit; `mean_relative`,
        `largest_relative` as shares of the original's size, None where an original is zero;
        `models`, how many there are.
    """
    groups: dict[tuple[str, str], list[Shift]] = {}
    for one in found:
        groups.setdefault((one.scheme, one.statistic.partition(".")[0]), []).append(one)
    result: dict[str, dict[str, dict[str, float | None]]] = {}
    for (scheme, name), members in groups.items():
        result.setdefault(scheme, {})[name] = _band(members)
    return result


def _band(members: list[Shift]) -> dict[str, float | None]:
    sizes = [abs(one.shift) for one in members]
    shares = [abs(one.shift / one.original) for one in members if one.original]
    whole = len(shares) == len(sizes)
    return {
        "mean": mean(sizes),
        "largest": max(sizes),
        "mean_relative": mean(shares) if whole else None,
        "largest_relative": max(shares) if whole else None,
        "models": len({one.model for one in members}),
    }
