"""Model files: safetensors with the configuration inside, never pickles."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from sigforge.core.errors import UserError
from sigforge.core.files import sha256_file, write_atomic

METADATA = "sigforge"

MODEL, HISTORY = "model.safetensors", "history.parquet"
"""Names of what a stage trained, and of how, in its folder; the history is written last."""

Model = TypeVar("Model", bound=nn.Module)


def save_weights(path: Path, module: nn.Module, *, kind: str, config: dict) -> None:
    """Write a network's state; same state, same bytes.

    Args:
        path: a ``.safetensors`` file; it is replaced at once or not at all.
        module: the network, on any device.
        kind: name of its class of networks, compared when it is loaded.
        config: its architecture, as JSON.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    # One entry only: safetensors writes several in random order, and the same state must give the same bytes.
    metadata = {METADATA: json.dumps({"config": config, "kind": kind}, sort_keys=True)}
    write_atomic(path, save(state, metadata))


def read_weights(path: Path, *, kind: str) -> tuple[dict[str, Tensor], dict]:
    """State and configuration of a model file.

    Raises:
        UserError: no such file, not safetensors, or of another kind.
    """
    with _opened(path) as (file, facts):
        state = {name: file.get_tensor(name) for name in file.keys()}
    if facts.get("kind") != kind:
        raise UserError(f"{path}: holds a {facts.get('kind', 'nameless')} model where a {kind} model is needed")
    return state, facts["config"]


def read_kind(path: Path) -> str | None:
    """What kind of model a file says it holds; None if it says nothing.

    Raises:
        UserError: no such file, or not safetensors.
    """
    with _opened(path) as (_, facts):
        return facts.get("kind")


def check_task(path: Path, task: str) -> None:
    """Refuse a model file that says it was trained for another task; one that says nothing passes.

    Raises:
        UserError: no such file, not safetensors, or of another task.
    """
    with _opened(path) as (_, facts):
        trained = facts.get("config", {}).get("task")
    if trained not in (None, task):
        raise UserError(f"{path}: trained for {trained}, not for {task}; give a model of {task}, or task {trained}")


def load_weights(path: Path, module: nn.Module, *, kind: str, config: dict) -> None:
    """Fill a network from a file after comparing configurations.

    Args:
        path: what :func:`save_weights` wrote.
        module: the network, built by ``config``; it is filled in place.
        kind: that the file must name.
        config: architecture that the file must hold.

    Raises:
        UserError: as :func:`read_weights`, or another configuration; the line names the differing keys.
    """
    state, stored = read_weights(path, kind=kind)
    wanted = json.loads(json.dumps(config))
    if differing := _differences(stored, wanted):
        pairs = ", ".join(f"{key} (file {mine}, asked {yours})" for key, mine, yours in differing)
        raise UserError(f"{path}: made with another configuration: {pairs}; train anew or restore these keys")
    module.load_state_dict(state)


def _differences(stored: dict, wanted: dict, within: str = "") -> list[tuple[str, object, object]]:
    """Dotted keys whose values differ, with both values; a section that only one of them has is one key."""
    found = []
    for key in sorted(stored.keys() | wanted.keys()):
        mine, yours = stored.get(key), wanted.get(key)
        if isinstance(mine, dict) and isinstance(yours, dict):
            found += _differences(mine, yours, f"{within}{key}.")
        elif mine != yours:
            mine, yours = ("given" if isinstance(value, dict) else value for value in (mine, yours))
            found.append((f"{within}{key}", mine, yours))
    return found


def load_model(path: Path, build: Callable[[dict], Model], *, kind: str) -> Model:
    """The trained network of a model file, ready to run.

    Args:
        path: what :func:`save_weights` wrote.
        build: the file's configuration to a network with that architecture.
        kind: that the file must name.

    Raises:
        UserError: as :func:`read_weights`, or the network has changed since the file was made.
    """
    state, config = read_weights(path, kind=kind)
    try:
        module = build(config)
        module.load_state_dict(state)
    except (KeyError, RuntimeError, TypeError, ValidationError):  # of the configuration, or of names and shapes
        raise UserError(f"{path}: made by another version of the network; train it again") from None
    return module.eval()


@contextmanager
def _opened(path: Path) -> Iterator[tuple[safe_open, dict]]:
    try:
        with safe_open(str(path), framework="pt") as file:
            yield file, json.loads((file.metadata() or {}).get(METADATA, "{}"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such model file; run the stage that trains it or give another path") from None
    except SafetensorError as error:
        raise UserError(f"{path}: not a complete safetensors file ({error}); make it anew") from None


def model_fingerprint(path: Path) -> str:
    """sha256 over the model file, which carries its configuration."""
    return sha256_file(path)
