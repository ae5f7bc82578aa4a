"""PLGN with a condition, from its training pairs to what shards say of every sample."""

import json
import tarfile

import pytest

from sigforge.core.errors import UserError
from sigforge.dataset.tables import read_pairs
from sigforge.evaluation.realism.likeness import likeness
from sigforge.methods.sigfusion.plgn import load_plgn
from sigforge.shards.pairs import ShardPairs


def samples(folder):
    found = []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            found += [json.loads(tar.extractfile(name).read()) for name in tar.getnames() if name.endswith(".json")]
    return found


def test_maps_are_those_of_training_pairs_and_pairs_complement_each_other(project):
    before = ShardPairs(project.data / "synth/vif")
    alike = [likeness(*before[index]) for index in range(len(before))]
    project.set("plgn.condition", "dominance")
    project.set("synth.gates", {"alike": None})
    project.call("plgn")
    plgn = load_plgn(project.data / "plgn/vif/model.safetensors")
    pairs = read_pairs(project.data / "ingest/vif/pairs.parquet")
    training = {pair.pair_id for pair in pairs if pair.split == "train"}
    assert plgn.condition == "dominance" and set(plgn.prior.pairs) == training
    project.call("synth")
    after = ShardPairs(project.data / "synth/vif")
    assert len(after) == len(before)
    made = samples(project.data / "synth/vif")
    assert {sample["dominance_pair"] for sample in made} <= training
    assert {(sample["dominance"], sample["modality"]) for sample in made} == {("segments", True)}
    assert sum(likeness(*after[index]) for index in range(len(after))) < sum(alike) - 0.1 * len(alike)
    project.set("synth.maps", "transplant")
    project.call("synth")
    assert {sample["dominance"] for sample in samples(project.data / "synth/vif")} == {"transplant"}


def test_maps_of_a_model_without_condition_are_one_line(project):
    project.set("synth.maps", "segments")
    with pytest.raises(UserError, match="no condition and takes no maps of 'segments'"):
        project.call("synth")
    assert not any("dominance" in sample for sample in samples(project.data / "synth/vif"))
