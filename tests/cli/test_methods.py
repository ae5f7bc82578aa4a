"""``sigforge methods``: the table, and one method in full."""

import pytest
from typer.testing import CliRunner

from sigforge.cli.app import app
from sigforge.methods.published.checkpoints import ENVIRONMENT, weights_file
from sigforge.methods.published.method import list_published
from sigforge.methods.registry import get_method, list_methods


@pytest.fixture(autouse=True)
def _no_weights(tmp_path, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))


def run(*arguments):
    return CliRunner().invoke(app, ["methods", *arguments])


def row(name):
    line = next(line for line in run().output.splitlines() if line.startswith(f"│ {name} "))
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_the_table_tells_size_cost_and_terms():
    assert row("gff")[1:7] == ["vif mif mfif mef", "2 or more", "classical", "", "", ""]
    assert row("gifnet")[1:7] == ["vif mif mfif mef", "2", "learned", "743,032", "482.6", "missing; none stated"]
    assert row("mufusion")[6] == "missing; MIT"
    assert row("sigfusion")[3:7] == ["learned", "222,386", "24.2", "trained here"]


def test_the_table_tells_what_is_imported():
    for count, task in enumerate(("vif", "mif", "mfif", "mef"), start=1):
        weights_file(get_method("refusion").weights_for(task)).touch()
        assert row("refusion")[6].startswith(f"{count} of 4" if count < 4 else "imported")


@pytest.mark.parametrize("name", list_published())
def test_one_method_is_told_with_everything_its_registry_entry_says(name):
    method, told = get_method(name), run(name).output
    assert f"{method.parameters:,}" in told and f"{method.flops / 1e9:.1f} per 640x480" in told
    assert method.equation in told and method.notes in told and method.paper in told
    for weights in method.weights.values():
        assert weights.sha256 in told and weights.url in told and weights.licence in told
        assert f"sigforge weights import {weights.path.rpartition('/')[2]}" in told


def test_imported_weights_are_named_by_their_file():
    file = weights_file(get_method("gifnet").weights_for("vif"))
    file.touch()
    assert f"imported: {file}" in run("gifnet").output and "weights import" not in run("gifnet").output


def test_every_method_can_be_told_alone():
    for name in list_methods():
        told = run(name)
        assert told.exit_code == 0 and told.output.startswith(
            f"{name}\n  tasks      {' '.join(get_method(name).tasks)}\n"
        )


def test_an_unknown_name_suggests_the_nearest():
    result = run("gifnett")
    assert result.exit_code == 2 and "did you mean 'gifnet'?" in result.stderr and result.stderr.count("\n") == 1
