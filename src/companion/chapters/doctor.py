"""What a run on this machine would use: device, kernel, caches, and what can be reached."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from companion.chapters.fingerprint import models_here
from companion.chapters.source import Book, discover
from companion.errors import InputError
from companion.files import cache_folder
from companion.provenance import commit
from companion.runtime import Runtime

_HOSTS = {"Hugging Face Hub": "huggingface.co", "GitHub": "raw.githubusercontent.com"}
_SECONDS = 3.0


def examine() -> dict[str, str]:
    """Facts by name, each one line; "kernel" starts with "missing" if chapters cannot run."""
    import torch
    from huggingface_hub.constants import HF_HUB_CACHE

    import companion

    runtime = Runtime.choose()
    return {
        "companion": f"{companion.__version__}, commit {commit()}",
        "python": f"{platform.python_version()} ({sys.executable})",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "device": runtime.device,
        "dtype": runtime.dtype,
        "reason": runtime.reason,
        "device name": runtime.device_name,
        "torch": torch.__version__,
        "kernel": _kernel(),
        "book": _book(),
        "COMPANION_DATA": _folder(os.environ.get("COMPANION_DATA")),
        "cache": _folder(str(cache_folder())),
        "open models": ", ".join(models_here()) or "none here, see `companion models`",
        "Hub cache": _folder(HF_HUB_CACHE),
        "disk free": f"{shutil.disk_usage(Path.cwd()).free / 1e9:.1f} GB",
        **_reachable(),
    }


def _kernel() -> str:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        return "missing: install ipykernel in this environment"
    return f"python3 ({spec.resource_dir})"


def _book() -> str:
    try:
        book = Book.here()
    except InputError as missing:
        return f"none: {missing}"
    built = "built" if (book.html / "index.html").exists() else "not built"
    return f"{book.root}, {len(discover(book))} chapters, {built}"


def _folder(path: str | None) -> str:
    if not path:
        return "not set"
    return path if Path(path).is_dir() else f"{path} (not there yet)"


def _reachable() -> dict[str, str]:
    with ThreadPoolExecutor(len(_HOSTS)) as pool:
        return dict(zip(_HOSTS, pool.map(_reach, _HOSTS.values()), strict=True))


def _reach(host: str) -> str:
    try:
        with socket.create_connection((host, 443), timeout=_SECONDS):
            return "reachable"
    except OSError as failure:
        return f"not reachable ({failure})"
