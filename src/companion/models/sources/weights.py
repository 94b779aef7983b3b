"""Read the weights of a causal language model: safetensors only, spread over devices if asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

from companion.errors import InputError
from companion.models.anatomy import reason
from companion.runtime import Runtime, check_memory


def read_weights(
    name: str,
    place: str,
    options: Mapping[str, Any],
    runtime: Runtime,
    device_map: str | Mapping[str, Any] | None,
) -> Any:
    """The transformers model in `place`, in the runtime's dtype; see `load_model`.

    Parameters
    ----------
    name : str
        As the user gave it, for messages.
    place : str
        A folder, or a Hub id.
    options : mapping
        For `from_pretrained`: revision or subfolder, local_files_only.
    runtime : Runtime
    device_map : str, mapping or None

    Raises
    ------
    InputError
        If weights are missing, corrupt or of another configuration, or accelerate is missing.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    if device_map:
        _check_map(device_map)
        options = {**options, "device_map": device_map}
    _check_fits(name, place, options, runtime, device_map)
    try:
        with _quiet():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                place,
                dtype=runtime.torch_dtype,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **options,
            )
    except SafetensorError as error:
        raise InputError(
            f"the weights of {name!r} are corrupt: {_blame(place, options, error)}"
        ) from error
    except Exception as error:  # whatever a family's own code raises
        raise InputError(f"the weights of {name!r} could not be loaded: {reason(error)}") from error
    net, info = loaded
    if missing := sorted(info["missing_keys"]):
        raise InputError(
            f"the weights of {name!r} lack {len(missing)} tensors, first {missing[0]!r}: "
            "they belong to another configuration"
        )
    return net if device_map else net.to(runtime.torch_device)


def _check_fits(
    name: str,
    place: str,
    options: Mapping[str, Any],
    runtime: Runtime,
    device_map: str | Mapping[str, Any] | None,
) -> None:
    """Refuse weights on this machine that do not fit into memory; what a map spreads is spread."""
    if device_map or not Path(place).exists():
        return
    numbers = sum(map(_numbers, Path(place, options.get("subfolder", "")).glob("*.safetensors")))
    need = numbers * runtime.torch_dtype.itemsize
    check_memory(need, f"loading {name!r} in {runtime.dtype}", runtime.device)


def _numbers(file: Path) -> int:
    """How many numbers the tensors of a file have; 0 where it does not parse."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as weights:
            return sum(prod(weights.get_slice(key).get_shape()) for key in weights.keys())  # noqa: SIM118
    except SafetensorError:
        return 0


def _check_map(device_map: str | Mapping[str, Any]) -> None:
    if find_spec("accelerate") is None:
        raise InputError(
            f"device_map={device_map!r} needs the package accelerate: "
            'pip install "depth-companion[spread]"'
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the loader's progress bar and remarks, which would end up in a chapter's output."""
    from transformers.utils import logging

    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


def _blame(place: str, options: Mapping[str, Any], error: Exception) -> str:
    """Which file does not parse, and what to do; one that was downloaded is put aside."""
    local = Path(place).exists()
    folder = Path(place, options.get("subfolder", "")) if local else _cached(place, options)
    broken = next(
        (file for file in sorted(folder.glob("*.safetensors")) if not _parses(file)), None
    )
    if broken is None:
        return f"{reason(error)} ({folder})"
    if local:
        return f"file {str(broken)!r} ({reason(error)}): put a whole copy in its place"
    aside = broken.with_suffix(".corrupt")
    broken.resolve().rename(aside)
    return f"file {str(broken)!r} ({reason(error)}) is now {aside.name!r}: call again to fetch it"


def _cached(place: str, options: Mapping[str, Any]) -> Path:
    """Where the Hub's cache keeps the files of a model."""
    from huggingface_hub import try_to_load_from_cache

    return Path(
        str(try_to_load_from_cache(place, "config.json", revision=options["revision"]))
    ).parent


def _parses(file: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt"):
            return True
    except SafetensorError:
        return False
