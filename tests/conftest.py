import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"

os.environ["SIGFORGE_TRACKING"] = "off"


@pytest.fixture(autouse=True, scope="session")
def _threads():
    torch.set_num_threads(2)
