"""docs/zoo.md agrees with the registry and with conf/real.yaml; its script shows what it was given."""

import dataclasses
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from sigforge import models
from sigforge.core.images import write_image
from sigforge.dataset.tables import Pair
from sigforge.dataset.tasks import TASKS
from sigforge.evaluation.references import REFERENCES
from sigforge.methods.published.method import PublishedMethod, list_published
from sigforge.methods.systems.method import list_systems
from sigforge.metrics import PAPER, get_metric

ROOT = Path(__file__).parents[2]
PAGE, ADVICE = ROOT / "docs/zoo.md", "run 'python docs/zoo.py'"


@pytest.fixture(scope="module")
def zoo():
    """The script as a module; it imports its neighbour ``golden``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs"))
        patch.chdir(ROOT)
        import zoo

        yield zoo
        for name in ("zoo", "golden", "contact_sheet"):
            sys.modules.pop(name, None)


def tables():
    """The page's tables by heading: method to its cells by column."""
    found = {}
    for section in re.split(r"^#+ ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        lines = [line for line in section.splitlines() if line.startswith("| ")]
        heads, *rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
        found[section.partition("\n")[0]] = {row[0].strip("`"): dict(zip(heads, row, strict=True)) for row in rows[1:]}
    return found


def configured(stage="fuse"):
    return yaml.safe_load((ROOT / "conf/real.yaml").read_text())[stage]


def number(cell):
    return float(cell.replace(",", ""))


def test_the_times_stand_in_the_order_that_the_work_demands():
    times = {name: number(row["ms"]) for name, row in tables()["The zoo"].items() if row["ms"] != "–"}
    networks = [times[name] for name in times if tables()["The zoo"][name]["parameters"] != "–"]
    assert max(times["mean"], times["max"]) < min(time for name, time in times.items() if name not in ("mean", "max"))
    assert times["dwt"] < times["dtcwt"] and times["laplacian"] < times["gff"] < min(networks)


@pytest.mark.parametrize("task", TASKS)
def test_the_real_configuration_has_every_method_that_serves_a_task_and_needs_no_training(task):
    methods = {name: models.get_method(name) for name in models.list_methods(task)}
    ready = {name for name, m in methods.items() if m.kind == "classical" or isinstance(m, PublishedMethod)}
    external = {name for name, options in configured()[task].items() if "external" in options}
    assert set(configured()[task]) - external == ready
    assert external == ({"cnn_mfifb", "gff_mfifb", "ifcnn_mfifb"} if task == "mfif" else set())


def test_the_page_has_every_configured_method_with_the_registrys_facts():
    shown = tables()["The zoo"]
    here = {"sigfusion", *list_systems()}
    assert set(shown) == {name for methods in configured().values() for name in methods} | here, ADVICE
    for name, row in shown.items():
        if "_mfifb" in name:
            assert row["kind"] == "external" and row["ms"] == "–"
            continue
        method = models.get_method(name)
        assert row["paper"] == (f"{method.paper} {method.year or ''}".strip() or "–"), ADVICE
        assert row["kind"] == ("trained here" if name in here else method.kind), ADVICE
        if method.flops:  # a CPU does some 10 to 300 thousand million operations a second
            assert 5 < method.flops / 1e6 / number(row["ms"]) < 500, name
        assert row["parameters"] == (f"{method.parameters:,}" if method.parameters else "–"), ADVICE
        assert row["GFLOPs"] == (f"{method.flops / 1e9:.1f}" if method.flops else "–"), ADVICE


def test_published_networks_agree_with_their_authors_code_on_the_page():
    shown = tables()["The zoo"]
    for name in list_published():
        if name == "mufusion_roadscene":
            assert shown[name]["golden"] == "none recorded"
        else:
            assert float(shown[name]["golden"]) <= 1e-4


@pytest.mark.parametrize("task", TASKS)
def test_the_page_has_every_configured_methods_scores(task):
    shown = tables()[task]
    trained = {*configured("systems")[task], "sigfusion"}
    asides = {name: shown.pop(f"*{name}*") for name in REFERENCES}
    assert all(float(row["Q_G ↑"]) > 0 for row in asides.values())
    assert set(shown) - trained == set(configured()[task]), ADVICE
    assert "sigfusion" in shown and (task != "vif" or trained <= set(shown)), ADVICE
    for metric in map(get_metric, PAPER):
        cells = [row[f"{metric.symbol} {metric.arrow}"] for row in shown.values()]
        values = {cell: float(re.sub(r"\*\*|</?u>", "", cell)) for cell in cells}
        best = max(values.values()) if metric.higher_is_better else min(values.values())
        assert {value for cell, value in values.items() if cell.startswith("**")} == {best}
        assert all(np.isfinite(value) for value in values.values())


def test_best_and_second_are_marked(zoo):
    rows = {name: dict.fromkeys(PAPER, value) for name, value in (("x", 1.0), ("y", 3.0), ("z", 2.0))}
    rows["a alone"] = dict.fromkeys(PAPER, 9.0)
    x, y, z, aside = zoo.score_table(rows, {"z": 3.0}, 40).splitlines()[2:]
    assert aside.startswith("| *a alone* | 9 | 9 ")
    symbol = get_metric(PAPER[0])
    assert symbol.higher_is_better and x.split(" | ")[1] == "1" and y.split(" | ")[1] == "**3**"
    assert z.split(" | ")[1] == "<u>2</u>" and z.endswith("| 3.00 | 2.0 |") and x.endswith("| – | – |")


def test_the_contact_sheet_shows_sources_and_methods(zoo, tmp_path):
    levels = {"a": 0.2, "b": 0.4, "x": 0.6, "y": 0.8}
    for name, level in levels.items():
        write_image(tmp_path / name / "1.png", np.full((30, 40), level, np.float32))
    facts = dict.fromkeys((field.name for field in dataclasses.fields(Pair)), "")
    pair = Pair(
        **facts
        | {"pair_id": "1", "task": "vif", "a_path": str(tmp_path / "a/1.png"), "b_path": str(tmp_path / "b/1.png")}
        | {"subtask": "vif"}
    )
    sheet = np.asarray(zoo.contact_sheet([pair], tmp_path, "xy"))
    middles = [int(sheet[12 + 15, n * 304 + 20, 0]) for n in range(4)]
    assert middles == [round(255 * level) for level in levels.values()]


def test_a_clock_is_told_in_words(zoo):
    assert [zoo.ordinal(n) for n in (1, 2, 3, 7)] == ["one", "second", "third", "7th"]
    assert zoo.cpu_milliseconds(lambda: sum(range(100_000))) > 0


def test_nothing_is_written_where_the_real_images_are_missing(zoo, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SIGFORGE_REALDATA", str(tmp_path))
    monkeypatch.setattr(zoo, "PAGE", tmp_path / "zoo.md")
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "zoo")
    assert zoo.main(["--tasks", "mef"]) == 2
    assert str(tmp_path) in capsys.readouterr().err and not (tmp_path / "zoo.md").exists()
