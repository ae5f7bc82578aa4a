"""Reference values on images that everybody has: ``python tests/reference/make.py`` writes ``values.json`` anew.

Numbers only, of pairs simulated from the pictures inside scikit-image, 96 pixels square. They were written by the code
at the commit that the file names, when its metrics and networks agreed with published code on real pairs
(docs/metrics.md, docs/zoo.md). So a clone without those pairs still notices when a number moves.
"""

import json
import subprocess
from pathlib import Path

import numpy as np
import torch

from sigforge.core.colour import luma
from sigforge.dataset.sources import scenes
from sigforge.methods.registry import get_method, list_methods
from sigforge.metrics import list_metrics, score
from sigforge.signal.ewt import ewt

FILE = Path(__file__).with_name("values.json")
SIDE, SEED, TASKS = 96, 7, ("vif", "mif", "mfif", "mef")


def pair(task: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Both lumas (1, 1, 96, 96) of the first simulated pair of a task."""
    scene = next(scenes.simulate(task, 1, SIDE, SEED))
    planes = (luma(np.float32(image) / 255) for image in (scene.a, scene.b))
    a, b = (torch.from_numpy(np.ascontiguousarray(plane, np.float32))[None, None] for plane in planes)
    return a, b


def fused_of(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """A fusion that no registry can change: the mean, leaning to the brighter source."""
    return (0.5 * (a + b) + 0.25 * (a - b).abs()).clamp(0, 1)


def scores(task: str) -> dict[str, float]:
    """Every metric of :func:`fused_of` on a task's pair."""
    a, b = pair(task)
    reference = (a + b) / 2  # for the metrics that compare with a ground truth
    found = score(fused_of(a, b), a, b, reference=reference, metrics=list_metrics())
    return {name: round(float(value), 6) for name, value in found.items()}


def facts(image: torch.Tensor) -> list[float]:
    """Mean, deviation and three pixels of an image (1, 1, 96, 96)."""
    pixels = (image[0, 0, i, i] for i in (10, 48, 85))
    return [round(float(value), 6) for value in (image.mean(), image.std(), *pixels)]


def methods(task: str) -> dict[str, list[float]]:
    """Every classical method of a task on its pair."""
    a, b = pair(task)
    names = [name for name in list_methods(task) if get_method(name).kind == "classical"]
    return {name: facts(get_method(name).fuse(a, b)) for name in names}


def bands(task: str) -> dict[str, list[float]]:
    """Boundaries and energies of the bands of the first rows of source a, three bands each."""
    a, _ = pair(task)
    found = ewt(a[0, 0, :4].double(), 3)
    return {
        "boundaries": [round(float(value), 6) for value in found.boundaries.flatten()],
        "energies": [round(float(value), 6) for value in found.subbands.square().mean(-1).flatten()],
    }


def main() -> None:
    """Write the file."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    kinds = {"metrics": scores, "methods": methods, "ewt": bands}
    values = {kind: {task: make(task) for task in TASKS} for kind, make in kinds.items()}
    FILE.write_text(json.dumps({"commit": commit, **values}, indent=1) + "\n")


if __name__ == "__main__":
    main()
