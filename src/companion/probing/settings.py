"""What a probe measures and how, checked at the door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from companion.corpus import Text
from companion.errors import InputError
from companion.probing.quantities import GEOMETRY, Lens, Quantity, lens_quantities
from companion.settings import Number, Whole, settings

if TYPE_CHECKING:
    from companion.models import Model

AUTO = "auto"


def _share(value: Any) -> float | str:
    """A share as a number, out of a command line or a chapter's parameters."""
    if value == AUTO:
        return AUTO
    try:
        share = float(value)
    except (TypeError, ValueError):
        share = float("nan")
    if not 0 < share <= 1:
        raise InputError("is neither auto nor a number in (0, 1]")
    return share


@settings("probe")
class Settings:
    """What a probe measures: two of one text add up where these agree.

    Parameters
    ----------
    lens : str
        Through which lens predictions are read.
    lens_fraction : float or str
        Share of the tokens whose lens is read, drawn at random in each block; auto: as many as
        cost about as much as the forward pass.
    sink_ratio : float
        Tokens whose norm exceeds that many medians count as attention sinks.
    paper_compat : bool
        The published scripts' choices: last state normed, bfloat16 cosines, sinks pooled.
    noise_batches : int
        Batches repeated in float32 where the model runs in less.
    until_sem : mapping of str to float
        Standard errors, by quantity, at which to stop once every layer has reached them.
    """

    lens: Lens = "last_block"
    lens_fraction: Annotated[float | str, BeforeValidator(_share)] = 1.0
    sink_ratio: Annotated[Number, Field(gt=1)] = 10.0
    paper_compat: bool = False
    noise_batches: Annotated[Whole, Field(ge=0)] = 2
    until_sem: Mapping[str, Annotated[Number, Field(gt=0)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_targets(self) -> Settings:
        names = [q.name for q in self.quantities]
        for name in set(self.until_sem) - set(names):
            raise InputError(
                f"until_sem names {name!r}, which is not measured: use {', '.join(names)}"
            )
        return self

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """All that is measured of every model; parts of updates come on top where known."""
        return GEOMETRY + lens_quantities(self.lens)

    @property
    def share(self) -> float:
        """The lens' share as a number; of settings that are `resolved`."""
        return float(self.lens_fraction)

    def resolved(self, model: Model, length: int) -> Settings:
        """The same with the lens' share as a number: "auto" becomes `lens_share` of the model."""
        from companion.probing.lens.share import lens_share

        same = {field.name: getattr(self, field.name) for field in fields(Settings)}
        if self.lens_fraction == AUTO:
            same["lens_fraction"] = lens_share(model, self.lens, length)
        return Settings(**same)


@settings("probe")
class Probing(Settings):
    """What a probe measures, and how it goes through the text.

    Parameters
    ----------
    block_length : int
        Tokens in a block; by default the model's context, at most 1024.
    batch_size : int
        Blocks at once, 0 for what fits into memory; halved when memory runs out.
    shard : str
        I/N with 0 <= I < N: every N-th block, starting with the I-th.
    compile : bool
        Fuse the reduction of logits with torch.compile.
    """

    block_length: Annotated[Whole, Field(ge=2)] | None = None
    batch_size: Annotated[Whole, Field(ge=0)] = 0
    shard: str = "0/1"
    compile: bool = False


@settings("text")
class Reading(Text):
    """Text that several models read, each in its own tokens.

    Parameters
    ----------
    batch_size : int
        Blocks at once, 0 for what fits into memory.
    """

    batch_size: Annotated[Whole, Field(ge=0)] = 0
