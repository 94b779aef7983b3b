"""Load a causal language model by name: embedded, open, a folder, a GGUF file, or a Hub id.

Weights are safetensors or GGUF, never pickles, and code from a repository is never run.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from companion.errors import InputError
from companion.files import sha256_of, user_path
from companion.models.anatomy import Model, reason, refuse_encoders
from companion.models.sources.fetching import fetch
from companion.models.sources.gguf import dequantised
from companion.models.sources.registry import OpenModel, open_model, open_models
from companion.models.sources.weights import read_weights
from companion.runtime import Runtime, hub_reachable

LADDER = Path(__file__).resolve().parents[2] / "data" / "ladder"


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
        "ladder:NAME" (see `ladder_models`); a registered open model (see `open_models`), fetched
        if it is not here; a folder in Hub layout; a .gguf file; or a Hub id. Ladder, folders and
        Hub ids may end with "@REVISION": a branch, tag or commit on the Hub, else a subfolder, e.g.
        "step64"; an open model with "@original", its unquantised original on the Hub.
    runtime : Runtime
        Device and dtype of the weights; without a `device_map` all of them lie on that device.
    device_map : str or mapping, optional
        "auto" spreads a model over all GPUs, then memory, then disk; a mapping from modules to
        devices ("disk" is one) says it by hand. Needs the package accelerate (extra "spread").

    Raises
    ------
    InputError
        If the model is not there, cannot be reached, is corrupt, does not fit into memory, or is
        no decoder-only model.
    """
    import_tqdm()
    place = _locate(name)
    config = _config(name, place.path, place.options)
    refuse_encoders(config, name)
    net = read_weights(name, place.path, place.options, runtime, device_map)
    tokenizer = _tokenizer(name, place.path, place.options)
    return replace(Model.of(net, runtime, tokenizer, name), origin=place.origin)


@dataclass(frozen=True)
class _Place:
    """Where transformers shall look, its options (revision, or subfolder on this machine), and
    what there is to say about where the numbers come from."""

    path: str
    options: dict[str, Any]
    origin: dict[str, str]


def _locate(name: str) -> _Place:
    bare, _, revision = name.partition("@")
    if not bare:
        raise InputError(
            f"model {name!r} is no name: use ladder:NAME, {', '.join(open_models())}, a folder, a "
            ".gguf file, or a Hub id"
        )
    if bare.startswith("ladder:"):
        return _folder(LADDER / bare.removeprefix("ladder:"), revision, name)
    if bare in open_models():
        return _open(open_model(bare), revision)
    path = user_path(bare)
    if path.is_file():
        return _file(path, revision)
    if path.exists():
        return _folder(path, revision, name)
    return _on_hub(bare, revision)


def _open(model: OpenModel, revision: str) -> _Place:
    """The pinned quantised copy of a registered model, or its original on the Hub."""
    if revision == "original":
        return _on_hub(model.original, "")
    if revision:
        raise InputError(
            f"model {model.name!r} has no revision {revision!r}: use {model.name}, or "
            f"{model.name}@original for {model.original} on the Hub"
        )
    origin = {
        "quantisation": model.quantisation,
        "sha256": model.sha256,
        "original": model.original,
    }
    return _Place(str(unpacked(model)), {"local_files_only": True}, origin)


def unpacked(model: OpenModel) -> Path:
    """The folder of a registered model's weights, dequantised; fetched first if it is not here."""
    return dequantised(fetch(model), _tell, model.sha256)


def _file(path: Path, revision: str) -> _Place:
    if path.suffix != ".gguf" or revision:
        raise InputError(
            f"model {str(path)!r} is a file that cannot be read as a model: give a .gguf file "
            "without a revision, or a folder in Hub layout"
        )
    digest = sha256_of(path)
    folder = dequantised(path, _tell, digest)
    return _Place(str(folder), {"local_files_only": True}, {"file": path.name, "sha256": digest})


def _tell(sentence: str) -> None:
    print(f"note: {sentence}", file=sys.stderr, flush=True)


def _on_hub(name: str, revision: str) -> _Place:
    local = _cached_or_reachable(name, revision or None)
    options = {"revision": revision or "main", "local_files_only": local}
    return _Place(name, options, {"hub": name, "revision": options["revision"]})


def _folder(path: Path, revision: str, name: str) -> _Place:
    if (path / revision / "config.json").exists():
        return _Place(str(path), {"subfolder": revision, "local_files_only": True}, {})
    found = path.glob("*/config.json") if path != LADDER else []
    steps = sorted((at.parent.name for at in found), key=lambda step: (len(step), step))
    if steps and name.startswith("ladder:") and not revision:
        _tell(f"{name} is a training, read at its last step: {name}@{steps[-1]}")
        return _folder(path, steps[-1], name)
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
            f"model {name!r} is no folder on this machine and no Hub id of the form OWNER/NAME; "
            f"open models are {', '.join(open_models())}, "
            f"embedded ones {', '.join(ladder_models())}"
        ) from None
    if hub_reachable():
        return False
    if isinstance(try_to_load_from_cache(name, "config.json", revision=revision), str):
        return True
    raise InputError(
        f"model {name!r} is not in the cache {constants.HF_HUB_CACHE!r} and the Hugging Face Hub "
        "cannot be reached (or HF_HUB_OFFLINE is set): download it where there is a network, or "
        f"use an open model ({', '.join(open_models())}), an embedded one "
        f"({', '.join(ladder_models()) or 'none yet'}) or a local folder"
    )


def _config(name: str, place: str, options: dict[str, Any]) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(place, trust_remote_code=False, **options)
    except Exception as error:  # whatever a family's own checks raise
        raise InputError(f"model {name!r} could not be opened: {reason(error)}") from error


def import_tqdm() -> None:
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
