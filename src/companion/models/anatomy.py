"""The parts of a causal language model, found without per-family code.

The blocks are the `ModuleList` as long as the configuration says there are layers; the tail is
what their owner calls after the last block (final norm, a projection out); the head is the rest of
the model's own forward pass, run with the owner replaced by a stub, so that soft caps and logit
scales are the model's own. `probing.certificate` checks all of it on numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from companion.errors import InputError
from companion.models.hooks import first_tensor, replaced
from companion.runtime import Runtime


@dataclass(frozen=True)
class Model:
    """A causal language model and its parts; make one with `load_model` or `Model.of`.

    Parameters
    ----------
    name : str
    net : transformers.PreTrainedModel
        In evaluation mode.
    tokenizer : transformers tokenizer or None
    runtime : Runtime
    blocks : nn.ModuleList
        The residual blocks, ell of them.
    owner : nn.Module
        The module that holds and runs the blocks.
    tail : tuple of nn.Module
        What the owner calls after the last block, in order.
    output : type
        The type of the owner's return value.
    device : torch.device
        Where the last block leaves its states, and with it those that are kept.
    origin : mapping
        Where the numbers come from: quantisation, checksum, Hub id; empty where the name says it.
    """

    name: str
    net: Any
    tokenizer: Any
    runtime: Runtime
    blocks: nn.ModuleList
    owner: nn.Module
    tail: tuple[nn.Module, ...]
    output: type
    device: torch.device
    origin: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, net: Any, runtime: Runtime, tokenizer: Any = None, name: str | None = None
    ) -> Model:
        """Wrap a transformers model that is already in memory.

        Raises
        ------
        InputError
            If it has no list of blocks, does not run, or the tokenizer has more tokens than the
            model.
        """
        net = net.eval()
        name = name or f"{net.config.model_type} in memory"
        refuse_encoders(net.config, name)
        if net.dtype == torch.float64:
            # The grouped products of experts take no float64; the loop over experts does.
            net.set_experts_implementation("eager")
        owner, blocks = _find_blocks(net, name)
        try:
            traced = _trace(net, owner, blocks)
        except Exception as error:  # whatever a family's own code raises
            raise InputError(
                f"model {name!r} ({net.config.model_type}) does not run on four tokens in "
                f"{str(net.dtype).removeprefix('torch.')} ({reason(error)}): use another dtype, or "
                "mend its configuration"
            ) from error
        model = cls(name, net, tokenizer, runtime, blocks, owner, *traced)
        _check_vocabulary(model)
        return model

    @property
    def final_norm(self) -> nn.Module | None:
        """The normalisation before the unembedding; None where the model has none."""
        return next((part for part in self.tail if "norm" in type(part).__name__.lower()), None)

    @property
    def unembedding(self) -> nn.Module:
        """What turns normed states into logits."""
        return self.net.get_output_embeddings()

    @property
    def ell(self) -> int:
        """Depth: the number of blocks."""
        return len(self.blocks)

    @property
    def m(self) -> int:
        """Width of the residual stream."""
        return self.net.config.get_text_config(decoder=True).hidden_size

    @property
    def V(self) -> int:
        """Rows of the embedding: token ids are below it."""
        return self.net.get_input_embeddings().weight.shape[0]

    @property
    def family(self) -> str:
        """What transformers calls the architecture."""
        return self.net.config.model_type

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights: what is computed in, whatever the runtime says."""
        return next(self.blocks[-1].parameters()).dtype

    @staticmethod
    def present(module: nn.Module) -> AbstractContextManager[None]:
        """A context in which the module's own weights are in memory, wherever they are kept."""
        if not any(weight.is_meta for weight in module.parameters(recurse=False)):
            return nullcontext()
        from accelerate.utils import align_module_device

        return align_module_device(module)

    def states(self, tokens: Tensor) -> None:
        """Run everything up to the tail; hooks see the states. tokens: (B, T)."""
        self.net.base_model(input_ids=tokens.to(_entrance(self.net)), use_cache=False)

    def logits(self, tokens: Tensor, last: int = 0) -> Tensor:
        """The model's own logits, (B, T, vocabulary), of tokens (B, T).

        `last` asks for those of that many last positions only; 0 for all.
        """
        tokens = tokens.to(_entrance(self.net))
        few = {"logits_to_keep": last} if last else {}
        return self.net(input_ids=tokens, use_cache=False, **few).logits.to(self.device)

    def readout(self, z: Tensor) -> Tensor:
        """Logits of states behind the last block: tail, then the model's own head.

        Parameters
        ----------
        z : Tensor, shape (..., m)

        Returns
        -------
        Tensor, shape (..., vocabulary)
            With the model's soft caps and scales, in its dtype.
        """
        return self.head(self.behind_tail(z))

    def behind_tail(self, z: Tensor) -> Tensor:
        """What the head gets of states (..., m) behind the last block: most often normed ones."""
        shape, z = z.shape[:-1], z.flatten(0, -2)
        for part in self.tail:
            z = part(z)
        return z.unflatten(0, shape)

    def head(self, z: Tensor, columns: slice | None = None) -> Tensor:
        """Logits of what is behind the tail.

        Parameters
        ----------
        z : Tensor, shape (..., width before the unembedding)
        columns : slice, optional
            Tokens of the vocabulary to work out. For a plain unembedding and a head that treats
            each of them by itself, which `probing.certify` finds out.

        Returns
        -------
        Tensor, shape (..., columns)
            With the model's soft caps and scales, in its dtype.
        """
        shape, z = z.shape[:-1], z.flatten(0, -2).unsqueeze(0)
        placeholder = torch.zeros(z.shape[:2], dtype=torch.int64, device=z.device)
        known = (z,) if self.output is tuple else self.output(last_hidden_state=z)
        stubs: dict[nn.Module, Any] = {self.owner: lambda *_, **__: known}
        if columns is not None:
            weight, bias = self.unembedding.weight[columns], self.unembedding.bias
            bias = None if bias is None else bias[columns]
            stubs[self.unembedding] = lambda x: linear(x, weight, bias)
        with replaced(stubs):
            logits = self.net(input_ids=placeholder, use_cache=False).logits
        return logits[0].unflatten(0, shape).to(self.device)


def reason(error: BaseException) -> str:
    """The first sentence of an error's text, or its type where it has none."""
    first, *more = str(error).strip().splitlines() or [type(error).__name__]
    return f"{first} {more[0].strip()}" if first.endswith(":") and more else first


def refuse_encoders(config: Any, name: str) -> None:
    """Refuse by name what is not a decoder-only causal language model."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING

    if getattr(config, "is_encoder_decoder", False):
        kind = "an encoder-decoder"
    elif type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        kind = "not a causal language model"
    elif type(config) in MODEL_FOR_MASKED_LM_MAPPING and not getattr(config, "is_decoder", False):
        kind = "an encoder"
    else:
        return
    raise InputError(f"model {name!r} ({config.model_type}) is {kind}: use a decoder-only model")


def _find_blocks(net: Any, name: str) -> tuple[nn.Module, nn.ModuleList]:
    """The largest ModuleList with as many members as the configuration has layers."""
    ell = getattr(net.config.get_text_config(decoder=True), "num_hidden_layers", None)
    found: list[tuple[int, str]] = []
    for path, module in net.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == ell and ell:
            found.append((sum(p.numel() for p in module.parameters()), path))
    if not found:
        raise InputError(
            f"model {name!r} has no list of {ell} blocks: it is not a stack of residual blocks"
        )
    path = max(found)[1]
    return net.get_submodule(path.rpartition(".")[0]), net.get_submodule(path)


def _entrance(net: Any) -> torch.device:
    """Where token ids go: beside the embedding, or to the CPU if that lies on disk."""
    embedding = net.get_input_embeddings().weight
    return torch.device("cpu") if embedding.is_meta else embedding.device


def _trace(
    net: Any, owner: nn.Module, blocks: nn.ModuleList
) -> tuple[tuple[nn.Module, ...], type, torch.device]:
    """Seen on four tokens: what the owner calls after its last block, the type of its output, and
    the device of the last block's."""
    called: list[nn.Module] = []
    outputs: list[type] = []
    devices: list[torch.device] = []

    def leave(block: nn.Module, args: tuple, output: Any) -> None:
        called.clear()
        devices.append(first_tensor(output).device)

    parts = [part for part in owner.children() if part is not blocks]
    handles = [part.register_forward_hook(lambda p, *_: called.append(p)) for part in parts]
    handles.append(blocks[-1].register_forward_hook(leave))
    handles.append(owner.register_forward_hook(lambda *seen: outputs.append(type(seen[-1]))))
    tokens = torch.ones((1, 4), dtype=torch.long, device=_entrance(net))
    try:
        with torch.no_grad():
            net.base_model(input_ids=tokens, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return tuple(called), outputs[0], devices[0]


def _check_vocabulary(model: Model) -> None:
    if model.tokenizer is not None and len(model.tokenizer) > model.V:
        raise InputError(
            f"the tokenizer of {model.name!r} has {len(model.tokenizer)} tokens but the model "
            f"embeds only {model.V}: use the model's own tokenizer"
        )
