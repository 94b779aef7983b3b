"""What a probe measures and how, checked at the door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from companion.errors import InputError
from companion.probing.quantities import GEOMETRY, LENSES, Quantity, lens_quantities

if TYPE_CHECKING:
    from companion.models import Model

AUTO = "auto"


@dataclass(frozen=True)
class Settings:
    """What a probe measures and how; see `probe`."""

    lens: str = "last_block"
    lens_fraction: float | str = 1.0
    sink_ratio: float = 10.0
    paper_compat: bool = False
    noise_batches: int = 2
    until_sem: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.lens not in LENSES:
            raise InputError(f"lens {self.lens!r} is unknown: use one of {', '.join(LENSES)}")
        if self.lens_fraction != AUTO and not 0 < number(self.lens_fraction) <= 1:
            raise InputError(
                f"lens_fraction {self.lens_fraction} is out of range: use auto, or (0, 1]"
            )
        if not self.sink_ratio > 1:
            raise InputError(f"sink_ratio {self.sink_ratio} is out of range: use more than 1")
        if self.noise_batches < 0:
            raise InputError(f"noise_batches {self.noise_batches} is out of range: use 0 or more")
        self._check_targets()

    def _check_targets(self) -> None:
        names = [q.name for q in self.quantities]
        for name, target in self.until_sem.items():
            if name not in names:
                raise InputError(
                    f"until_sem names {name!r}, which is not measured: use {', '.join(names)}"
                )
            if not target > 0:
                raise InputError(f"until_sem {name}={target} is not positive")

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

        if self.lens_fraction != AUTO:
            return replace(self, lens_fraction=number(self.lens_fraction))
        return replace(self, lens_fraction=lens_share(model, self.lens, length))


def number(text: Any) -> float:
    """A share as a number, out of a command line or a chapter's parameters.

    Raises
    ------
    InputError
        If it is neither a number nor "auto".
    """
    try:
        return float(text)
    except (TypeError, ValueError):
        raise InputError(f"lens_fraction {text!r} is neither auto nor a number in (0, 1]") from None
