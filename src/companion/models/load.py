"""Load a causal language model by name: an embedded ladder model, a local path, or a Hub id.

Weights are safetensors only, and code from a repository is never run.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from companion.models.anatomy import Model, refuse_encoders
from companion.runtime import InputError, Runtime, hub_reachable

LADDER = Path(__file__).resolve().parents[1] / "data" / "ladder"


def ladder_models() -> list[str]:
    """Names of the embedded models, e.g. "ladder:m128-ell8", shallow ones first."""
    found = [path.parent for path in LADDER.glob("*/config.json")]
    depth = {path: json.loads((path / "config.json").read_text()) for path in found}
    found.sort(key=lambda path: (depth[path]["hidden_size"], depth[path]["num_hidden_layers"]))
    return [f"ladder:{path.name}" for path in found]


def load_model(
    name: str, runtime: Runtime, revision: str | None = None, device_map: str | None = None
) -> Model:
    """Load a causal language model.

    Parameters
    ----------
    name : str
        "ladder:NAME" (see `ladder_models`), a folder in Hub layout, or a Hub id.
    runtime : Runtime
        Device and dtype of the weights.
    revision : str, optional
        Branch, tag or commit of a Hub id.
    device_map : str, optional
        "auto" spreads a model over several GPUs (needs the package accelerate).

    Raises
    ------
    InputError
        If the model is not there, cannot be reached, is corrupt, or is no decoder-only model.
    """
    _import_tqdm()
    place, only_local = _locate(name, revision)
    options = {"revision": revision or "main", "local_files_only": only_local}
    config = _config(name, place, options)
    refuse_encoders(config, name)
    net = _weights(name, place, options, runtime, device_map)
    return Model.of(net, runtime, _tokenizer(place, options), name)


def _locate(name: str, revision: str | None) -> tuple[str, bool]:
    """Where transformers shall look, and whether only on this machine."""
    if name.startswith("ladder:"):
        path = LADDER / name.removeprefix("ladder:")
        if not (path / "config.json").exists():
            have = ", ".join(ladder_models()) or "none are embedded yet: companion ladder train"
            raise InputError(f"model {name!r} is not embedded; there are: {have}")
        return str(path), True
    path = Path(name).expanduser()
    if path.exists():
        if not (path / "config.json").exists():
            raise InputError(f"folder {name!r} has no config.json: give a model in Hub layout")
        return str(path), True
    return name, _cached_or_reachable(name, revision)


def _cached_or_reachable(name: str, revision: str | None) -> bool:
    from huggingface_hub import constants, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        raise InputError(
            f"model {name!r} is no folder on this machine and no Hub id of the form OWNER/NAME"
        ) from None
    if hub_reachable():
        return False
    if isinstance(try_to_load_from_cache(name, "config.json", revision=revision), str):
        return True
    raise InputError(
        f"model {name!r} is not in the cache {constants.HF_HUB_CACHE!r} and the Hugging Face Hub "
        "cannot be reached (or HF_HUB_OFFLINE is set): download it where there is a network, or "
        f"use an embedded model ({', '.join(ladder_models()) or 'none yet'}) or a local folder"
    )


def _config(name: str, place: str, options: dict[str, Any]) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(place, trust_remote_code=False, **options)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"model {name!r} could not be opened: {_reason(error)}") from error


def _weights(
    name: str, place: str, options: dict[str, Any], runtime: Runtime, device_map: str | None
) -> Any:
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    if device_map:
        options = options | {"device_map": _checked_map(device_map)}
    try:
        with _quiet():
            net, info = AutoModelForCausalLM.from_pretrained(
                place,
                dtype=runtime.torch_dtype,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **options,
            )
    except SafetensorError as error:
        raise InputError(
            f"the weights of {name!r} in {place!r} are corrupt ({_reason(error)}): fetch them again"
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"the weights of {name!r} could not be loaded: {_reason(error)}"
        ) from error
    if missing := sorted(info["missing_keys"]):
        raise InputError(
            f"the weights of {name!r} lack {len(missing)} tensors, first {missing[0]!r}: "
            "they belong to another configuration"
        )
    return net if device_map else net.to(runtime.torch_device)


def _import_tqdm() -> None:
    """tqdm, which transformers imports, warns about notebooks without widgets: once, here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tqdm.auto  # noqa: F401


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the loader's progress bar, which would end up in a chapter's output."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _checked_map(device_map: str) -> str:
    if find_spec("accelerate") is None:
        raise InputError(
            f"device_map={device_map!r} needs the package accelerate: pip install accelerate"
        )
    return device_map


def _tokenizer(place: str, options: dict[str, Any]) -> Any:
    """The model's tokenizer, or None where the folder has none."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(place, trust_remote_code=False, **options)
    except (OSError, ValueError):
        return None


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
