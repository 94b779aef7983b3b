"""Models in GGUF files: the header checked, the weights dequantised once and kept.

transformers reads the file; before it does, the header is walked here with every length held
against the size of the file, since a file from elsewhere may be cut short or hostile. The
dequantised copy (safetensors, float32) lies in the cache under the file's checksum.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from companion.errors import InputError
from companion.files import cache_folder, sha256_of
from companion.models.anatomy import reason
from companion.runtime import check_memory

VERSIONS = (2, 3)
MOST_DIMENSIONS = 4
SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
TEXT, ARRAY = 8, 9
"""Types of metadata values, by their numbers in the format."""

COPIES = 2
"""Float32 copies of the weights that exist at the peak of a conversion."""


class _Bad(Exception):
    """What is wrong with a file, without its name."""


@dataclass(frozen=True)
class Header:
    """What a GGUF file says of itself.

    Parameters
    ----------
    metadata : dict
        Scalars and texts; of arrays the length only.
    tensors : dict of name to (shape, ggml type)
    """

    metadata: dict[str, Any]
    tensors: dict[str, tuple[tuple[int, ...], int]]

    @property
    def architecture(self) -> str:
        """The family, by the name that the format gives it; empty where the file says none."""
        return str(self.metadata.get("general.architecture", ""))

    @property
    def parameters(self) -> int:
        """Numbers in all tensors."""
        return sum(prod(shape) for shape, _ in self.tensors.values())


class _Walk:
    """A cursor over the bytes that refuses to leave them."""

    def __init__(self, data: mmap) -> None:
        self.data, self.at = data, 0

    def take(self, code: str) -> Any:
        size = struct.calcsize(f"<{code}")
        if self.at + size > len(self.data):
            raise _Bad("it is cut short within its header")
        (value,) = struct.unpack_from(f"<{code}", self.data, self.at)
        self.at += size
        return value

    def skip(self, size: int) -> None:
        if self.at + size > len(self.data):
            raise _Bad("it is cut short within its header")
        self.at += size

    def text(self) -> str:
        size = self.take("Q")
        start = self.at
        self.skip(size)
        try:
            return self.data[start : self.at].decode("utf-8")
        except UnicodeDecodeError:
            raise _Bad(f"a name at byte {start} is not UTF-8") from None

    def value(self, kind: int) -> Any:
        if kind == TEXT:
            return self.text()
        if kind == ARRAY:
            return self._array()
        if kind not in SCALARS:
            raise _Bad(f"it has metadata of the unknown type {kind}")
        return self.take(SCALARS[kind])

    def _array(self) -> int:
        kind, length = self.take("I"), self.take("Q")
        if kind == TEXT:
            for _ in range(length):
                self.skip(self.take("Q"))
        elif kind in SCALARS:
            self.skip(length * struct.calcsize(f"<{SCALARS[kind]}"))
        else:
            raise _Bad(f"it has an array of the unknown type {kind}")
        return length


def read_header(path: Path) -> Header:
    """Metadata and tensors of a GGUF file, each held against the size of the file.

    Raises
    ------
    InputError
        If the file is no GGUF file, of another version, cut short, or inconsistent.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise _Bad("it does not begin with the letters GGUF")
            with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
                return _walk(data)
    except _Bad as bad:
        raise InputError(
            f"file {path.name!r} is no usable GGUF file: {bad}; fetch a whole copy of it"
        ) from None


def _walk(data: mmap) -> Header:
    walk = _Walk(data)
    walk.skip(4)
    if (version := walk.take("I")) not in VERSIONS:
        raise _Bad(f"its version is {version}, known are {', '.join(map(str, VERSIONS))}")
    n_tensors, n_metadata = walk.take("Q"), walk.take("Q")
    metadata: dict[str, Any] = {}
    for _ in range(n_metadata):
        name = walk.text()
        metadata[name] = walk.value(walk.take("I"))
    infos = [_tensor(walk) for _ in range(n_tensors)]
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise _Bad(f"its alignment is {alignment!r}")
    begin = -(-walk.at // alignment) * alignment
    for name, shape, kind, offset in infos:
        end = begin + offset + _bytes(name, shape, kind)
        if end > len(data):
            raise _Bad(f"tensor {name!r} ends at byte {end:,} of {len(data):,}")
    return Header(metadata, {name: (shape, kind) for name, shape, kind, _ in infos})


def _tensor(walk: _Walk) -> tuple[str, tuple[int, ...], int, int]:
    name, dimensions = walk.text(), walk.take("I")
    if dimensions > MOST_DIMENSIONS:
        raise _Bad(f"tensor {name!r} has {dimensions} dimensions")
    shape = tuple(walk.take("Q") for _ in range(dimensions))
    return name, shape, walk.take("I"), walk.take("Q")


def _bytes(name: str, shape: tuple[int, ...], kind: int) -> int:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        block, size = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    except (ValueError, KeyError):
        raise _Bad(f"tensor {name!r} is of the unknown type {kind}") from None
    return prod(shape) // block * size


def dequantised(path: Path, tell: Callable[[str], None], digest: str | None = None) -> Path:
    """The folder of a GGUF file's float32 copy, made now if it is not in the cache.

    Parameters
    ----------
    path : Path
    tell : callable
        Called with a sentence before work that takes long.
    digest : str, optional
        The file's sha256, if it is known.

    Raises
    ------
    InputError
        If the file is not usable, of an architecture that transformers does not read from GGUF,
        or if memory does not suffice.
    """
    header = read_header(path)
    _check_architecture(path, header)
    folder = cache_folder() / "dequantised" / (digest or sha256_of(path))[:24]
    if not (folder / "config.json").exists():
        check_memory(COPIES * 4 * header.parameters, f"dequantising {path.name!r}")
        tell(f"dequantising {path.name}, once; the copy is kept in {folder.parent}")
        _convert(path, folder)
    return folder


def _check_architecture(path: Path, header: Header) -> None:
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    known = sorted(set(GGUF_SUPPORTED_ARCHITECTURES) - {"general", "tokenizer"})
    if header.architecture not in known:
        raise InputError(
            f"file {path.name!r} is of the architecture {header.architecture!r}, which "
            f"transformers does not read from GGUF; it reads {', '.join(known)}"
        )


def _convert(path: Path, folder: Path) -> None:
    """Dequantise into a folder beside its place, and move it there when it is whole.

    In a process of its own: the readers below are native code, and a hostile file can end them.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    code = f"import sys; from {__name__} import convert; sys.exit(convert(*sys.argv[1:]))"
    with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as made:
        command = [sys.executable, "-c", code, str(path), made]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            why = done.stdout.strip() or f"its reader ended with code {done.returncode}"
            raise InputError(f"file {path.name!r} could not be dequantised: {why}")
        _settle(Path(made), folder)


def convert(source: str, folder: str) -> int:
    """Write the model and the tokenizer of a GGUF file in Hub layout; the exit code of a process.

    Where it fails, the reason is the one thing on standard output.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = Path(source)
    where = {"gguf_file": path.name, "trust_remote_code": False}
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            str(path.parent), dtype=torch.float32, output_loading_info=True, **where
        )
        net, info = loaded
        if missing := sorted(info["missing_keys"]):
            raise InputError(f"it lacks {len(missing)} tensors, first {missing[0]!r}")
        tokenizer = AutoTokenizer.from_pretrained(str(path.parent), **where)
        _forget_quantisation(net)
        net.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    except BaseException as error:  # a panic of the tokenizer's Rust code is no Exception
        print(reason(error))
        return 1
    return 0


def _forget_quantisation(net: Any) -> None:
    """The weights are plain numbers now; what says otherwise would keep them from being saved."""
    net.is_quantized = False
    for holder, name in ((net, "hf_quantizer"), (net.config, "quantization_config")):
        if hasattr(holder, name):
            delattr(holder, name)


def _settle(made: Path, folder: Path) -> None:
    """Move a whole folder to its place; another process may have been faster."""
    for file in made.iterdir():
        with file.open("rb") as written:
            os.fsync(written.fileno())
    try:
        made.rename(folder)
    except OSError:
        if not (folder / "config.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
            made.rename(folder)
