"""Where models run."""

import os
import platform
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch

from sigforge.core.errors import UserError


@dataclass(frozen=True)
class Device:
    """Where a model runs: the torch device, and whether bfloat16 autocast is on."""

    torch: torch.device
    bf16: bool = False

    def autocast(self) -> AbstractContextManager[object]:
        """Autocast context; FFTs inside models cast to float32 themselves."""
        return torch.amp.autocast_mode.autocast(self.torch.type, dtype=torch.bfloat16, enabled=self.bf16)


def pick_device(device: str = "auto", precision: str = "auto") -> Device:
    """CUDA where there is one; bf16 on CUDA unless told otherwise.

    Raises:
        UserError: CUDA asked for and not there.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("params.yaml: key 'compute.device': cuda asked for, but torch sees no GPU; use auto or cpu")
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    return Device(torch.device(kind), bf16=precision == "bf16" or (precision == "auto" and kind == "cuda"))


def machine() -> str:
    """The processor's name, as far as the system tells, and how many cores this process may use."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{names[0] if names else platform.processor() or platform.machine()}, {cores} core{'s' if cores != 1 else ''}"
    )
