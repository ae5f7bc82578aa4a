"""Where the published checkpoints and their golden outputs lie, and how they are read."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
import torch

from components.models.checkpoints import ENVIRONMENT, import_checkpoint

REFERENCE = Path(__file__).parents[4] / "shared/reference"


@pytest.fixture(scope="session")
def checkpoints():
    """Folder of the published files, else the test is skipped."""
    if not (REFERENCE / "weights").is_dir():
        pytest.skip(f"published checkpoints are not at {REFERENCE / 'weights'}")
    return REFERENCE / "weights"


@pytest.fixture(scope="session")
def imported(checkpoints, tmp_path_factory):
    """A folder into which every published checkpoint has been imported."""
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENVIRONMENT, str(folder))
        for path in sorted(checkpoints.glob("*/*")):
            import_checkpoint(path)
    return folder


@pytest.fixture
def golden(imported, monkeypatch):
    """A function (model, file) -> inputs as PIL images and the golden output; the weights are there."""
    monkeypatch.setenv(ENVIRONMENT, str(imported))
    folder = REFERENCE / "golden"

    def read(model, file):
        item = next(it for it in json.loads((folder / f"{model}.json").read_text())["items"] if it["output"] == file)
        images = [PIL.Image.open(folder / path) for path in item["inputs_png"]]
        return SimpleNamespace(images=images, output=torch.from_numpy(np.load(folder / file)["output"]))

    return read
