"""Where the published checkpoints lie."""

import os
from pathlib import Path

import pytest

from sigforge.methods.published.checkpoints import ENVIRONMENT, import_checkpoint

REFERENCE = Path(os.environ.get("SIGFORGE_REFERENCE", Path(__file__).parents[4] / "shared/reference"))


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
