"""Copies and collages are not among the first three by ``both``: on real pairs of every task, and on the demo's."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from sigforge.core.colour import luma
from sigforge.core.images import read_image
from sigforge.dataset.sources import scenes
from sigforge.evaluation.both import both_ranks
from sigforge.evaluation.references import COLLAGE, REFERENCES, collage, reference_images
from sigforge.methods.registry import get_method, list_methods
from sigforge.metrics import BOTH, score

REALDATA = Path(os.environ.get("SIGFORGE_REALDATA", Path(__file__).parents[2] / "../shared/data"))
REAL = {
    "vif/roadscene": ("ir", "vis"),
    "vif/msrs": ("ir", "vis"),
    "mif/harvard_ct": ("ct", "mri"),
    "mif/harvard_pet": ("pet", "mri"),
    "mif/harvard_spect": ("spect", "mri"),
    "mfif/mfifb": ("near", "far"),
    "mef/mefb": ("under", "over"),
}
PAIRS, SIDE = 3, 192
SLOW = "gtf"

Sources = tuple[np.ndarray, np.ndarray]


def real_pairs(name: str) -> Iterator[Sources]:
    """The middles of pairs that are spread over a set."""
    sides = [{path.stem: path for path in (REALDATA / name / side).iterdir()} for side in REAL[name]]
    stems = sorted(sides[0].keys() & sides[1].keys())
    for stem in stems[:: len(stems) // PAIRS][:PAIRS]:
        a, b = (luma(read_image(side[stem])[0]).astype(np.float32) for side in sides)
        top, left = ((length - SIDE) // 2 if length > SIDE else 0 for length in a.shape)
        window = slice(top, top + SIDE), slice(left, left + SIDE)
        yield a[window], b[window]


def demo_pairs(task: str) -> Iterator[Sources]:
    """Pairs of the demo's simulators, as large as they are there."""
    for scene in islice(scenes.simulate(task, 6, 128, seed=0), 6):
        assert scene.a.dtype == scene.b.dtype == np.uint8
        a, b = (luma(image.astype(np.float32) / 255) for image in (scene.a, scene.b))
        yield a.astype(np.float32), b.astype(np.float32)


def positions(task: str, pairs: Iterator[Sources], window: int = 16) -> dict[str, int]:
    """Place of copies and collage among the classical methods, 1 before all."""
    values: dict[str, list[list[float]]] = {}
    for a, b in pairs:
        planes = [torch.from_numpy(plane.copy())[None, None] for plane in (a, b)]
        images = reference_images(a, b) | {COLLAGE: collage(a, b, window=window)}
        fused = {name: torch.from_numpy(image.copy())[None, None] for name, image in images.items()}
        for name in list_methods(task):
            method = get_method(name)
            if method.kind == "classical" and name != SLOW:
                fused[name] = method.fuse(*planes)
        for name, image in fused.items():
            found = score(image, *planes, metrics=BOTH)
            values.setdefault(name, []).append([float(found[metric]) for metric in BOTH])
    means = {name: dict(zip(BOTH, np.nanmean(rows, axis=0), strict=True)) for name, rows in values.items()}
    both = both_ranks(means)
    methods = [value for name, value in both.items() if name not in REFERENCES]
    assert len(methods) >= 10
    return {name: 1 + sum(value < both[name] for value in methods) for name in REFERENCES}


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize("name", REAL)
def test_copies_and_collage_are_not_among_the_first_three_on_real_pairs(name: str) -> None:
    if not REALDATA.is_dir():
        pytest.skip(f"real images are not at {REALDATA}; set SIGFORGE_REALDATA")
    found = positions(name.partition("/")[0], real_pairs(name))
    assert min(found.values()) > 3, found


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize("task", ["vif", "mif", "mfif", "mef"])
def test_copies_and_collage_are_not_among_the_first_three_on_the_demos_pairs(task: str) -> None:
    found = positions(task, demo_pairs(task))
    assert min(found.values()) > 3, found
