"""What the device can do at most: the yardstick of the benchmarks beside this file."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch


def matmul_peak(device: torch.device | str, dtype: torch.dtype, n: int = 4096) -> float:
    """Best rate of five products of n x n matrices, in floating-point operations a second."""
    a = torch.randn(n, n, device=device).to(dtype)
    return 2 * n**3 / min(seconds(lambda: a @ a, device) for _ in range(5))


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
