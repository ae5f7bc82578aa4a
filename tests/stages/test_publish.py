"""Stage publish: the shards of a finished chain become a release that says how it came about."""

import json

import pytest

from sigforge.core.errors import UserError
from sigforge.release.verify import verify_release

FOLDER = "publish/sigforge-demo-vif-0.1.0-dev"


@pytest.fixture
def release(project):
    project.call("publish")
    return project.data / FOLDER


def test_a_release_of_the_demo(project, release):
    assert verify_release(release, decode=True).problems == []
    facts = json.loads((release / "provenance.json").read_text())
    assert facts["pairs"] == 8 and facts["parameters"]["synth"]["size"] == 64 and facts["commit"]
    assert set(facts["corpora"]) == {"mean", "max"} and facts["corpora"]["mean"]["images"] == 8
    card = (release / "README.md").read_text()
    for told in (
        "Realism, before and after",
        "simulated ones stand in",
        "photograph, infrared, visible",
        "scikit-image: astronaut",
    ):
        assert told in card


def test_a_second_run_changes_no_byte(project, release):
    before = project.written(f"{FOLDER}/*")
    project.call("publish")
    assert project.written(f"{FOLDER}/*") == before


def test_a_version_that_is_no_draft_is_kept(project):
    project.set("publish.vif.version", "1.0.0")
    project.call("publish")
    project.set("publish.vif.homepage", "https://example.org")
    with pytest.raises(UserError, match=r"version 1\.0\.0 exists with other bytes .*raise the version"):
        project.call("publish")
    project.set("publish.vif.version", "1.0")
    with pytest.raises(UserError, match=r"publish\.vif.*version '1\.0': write three numbers"):
        project.call("publish")
