"""Fusion by a network file: TorchScript, or a program of ``torch.export``; nothing that runs code when it is opened.

A TorchScript archive is read by libtorch, whose unpickler knows tensors and script classes alone. An export archive is
JSON and raw bytes, but may hold pickles, which ``torch.export.load`` would execute: such a file is refused before.
"""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from sigforge.core.errors import UserError

_MEND = "save it with torch.jit.save, or with torch.export.save of this torch"


def load_model_file(path: str | Path, *, device: str = "cpu") -> Callable[[Tensor, Tensor], Tensor]:
    """A function that fuses two batches of lumas (B, 1, H, W) in [0, 1] by the network of the file.

    Args:
        path: the file.
        device: where the network runs and where its inputs are.

    Raises:
        UserError: no such file, neither of the two formats, or it holds pickled objects.
    """
    module = _open(Path(path), torch.device(device))

    def fuse(a: Tensor, b: Tensor) -> Tensor:
        """Raises ValueError where the network returns anything but finite lumas of its sources' shape."""
        with torch.no_grad():
            fused = module(a, b)
        if not isinstance(fused, Tensor) or fused.shape != a.shape:
            found = tuple(fused.shape) if isinstance(fused, Tensor) else type(fused).__name__
            raise ValueError(f"{path}: returns {found} for sources of {tuple(a.shape)}")
        if not bool(fused.isfinite().all()):
            raise ValueError(f"{path}: returns NaN or infinity")
        return fused.to(a.dtype).clamp(0, 1)

    return fuse


def _open(path: Path, device: torch.device) -> Callable[[Tensor, Tensor], object]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; correct 'path'")
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.partition("/")[2]: name for name in archive.namelist()}
            if len(members) < len(archive.namelist()):  # which of two a reader takes is up to the reader
                raise UserError(f"{path}: holds a member twice; {_MEND}")
            script = "constants.pkl" in members and any(name.startswith("code/") for name in members)
            if not script:
                _refuse_pickles(path, archive, members)
    except zipfile.BadZipFile:
        raise UserError(f"{path}: neither TorchScript nor torch.export; {_MEND}") from None
    try:
        if script:
            return torch.jit.load(path, map_location=device).eval()
        return torch.export.load(path).module().to(device)
    except Exception as error:  # libtorch raises whatever it likes on a damaged archive
        raise UserError(f"{path}: cannot be loaded ({str(error).splitlines()[0]:.120}); {_MEND}") from error


def _refuse_pickles(path: Path, archive: zipfile.ZipFile, members: dict[str, str]) -> None:
    """Only an export archive of tensors in raw bytes passes."""
    if "archive_format" not in members or not any(name.startswith("models/") for name in members):
        kind = "holds pickled Python objects" if "data.pkl" in members else "neither TorchScript nor torch.export"
        raise UserError(f"{path}: {kind}; {_MEND}")
    for name, member in members.items():
        if _runs_code(name, archive.read(member) if name.endswith((".json", ".pt")) else b""):
            raise UserError(f"{path}: {name} is a pickle, which could run any code; export tensors alone")


def _runs_code(name: str, data: bytes) -> bool:
    """True for what ``torch.export.load`` would hand to an unrestricted unpickler."""
    file = name.rpartition("/")[2]
    if file.endswith("_config.json"):
        return any(entry.get("use_pickle") for entry in json.loads(data)["config"].values())
    if file.endswith(".pt"):
        try:
            torch.load(io.BytesIO(data), weights_only=True)
        except Exception:
            return True
        return False
    # Configurations that an old archive lacks are pickled whole; anything of the newest kind has none of these names.
    return file.startswith(("custom_obj_", "opaque_obj_")) or file.endswith(".pkl")
