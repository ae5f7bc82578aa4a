import dataclasses
import re
import shutil
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from sigforge.core.errors import UserError
from sigforge.dataset.tables import PAIRS, read_pairs, write_table
from sigforge.evaluation.result_tables import build_tables
from sigforge.evaluation.score_rows import ScoreRow, read_scores
from sigforge.methods.weights import HISTORY, MODEL
from sigforge.metrics import select_metrics
from sigforge.report.html import places
from sigforge.stages import report
from sigforge.stages._base import main
from sigforge.training.history import write_history

from .conftest import BASELINES, METRICS, ROOT, context, history, tiny_params

TASKS = ("vif", "mif", "mfif", "mef")


@pytest.fixture
def copy(project, tmp_path, monkeypatch):
    """A copy of the finished project, to be changed; the working directory."""
    shutil.copytree(project / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def page(project):
    return (project / "data/report/index.html").read_text()


def section(page: str, task: str) -> str:
    return re.search(rf'<section id="{task}">.*?</section>', page, re.DOTALL)[0]


def test_page_holds_every_task_method_and_metric(page):
    for task in TASKS:
        part = section(page, task)
        for name in (*BASELINES, "SigFusion"):
            assert f'<th scope="row">{name}</th>' in part
        assert "Q<sub>G</sub>&#8239;↑" in part
        assert f"{task}: means over 3 test pairs (simulated demo data)" in part
        assert f"Colour, {task}:" in part


def test_page_agrees_with_the_tables(project, page):
    for task in TASKS:
        table = (project / f"data/report/tables/{task}.md").read_text()
        rows = re.findall(r"^\| (\w+) \| (.+) \|$", table, re.MULTILINE)
        assert len(rows) == (1 + len(BASELINES) + 1) * (4 if task == "mif" else 1)
        for method, cells in rows:
            if method == "method":
                continue
            html = cells.replace(" | ", "|").split("|")
            shown = [re.sub(r"\*\*(.+)\*\*", r"<b>\1</b>", cell).replace("ins>", "u>") for cell in html]
            pattern = rf'<th scope="row">{method}</th>' + ".*?".join(f"<td>{re.escape(cell)}<" for cell in shown)
            assert re.search(pattern, section(page, task)), (task, method)


def test_subtasks_have_tables_of_their_own(page):
    for subtask in ("mri-ct", "mri-pet", "mri-spect"):
        assert f"mif, {subtask}: means over 1 test pair (simulated demo data)" in section(page, "mif")
    assert "<details>" not in section(page, "vif")


def test_means_are_those_of_the_parquet(project):
    values = parquet.read_table(project / "data/evaluate/vif/metrics.parquet").to_pandas()
    expected = values.groupby(["method", "metric"])["value"].mean()
    rows = build_tables(
        "vif", read_scores(project / "data/evaluate/vif/metrics.parquet"), select_metrics(METRICS), ours="sigfusion"
    )[0].rows
    for row in rows:
        for name, cell in zip(METRICS, row.cells, strict=True):
            assert cell.mean == pytest.approx(expected[row.method, name])


def test_trained_systems_have_curves(copy):
    """Those of a run that is not finished are left out."""
    for place, finished in (("vif/emma", True), ("vif/emma/sensing", True), ("vif/defusion", False)):
        folder = copy / "data/systems" / place
        folder.mkdir(parents=True)
        (folder / MODEL).touch()
        if finished:
            write_history(history(("loss",), 40, {}), folder / HISTORY)
    curves = dict(report.system_curves(context(tiny_params()), "vif"))
    assert set(curves) == {"emma"} and list(report.system_curves(context(tiny_params()), "mif")) == []
    assert curves["emma"].index("emma sensing") < curves["emma"].rindex("emma")
    report.run(context(tiny_params()))
    page = (copy / "data/report/index.html").read_text()
    assert "Training losses of emma, vif" in section(page, "vif") and "emma" not in section(page, "mif")


def test_what_synthetic_pairs_bring_is_shown_where_a_system_was_trained_both_ways(copy):
    path = copy / "data/evaluate/vif/metrics.parquet"
    rows = parquet.read_table(path)
    values = rows.to_pylist()
    baseline = [row for row in values if row["method"] == BASELINES[0]]
    values += [row | {"method": "emma"} for row in baseline]
    values += [row | {"method": "emma_synth", "value": row["value"] + 0.25} for row in baseline]
    parquet.write_table(pyarrow.Table.from_pylist(values, rows.schema), path)
    for name in ("emma", "emma_synth"):
        shutil.copytree(copy / "data/evaluate/vif/sigfusion", copy / "data/evaluate/vif" / name)
    for place in ("systems/vif/emma", "transfer/vif/emma", "transfer/vif/emma/synthetic"):
        folder = copy / "data" / place
        folder.mkdir(parents=True)
        (folder / MODEL).touch()
        write_history(history(("loss",), 40, {}), folder / HISTORY)
    report.run(context(tiny_params()))
    page = (copy / "data/report/index.html").read_text()
    part = section(page, "vif")
    assert "vif: systems trained on real pairs only → on synthetic pairs first" in part
    assert "<b>" in part.partition("on synthetic pairs first")[2].partition("</table>")[0]
    curves = part.partition("Training losses of emma_synth, vif")[2]
    assert 0 < curves.index("emma_synth synthetic") < curves.rindex("emma_synth")
    table = (copy / "data/report/tables/vif-transfer.md").read_text()
    assert "| emma |" in table and "[+0.250 to +0.250]" in table
    assert not (copy / "data/report/tables/mif-transfer.md").exists()
    assert "Equivariant Multi-Modality" in page and "on synthetic pairs first" not in section(page, "mif")


def test_validation_values_are_shown(page):
    part = section(page, "mif")
    for channel in ("ct", "mri", "pet", "pet_cb", "spect_cr"):
        assert f'<th scope="row">{channel}</th><td>1</td><td>0.5</td><td>−50 %</td><td>0.01</td><td>0.02</td>' in part
    assert "PSNR without high subbands, dB</th><td>22.25</td>" in page
    assert "after fine-tuning: loss 1.25." in section(page, "vif")


def test_every_modality_has_its_signals(page):
    found = {
        task: re.findall(r'aria-label="Signals and subband strengths for (\w+)"', section(page, task)) for task in TASKS
    }
    assert found == {
        "vif": ["ir", "vis"],
        "mif": ["ct", "mri", "pet", "spect"],
        "mfif": ["near", "far"],
        "mef": ["under", "over"],
    }


def test_page_needs_no_other_file(page):
    assert "<script" not in page and "@import" not in page
    assert re.findall(r'(?:src|href)="(?!data:|#)([^"]*)"', page) == []
    assert len(page) < 8e6


def test_references_lead_somewhere(page):
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_same_inputs_same_bytes_and_files_go_to_the_ledger(copy):
    before = {str(path): path.read_bytes() for path in Path("data/report").rglob("*.*")}
    shutil.rmtree("data/report")
    running = context(tiny_params())
    report.run(running)
    assert {str(path): path.read_bytes() for path in Path("data/report").rglob("*.*")} == before
    kept = {str(path): kind for path, kind in running.ledger.files}
    tables = {f"data/report/tables/{task}.{suffix}": "tables" for task in TASKS for suffix in ("md", "csv", "tex")}
    tables |= {f"data/report/{name}.parquet": "tables" for name in ("realism", "pairs")}
    assert kept == tables | {"data/report/index.html": "figures"}
    assert set(before) == set(kept)


def test_real_pairs_carry_no_banner_but_simulated_tasks_keep_theirs(copy):
    manifest = Path("data/ingest/vif/pairs.parquet")
    write_table([dataclasses.replace(pair, source="tno") for pair in read_pairs(manifest)], manifest, PAIRS)
    report.run(context(tiny_params()))
    page = Path("data/report/index.html").read_text()
    assert "the pairs of mif, mfif, mef are simulated" in page
    assert "imulated" not in section(page, "vif")
    assert "simulated" not in Path("data/report/tables/vif.csv").read_text()
    assert section(page, "mif").count("simulated demo data") >= 6


def test_simulated_demo_data_is_said_at_every_result(page):
    assert page.count('class="banner"') == 1
    for task in TASKS:
        for heading in re.findall(r"<h[23]>.*?</h[23]>", section(page, task)):
            assert "simulated demo data" in heading


def test_gallery_size_follows_the_parameter(copy):
    pairs = read_pairs("data/ingest/mif/pairs.parquet")
    values = read_scores(Path("data/evaluate/mif/metrics.parquet"))
    table = build_tables("mif", values, select_metrics(METRICS), ours="sigfusion")[0]
    tests = [pair.subtask for pair in pairs if pair.split == "test"]
    for size in (1, 2, 3):
        scenes = list(report.gallery(context(tiny_params(gallery=size)), "mif", pairs, table, values))
        assert len(scenes) == size and {len(scene.pictures) for scene in scenes} == {2 + 3}
        assert len({scene.title.rsplit("-", 2)[0] for scene in scenes}) == min(size, len(set(tests)))


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("ingest/photos/photos.parquet", "ingest@photos"),
        ("ingest/vif/pairs.parquet", "ingest@vif"),
        ("evaluate/vif/metrics.parquet", "evaluate@vif"),
        ("evaluate/vif/summary.json", "evaluate@vif"),
        ("plgn/vif/model.safetensors", "plgn@vif"),
        ("synth/vif", "synth@vif"),
        ("finetune/vif/history.parquet", "finetune@vif"),
        ("pretext/vif/history.parquet", "pretext@vif"),
        ("fuse/vif/max", "fuse@vif"),
        ("evaluate/vif/sigfusion", "evaluate@vif"),
    ],
)
def test_a_missing_output_names_its_file_and_target(copy, path, target):
    missing = Path("data") / path
    shutil.rmtree(missing) if missing.is_dir() else missing.unlink()
    with pytest.raises(UserError) as caught:
        report.run(context(tiny_params()))
    assert str(missing) in str(caught.value) and f"'dvc repro {target}'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_metric_without_values_is_named(copy):
    params = tiny_params()
    asked = params.model_copy(update={"evaluate": params.evaluate.model_copy(update={"metrics": ("q_g", "q_p")})})
    with pytest.raises(UserError, match=r"has no value of q_p; run 'dvc repro evaluate@vif'"):
        report.run(context(asked))


def test_photograph_that_left_the_manifest(copy):
    photos = Path("data/ingest/photos/photos.parquet")
    table = parquet.read_table(photos)
    parquet.write_table(table.slice(1), photos)
    with pytest.raises(UserError, match="is not in the manifest; run 'dvc repro"):
        report.run(context(tiny_params()))


def test_command_line_says_what_is_missing_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGFORGE_TRACKING", "off")
    monkeypatch.setattr("sys.argv", ["report"])
    shutil.copy(ROOT / "params.yaml", tmp_path)
    assert main("report", report.run, sections=("report",), tasks=()) == 2
    error = capsys.readouterr().err
    assert error == "error: report: data/ingest/photos/photos.parquet: missing; run 'dvc repro ingest@photos'\n"


def test_places_orders_by_firsts():
    rows = [
        ScoreRow("p", "", method, metric, value)
        for method, pair in {"a": (1, 2), "sigfusion": (3, 1), "b": (2, 3)}.items()
        for metric, value in zip(("q_g", "sd"), pair, strict=True)
    ]
    table = build_tables("vif", rows, select_metrics("q_g, sd"), ours="sigfusion")[0]
    assert places(table) == [("b", False, 1, 1), ("sigfusion", True, 1, 0), ("a", False, 0, 1)]
