"""``sigforge doctor``: is everything there that this project needs?"""

import re
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sigforge.core.errors import UserError

CONSTRAINTS = Path("constraints.txt")
LEAST_FREE = 5e9
"""Bytes: the demo graph with its cache takes about one, an environment with torch three."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SHOWN = 3


class Warned(Exception):
    """A check found something to mend."""


def examine() -> int:
    """Print one line per check, ``ok`` or ``warn``; nothing it finds is fatal."""
    for name, check in CHECKS.items():
        try:
            state, text = "ok", check()
        except Warned as warning:
            state, text = "warn", str(warning)
        print(f"{state:<5}{name:<10}{text}")
    return 0


def check_python() -> str:
    """The interpreter is new enough."""
    found = ".".join(map(str, sys.version_info[:3]))
    return f"{found} in {sys.prefix}"


def check_packages() -> str:
    """What is installed has the pinned versions."""
    if not CONSTRAINTS.is_file():
        raise Warned(f"no {CONSTRAINTS} here; run in the project folder")
    pins = re.findall(r"^([\w.-]+)==(\S+)", CONSTRAINTS.read_text(), flags=re.MULTILINE)
    differing = [f"{name} {found}, not {pin}" for name, pin in pins if (found := _installed(name)) not in (pin, None)]
    absent = sum(_installed(name) is None for name, _ in pins)
    if differing:
        more = f" and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
        raise Warned(f"{', '.join(differing[:SHOWN])}{more}; see {CONSTRAINTS}")
    return f"{len(pins) - absent} of {len(pins)} pinned, all in the pinned version"


def check_torch() -> str:
    """Torch can be imported; which GPU it sees."""
    import torch

    if not torch.cuda.is_available():
        return f"{torch.__version__}, no GPU: everything runs on the CPU"
    return f"{torch.__version__}, {torch.cuda.device_count()} x {torch.cuda.get_device_name()}"


def check_disk() -> str:
    """There is room for data."""
    free = shutil.disk_usage(".").free
    text = f"{free / 1e9:.1f} GB free in {Path.cwd()}"
    if free < LEAST_FREE:
        raise Warned(f"{text}; keep {LEAST_FREE / 1e9:.0f} GB")
    return text


def check_dvc() -> str:
    """The working folder is this project's repository."""
    absent = [name for name in (".dvc", "dvc.yaml") if not Path(name).exists()]
    if absent:
        raise Warned(f"no {' and no '.join(absent)} here; run in the project folder")
    return "repository and dvc.yaml found"


def check_params() -> str:
    """params.yaml is valid and its folders exist."""
    from sigforge.config.load import check_source_folders, load_params

    try:
        check_source_folders(load_params())
    except UserError as error:
        raise Warned(str(error)) from None
    return "params.yaml is valid"


def check_browser() -> str:
    """A browser for the test of the report page, which is skipped without one."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        raise Warned(f"none of {', '.join(BROWSERS)}; optional, only the report's browser test needs one")
    return found


def _installed(name: str) -> str | None:
    try:
        return version(name).partition("+")[0]  # a local label such as torch's +cpu is no other version
    except PackageNotFoundError:
        return None


CHECKS: dict[str, Callable[[], str]] = {
    "python": check_python,
    "packages": check_packages,
    "torch": check_torch,
    "disk": check_disk,
    "dvc": check_dvc,
    "params": check_params,
    "browser": check_browser,
}
