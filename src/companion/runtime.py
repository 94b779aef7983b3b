"""Where a computation runs, in which dtype and why, and the seeds of everything random.

Floor 0. Nothing heavy is imported at module level, so that the command line starts fast.
"""

from __future__ import annotations

import os
import platform
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from companion.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import torch

DTYPES = ("float32", "bfloat16", "float16", "float64")


@dataclass(frozen=True)
class Runtime:
    """Device, dtype, the reason for both, and the seed of everything random.

    Make one with `Runtime.choose`; pass it on explicitly.
    """

    device: str
    dtype: str
    reason: str
    seed: int = 0

    @classmethod
    def choose(cls, device: str = "auto", dtype: str = "auto", seed: int = 0) -> Runtime:
        """Pick the device and the dtype, or check the ones asked for.

        Parameters
        ----------
        device : str
            "auto", "cpu", "mps", "cuda" or "cuda:N".
        dtype : str
            "auto" or one of `DTYPES`; auto is bfloat16 where a GPU computes it natively.
        seed : int
            Seed of all generators made by this runtime.

        Raises
        ------
        InputError
            If the device is not there or the dtype is unknown.
        """
        chosen, why_device = _choose_device(device)
        kind, why_dtype = _choose_dtype(dtype, chosen)
        return cls(chosen, kind, f"{chosen}: {why_device}; {kind}: {why_dtype}", seed)

    @property
    def torch_device(self) -> torch.device:
        """The device as torch names it."""
        import torch

        return torch.device(self.device)

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype as torch names it."""
        import torch

        return getattr(torch, self.dtype)

    @property
    def device_name(self) -> str:
        """What a person calls the device, e.g. "NVIDIA H200" or "x86_64, 2 threads"."""
        import torch

        if self.device.startswith("cuda"):
            return torch.cuda.get_device_name(self.torch_device)
        return f"{platform.machine()}, {torch.get_num_threads()} threads"

    def matmul_peak(self, n: int = 1024) -> float:
        """Best rate of five products of n x n matrices here, in floating-point operations a second.

        A yardstick: what a computation reaches of it is its fraction of peak.
        """
        import torch

        a = torch.randn(n, n, device=self.torch_device).to(self.torch_dtype)
        seconds = []
        for _ in range(6):
            began = time.perf_counter()
            (a @ a)[0, 0].item()
            seconds.append(time.perf_counter() - began)
        return 2 * n**3 / min(seconds)

    def numpy_generator(self, stream: int = 0) -> np.random.Generator:
        """A NumPy generator; equal (seed, stream) give equal numbers."""
        import numpy as np

        return np.random.default_rng([self.seed, stream])

    def torch_generator(self, stream: int = 0, device: str | None = None) -> torch.Generator:
        """A torch generator on `device` (default: this runtime's), fixed by (seed, stream)."""
        import numpy as np
        import torch

        state = np.random.SeedSequence([self.seed, stream]).generate_state(2)
        generator = torch.Generator(device=device or self.device)
        return generator.manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)


def _choose_device(asked: str) -> tuple[str, str]:
    import torch

    if asked == "auto":
        if torch.cuda.is_available():
            return "cuda", "a CUDA GPU is available"
        if torch.backends.mps.is_available():
            return "mps", "an Apple GPU is available"
        return "cpu", "no GPU was found"
    try:
        device = torch.device(asked)
    except RuntimeError:
        raise InputError(
            f"device {asked!r} is unknown: use auto, cpu, mps, cuda or cuda:N"
        ) from None
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }.get(device.type, 0)
    if (device.index or 0) >= there:
        raise InputError(f"device {asked!r} is not on this machine ({there} of that type)")
    return asked, "asked for"


def _choose_dtype(asked: str, device: str) -> tuple[str, str]:
    import torch

    if asked == "auto":
        if device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False):
            return "bfloat16", "native on this GPU"
        return "float32", "the default away from GPUs with native bfloat16"
    if asked not in DTYPES:
        raise InputError(f"dtype {asked!r} is unknown: use auto or one of {', '.join(DTYPES)}")
    return asked, "asked for"


def hub_reachable(timeout: float = 3.0) -> bool:
    """Whether the Hugging Face Hub answers; False at once when offline mode is switched on."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        return False
    address = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        with socket.create_connection((address.hostname or "", port), timeout=timeout):
            return True
    except OSError:
        return False


def free_memory(device: str | torch.device = "cpu") -> int:
    """Bytes that can still be had on a device; on the CPU within the limits of its control group
    and of its address space, too."""
    import torch

    if torch.device(device).type == "cuda":
        return torch.cuda.mem_get_info(torch.device(device))[0]
    import psutil

    free = [psutil.virtual_memory().available, *_group_headroom(), *_address_headroom(psutil)]
    return max(0, min(free))


def _group_headroom(folder: str = "/sys/fs/cgroup") -> list[int]:
    """What the control group still allows (cgroup v2); nothing where it sets no limit."""
    try:
        limit, used = (Path(folder, f"memory.{name}").read_text() for name in ("max", "current"))
        return [int(limit) - int(used)] if limit.strip() != "max" else []
    except OSError:
        return []


def _address_headroom(psutil: Any) -> list[int]:
    """What `ulimit -v` still allows; nothing where it sets no limit."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return []
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    used = psutil.Process().memory_info().vms
    return [limit - used] if limit != resource.RLIM_INFINITY else []


def check_memory(need: int, purpose: str, device: str | torch.device = "cpu") -> None:
    """Refuse what cannot fit.

    Parameters
    ----------
    need : int
        Bytes.
    purpose : str
        Begins the sentence, e.g. "loading 'ladder:m128-ell8' in float32".
    device : str or torch.device

    Raises
    ------
    InputError
        If fewer bytes are free on the device.
    """
    if need > (free := free_memory(device)):
        raise InputError(
            f"{purpose} needs {need / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free on "
            f"{device}: close other programs, use a machine with more, or a smaller model or dtype"
        )
