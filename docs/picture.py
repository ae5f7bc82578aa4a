"""Draw docs/demo.png, the README's picture, from the results of ``make repro``: ``python docs/picture.py``."""

from pathlib import Path

import matplotlib
import numpy as np

from sigforge.core.images import read_image
from sigforge.dataset.tables import read_pairs, read_photos
from sigforge.dataset.tasks import TASKS, modalities
from sigforge.shards.pairs import ShardPairs

matplotlib.use("Agg")
from matplotlib import pyplot as plt

DATA = Path("data")
# Middlebury's motorcycle has no licence that allows showing changed versions.
UNSHOWN = "motorcycle"
PHOTOGRAPHS = {"vif": "astronaut-02", "mif": "astronaut-46", "mfif": "chelsea-02", "mef": "coffee-06"}


def main() -> None:
    """One row per task: simulated sources, their fusion, a photograph, the synthetic pair made of it."""
    figure, axes = plt.subplots(len(TASKS), 6, figsize=(10, 7), dpi=90)
    for row, task in zip(axes, TASKS, strict=True):
        for axis, (title, image) in zip(row, panels(task), strict=True):
            axis.imshow(image, cmap="gray", vmin=0, vmax=1)
            axis.set_title(title, fontsize=8, pad=3)
            axis.set_axis_off()
    figure.text(0.26, 0.975, "simulated pair and its fusion", ha="center", fontsize=9)
    figure.text(0.74, 0.975, "photograph and the synthetic pair made of it", ha="center", fontsize=9)
    figure.subplots_adjust(left=0.005, right=0.995, top=0.93, bottom=0.005, wspace=0.03, hspace=0.14)
    figure.savefig("docs/demo.png", metadata={"Software": None})


def panels(task: str) -> list[tuple[str, np.ndarray]]:
    """(title, image) from left to right."""
    pairs = read_pairs(DATA / "ingest" / task / "pairs.parquet", split="test")
    pair = next(pair for pair in reversed(pairs) if UNSHOWN not in pair.pair_id and pair.subtask in (task, "mri-pet"))
    names = modalities(task, pair.subtask)
    shards = ShardPairs(DATA / "synth" / task)
    index = next(k for k in range(len(shards)) if shards.row(k)["photo_id"] == PHOTOGRAPHS[task])
    photos = {photo.photo_id: photo for photo in read_photos(DATA / "ingest/photos/photos.parquet")}
    photo = read_image(photos[shards.row(index)["photo_id"]].path)[0]
    fused = read_image(DATA / "evaluate" / task / "sigfusion" / f"{pair.pair_id}.png")[0]
    real = [(f"{task}: {names[0]}", read_image(pair.a_path)[0]), (names[1], read_image(pair.b_path)[0])]
    kinds = modalities(task, shards.row(index)["subtask"])
    made = [(f"synthetic {name}", image) for name, image in zip(kinds, shards[index], strict=True)]
    return [*real, ("SigFusion", fused), ("photograph", photo), *made]


if __name__ == "__main__":
    main()
