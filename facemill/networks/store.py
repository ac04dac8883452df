"""Trained models on disk: weights as safetensors, and their metadata as a JSON beside them. No pickles."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from facemill.data.classes import ClassTable
from facemill.errors import Damaged, UserError
from facemill.files import atomic_write, sha256, write_json
from facemill.networks.device import device

Network = TypeVar("Network", bound=nn.Module)


def save_model(
    path: Path,
    network: nn.Module,
    arguments: dict[str, Any],
    settings: dict[str, Any],
    classes: ClassTable | None = None,
) -> None:
    """Writes a trained model: its weights, and its metadata as a JSON beside them.

    The JSON holds the name of the network's class, its arguments, the settings, the class table and the SHA-256 of the
    weights' file.

    Args:
        path: the safetensors file.
        network: the network.
        arguments: the network's constructor arguments.
        settings: the settings of the training.
        classes: the class table of the masks that the network reads or predicts.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    metadata = {"network": type(network).__name__, "arguments": arguments, "settings": settings}
    metadata |= {"classes": classes.model_dump()} if classes else {}
    with atomic_write(path) as tmp:
        save_file(state, tmp)
        write_json(path.with_suffix(".json"), metadata | {"sha256": sha256(tmp)})


def model_classes(path: Path) -> ClassTable:
    """The class table of a saved model. Raises `UserError` when there is no such model, or it names no classes."""
    metadata = _metadata(_weights(path))
    try:
        return ClassTable.model_validate(metadata["classes"])
    except (KeyError, ValidationError) as error:
        raise UserError(f"{_weights(path).with_suffix('.json')}: names no classes") from error


def network_name(path: Path) -> str:
    """The name of a saved model's class, such as `Unet`. Raises `UserError` when there is no such model."""
    return str(_metadata(_weights(path)).get("network"))


def model_settings(path: Path) -> dict[str, Any]:
    """The settings of a saved model's training. Raises `UserError` when there is no such model, or they are no dict."""
    weights = _weights(path)
    settings = _metadata(weights).get("settings", {})
    if not isinstance(settings, dict):
        raise UserError(f"{weights.with_suffix('.json')}: settings: found {settings!r}; accepted: keys and values")
    return settings


def load_model(kind: type[Network], path: Path, classes: ClassTable | None = None) -> Network:
    """A saved model, in evaluation mode, on `device()`.

    Args:
        kind: the network's class.
        path: the safetensors file, or the folder that holds it as `model.safetensors`.
        classes: the table that the model must have.

    Raises:
        UserError: The model is missing, of another kind, or of another class table.
        Damaged: The file is not as it was written.
    """
    path = _weights(path)
    metadata = _metadata(path)
    if (name := metadata.get("network")) != kind.__name__:
        raise UserError(f"{path}: holds a {name}; accepted: a {kind.__name__}")
    if classes:
        classes.check_same(model_classes(path), str(path))
    try:
        if (digest := sha256(path)) != metadata.get("sha256", digest):
            raise Damaged(path, "its SHA-256 is not the one in the JSON beside it")
        network = kind(**metadata["arguments"])
        network.load_state_dict(load_file(path))
    except FileNotFoundError as error:
        raise UserError(f"{error.filename or path}: no such model file") from error
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise UserError(f"{path}: not a readable model ({str(error).splitlines()[0]})") from error
    return network.eval().to(device()).to(memory_format=torch.channels_last)


def load_tensors(weights: Path, names: Collection[str], *, key: str, accepted: str) -> dict[str, Tensor]:
    """Pretrained tensors, by name, of a safetensors file that the config names; as float32.

    Args:
        weights: the file.
        names: names of tensors.
        key: the config's key for the file, for the error.
        accepted: whose weights the file should hold, for the error.

    Raises:
        UserError: The file is not safetensors, or lacks a tensor.
    """
    try:
        with safe_open(weights, "pt") as file:
            if missing := set(names) - set(file.keys()):
                raise UserError(f"{key}: {weights} lacks {min(missing)}; accepted: {accepted}")
            return {name: file.get_tensor(name).float() for name in names}
    except SafetensorError as error:
        raise UserError(f"{key}: {weights} is not a safetensors file ({error}); accepted: {accepted}") from error


def _weights(path: Path) -> Path:
    return path / "model.safetensors" if path.is_dir() else path


def _metadata(path: Path) -> dict[str, Any]:
    try:
        metadata = json.loads(path.with_suffix(".json").read_text())
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: no such model file") from error
    except ValueError as error:
        raise UserError(f"{path}: not a readable model ({str(error).splitlines()[0]})") from error
    if not isinstance(metadata, dict):
        raise UserError(f"{path}: not a readable model (its JSON is no object)")
    return metadata
