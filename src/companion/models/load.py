"""Load a causal language model by name: an embedded ladder model, a local path, or a Hub id.

Weights are safetensors only, and code from a repository is never run.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from companion.errors import InputError
from companion.models.anatomy import Model, reason, refuse_encoders
from companion.models.weights import read_weights
from companion.runtime import Runtime, hub_reachable

LADDER = Path(__file__).resolve().parents[1] / "data" / "ladder"


def ladder_models() -> list[str]:
    """Names of the embedded models, e.g. "ladder:m128-ell8", shallow ones first."""
    found = [path.parent for path in LADDER.glob("*/config.json")]
    depth = {path: json.loads((path / "config.json").read_text()) for path in found}
    found.sort(key=lambda path: (depth[path]["hidden_size"], depth[path]["num_hidden_layers"]))
    return [f"ladder:{path.name}" for path in found]


def load_model(
    name: str, runtime: Runtime, device_map: str | Mapping[str, Any] | None = None
) -> Model:
    """Load a causal language model.

    Parameters
    ----------
    name : str
        "ladder:NAME" (see `ladder_models`), a folder in Hub layout, or a Hub id; each may end with
        "@REVISION": a branch, tag or commit on the Hub, else a subfolder, e.g. "step64".
    runtime : Runtime
        Device and dtype of the weights; without a `device_map` all of them lie on that device.
    device_map : str or mapping, optional
        "auto" spreads a model over all GPUs, then memory, then disk; a mapping from modules to
        devices ("disk" is one) says it by hand. Needs the package accelerate (extra "spread").

    Raises
    ------
    InputError
        If the model is not there, cannot be reached, is corrupt, or is no decoder-only model.
    """
    _import_tqdm()
    place, options = _locate(name)
    config = _config(name, place, options)
    refuse_encoders(config, name)
    net = read_weights(name, place, options, runtime, device_map)
    return Model.of(net, runtime, _tokenizer(name, place, options), name)


def _locate(name: str) -> tuple[str, dict[str, Any]]:
    """Where transformers shall look, and its options: revision, or subfolder on this machine."""
    bare, _, revision = name.partition("@")
    if not bare:
        raise InputError(f"model {name!r} is no name: use ladder:NAME, a folder, or a Hub id")
    if bare.startswith("ladder:"):
        return _folder(LADDER / bare.removeprefix("ladder:"), revision, name)
    path = Path(bare).expanduser()
    if path.exists():
        return _folder(path, revision, name)
    options = {"revision": revision or "main"}
    return bare, options | {"local_files_only": _cached_or_reachable(bare, revision or None)}


def _folder(path: Path, revision: str, name: str) -> tuple[str, dict[str, Any]]:
    if (path / revision / "config.json").exists():
        return str(path), {"subfolder": revision, "local_files_only": True}
    steps = sorted(at.parent.name for at in path.glob("*/config.json")) if path != LADDER else []
    if steps:
        raise InputError(
            f"model {name!r}: no such revision, there are {', '.join(steps)} (NAME@REVISION)"
        )
    if name.startswith("ladder:"):
        have = ", ".join(ladder_models()) or "none are embedded yet: companion ladder train"
        raise InputError(f"model {name!r} is not embedded; there are: {have}")
    raise InputError(f"folder {name!r} has no config.json: give a model in Hub layout")


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
    except Exception as error:  # whatever a family's own checks raise
        raise InputError(f"model {name!r} could not be opened: {reason(error)}") from error


def _import_tqdm() -> None:
    """tqdm, which transformers imports, warns about notebooks without widgets: once, here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tqdm.auto  # noqa: F401


def _tokenizer(name: str, place: str, options: dict[str, Any]) -> Any:
    """The model's tokenizer, or None where the folder has none."""
    from transformers import AutoTokenizer

    options = {key: value for key, value in options.items() if key != "subfolder"}
    try:
        return AutoTokenizer.from_pretrained(place, trust_remote_code=False, **options)
    except Exception as error:
        if Path(place, "tokenizer.json").exists():
            raise InputError(
                f"the tokenizer of {name!r} could not be read: {reason(error)}"
            ) from error
        if isinstance(error, (OSError, ValueError)):
            return None
        raise
