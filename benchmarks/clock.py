"""Wall-clock seconds, for the benchmarks beside this file."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch


def seconds(work: Callable[[], object], device: torch.device | str = "cpu") -> float:
    """Wall-clock seconds of `work`, waiting for a GPU before and after."""
    wait(device)
    began = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - began


def wait(device: torch.device | str) -> None:
    """Let a GPU finish what it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
