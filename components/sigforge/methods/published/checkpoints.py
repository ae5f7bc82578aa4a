"""Published checkpoints: read without running anything in them, converted once to safetensors, found again.

Converted files lie in ``~/.cache/sigforge/weights`` (or where SIGFORGE_WEIGHTS says), outside any repository: they are
other people's, most without a licence, and are neither committed nor released.
"""

import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sigforge.core.errors import UserError
from sigforge.core.files import sha256_file
from sigforge.methods.published.method import PublishedMethod, Weights, list_weights, methods_using
from sigforge.methods.published.network import PublishedNet
from sigforge.methods.weights import read_weights, save_weights

KIND = "published"
ENVIRONMENT = "SIGFORGE_WEIGHTS"
_WRAPPERS = ("model", "state_dict", "params", "net")


def weights_file(weights: Weights) -> Path:
    """Where the converted checkpoint lies once it has been imported."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "sigforge/weights"
    return Path(os.environ.get(ENVIRONMENT) or cache).expanduser() / f"{weights.name}.safetensors"


def import_checkpoint(path: Path, name: str | None = None) -> tuple[Weights, Path]:
    """Convert a published checkpoint to safetensors.

    Args:
        path: the file as its authors publish it.
        name: which checkpoint it should be; by default it is recognised by its bytes.

    Returns:
        What it is, and the converted file.

    Raises:
        UserError: no such file or name, bytes that were never published, or more in the file than tensors.
    """
    weights = recognise(path, name)
    net = methods_using(weights)[0].build()
    try:
        net.load_state_dict(net.renamed(read_checkpoint(path)))
    except RuntimeError as error:
        # The bytes are the published ones, so the fault is ours.
        raise AssertionError(f"{path}: the network does not fit its own checkpoint: {error}") from error
    target = weights_file(weights)
    save_weights(target, net, kind=KIND, config=_origin(weights))
    return weights, target


def recognise(path: Path, name: str | None = None) -> Weights:
    """Which published checkpoint a file is, by its sha256.

    Raises:
        UserError: none, or not the one that ``name`` says.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file: give the checkpoint you have downloaded")
    known = {weights.name: weights for weights in list_weights()}
    if name is not None and name not in known:
        raise UserError(f"--as {name}: no such weights: choose one of {', '.join(known)}")
    found = sha256_file(path)
    for weights in known.values():
        if weights.sha256 == found and name in (None, weights.name):
            return weights
    expected = known.get(name) if name else _by_names(read_checkpoint(path))
    if expected is None:
        raise UserError(f"{path}: not a known checkpoint (sha256 {found[:12]}...): see 'sigforge weights list'")
    raise UserError(
        f"{path}: sha256 is {found[:12]}..., that of {expected.name} is {expected.sha256[:12]}...: "
        f"{expected.advice.replace('and run', 'again and run')}"
    )


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.pth``, ``.pt``, ``.ckpt`` or ``.model`` file by name; nothing in the file is run.

    Raises:
        UserError: no such file, not a checkpoint, or one that holds pickled objects other than tensors and numbers.
    """
    try:
        with torch.serialization.safe_globals(_IGNORED), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch about the pickle's protocol; what counts is refused below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file: give the checkpoint you have downloaded") from None
    except pickle.UnpicklingError:
        raise UserError(f"{path}: holds pickled objects other than tensors, which could run code: refused") from None
    except (RuntimeError, EOFError, KeyError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path}: not a checkpoint of PyTorch, or cut short ({reason}): download it again") from None
    state = _state_of(content)
    if not state:
        raise UserError(f"{path}: holds no named tensors: give the file with the network's weights")
    return {name.removeprefix("module."): value for name, value in state.items()}


def load_network(method: PublishedMethod, task: str | None = None) -> PublishedNet:
    """The network of a method with its published weights, ready to fuse.

    Args:
        method: as the registry has it.
        task: whose weights; the first that the method serves if not said.

    Raises:
        UserError: the weights have not been imported, or come from another file than the published one.
    """
    weights = method.weights_for(task)
    path = weights_file(weights)
    if not path.is_file():
        raise UserError(f"{method.name}: no weights at {path}: {weights.advice}")
    state, origin = read_weights(path, kind=KIND)
    if origin != _origin(weights):
        raise UserError(f"{path}: made from a file with another sha256 than the published one: {weights.advice}")
    net = method.build()
    net.swapped = weights.swapped
    try:
        net.load_state_dict(state)
    except RuntimeError:  # of names and shapes
        raise UserError(f"{path}: converted by another version of SigForge: {weights.advice}") from None
    net.to(memory_format=net.memory_format)  # type: ignore[call-overload]  # torch's stubs leave it out
    return net.eval().requires_grad_(False)


def _origin(weights: Weights) -> dict[str, str]:
    return {"weights": weights.name, "sha256": weights.sha256}


def _state_of(content: object) -> dict[str, Tensor]:
    """The named tensors in what a checkpoint held, also one level down."""
    if not isinstance(content, dict):
        return {}
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    inner = next((content[key] for key in _WRAPPERS if key in content), None)
    return tensors or _state_of(inner)


def _by_names(state: dict[str, Tensor]) -> Weights | None:
    """The checkpoint whose tensors have these names and shapes."""
    for weights in list_weights():
        net = methods_using(weights)[0].build()
        ours = {name: value.shape for name, value in net.state_dict().items()}
        if ours == {name: value.shape for name, value in net.renamed(state).items()}:
            return weights
    return None


class _Ignored:
    """Takes the place of numbers in training records and of their types, so that NumPy's own loaders never run."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


# NumPy 2 moved its core; older files still name the old place.
_NUMBERS = ("numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtypes.Float64DType")
_IGNORED: list[Any] = [(_Ignored, name) for name in _NUMBERS]
