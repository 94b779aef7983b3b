"""What a probe measures and how, checked at the door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from companion.errors import InputError
from companion.probing.quantities import GEOMETRY, LENSES, Quantity, lens_quantities


@dataclass(frozen=True)
class Settings:
    """What a probe measures and how; see `probe`."""

    lens: str = "last_block"
    lens_fraction: float = 1.0
    sink_ratio: float = 10.0
    paper_compat: bool = False
    noise_batches: int = 2
    until_sem: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.lens not in LENSES:
            raise InputError(f"lens {self.lens!r} is unknown: use one of {', '.join(LENSES)}")
        if not 0 < self.lens_fraction <= 1:
            raise InputError(f"lens_fraction {self.lens_fraction} is out of range: use (0, 1]")
        if not self.sink_ratio > 1:
            raise InputError(f"sink_ratio {self.sink_ratio} is out of range: use more than 1")
        if self.noise_batches < 0:
            raise InputError(f"noise_batches {self.noise_batches} is out of range: use 0 or more")
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
        return GEOMETRY + lens_quantities(self.lens)
