"""What a release was made from, by the lock file."""

from pathlib import Path

import pytest

from sigforge.core.errors import UserError
from sigforge.release.lineage import lineage


def test_lineage_names_the_stages_that_lead_to_the_shards(tmp_path):
    lock = tmp_path / "dvc.lock"
    lock.write_text(
        """schema: '2.0'
stages:
  ingest@photos: {cmd: i, outs: [{path: data/ingest/photos, md5: 1}]}
  synth@vif: {cmd: s, deps: [{path: data/ingest/photos, md5: 1}], outs: [{path: data/synth/vif, md5: 2}]}
  synth@mef: {cmd: s, outs: [{path: data/synth/mef, md5: 3}]}
"""
    )
    assert list(lineage(lock, Path("data/synth/vif"))) == ["ingest@photos", "synth@vif"]
    assert lineage(tmp_path / "none", Path("x")) == {}
    lock.write_text("[")
    with pytest.raises(UserError, match="not a lock file of dvc"):
        lineage(lock, Path("x"))
