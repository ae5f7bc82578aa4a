import csv
import io
import json

import pytest

from sigforge.core.errors import UserError
from sigforge.evaluation.ablation import (
    METRICS,
    PAPER,
    Ablation,
    csv_of_ablation,
    main,
    read_ablation,
    write_tables,
)
from sigforge.evaluation.table_formats import to_html, to_markdown
from sigforge.metrics import get_metric

DEFAULT = dict(zip(METRICS, (0.5, 0.6, 0.3, 4.0, 40.0, 0.7), strict=True))


def row(name, overrides, means, error=""):
    return {
        "row": name,
        "overrides": overrides,
        "experiment": "x",
        "pairs": 0 if error else 7,
        "means": means,
        "error": error,
        "seconds": 1.0,
    }


@pytest.fixture
def folder(tmp_path):
    """Three metrics worse than Default, one undefined, one equal, one better; a failed row; a row the paper does not have."""
    worse = DEFAULT | {"q_g": 0.4, "mi": 3.0, "sd": 39.0, "q_p": None, "vif_sum": 0.8}
    rows = [
        row("w/o-all SM", {"plgn.sm": "none"}, worse | {"ssim": 1.0}),
        row("w/o-EWT", {"sigformer.signal": "none"}, {}, "error: pretrain: <bad> images"),
        row("Default", {}, DEFAULT),
        row("w/o-Eq. 15 (ours)", {"sigformer.pretrained": False}, DEFAULT),
    ]
    (tmp_path / "rows.json").write_text(json.dumps({"task": "vif", "simulated": True, "rows": rows}))
    return tmp_path


def lines(text):
    return [
        [cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines() if line.startswith("| ")
    ]


def test_every_value_stands_beside_the_papers(folder):
    heads, _, *body = lines(to_markdown(read_ablation(folder / "rows.json").printed()))
    assert heads[:5] == ["row", "parameters", "Q_G ↑ ours", "Q_G paper", "Q_M ↑ ours"] and len(heads) == 2 + 12 + 2
    assert body[0] == (
        "w/o-all SM | plgn.sm=none | 0.4000 | 0.4018 | 0.6000 | 0.6173 | n/a | 0.2568 | 3.0000 | 2.4025 | 39.000 | 28.345 | 0.8000 | 0.4751"
        " | 3/5 | 6/6"
    ).split(" | ")
    assert body[1][2:6] == ["failed", "0.4230", "failed", "0.7652"] and body[1][-2:] == ["", "6/6"]
    assert [line[0] for line in body] == ["w/o-all SM", "w/o-EWT", "Default", "w/o-Eq. 15 (ours)"]


def test_caption_and_failures_are_told(folder):
    text = to_markdown(read_ablation(folder / "rows.json").printed())
    assert "means over 7 test pairs (simulated demo data). Paper: Table 2, TNO" in text
    assert "- w/o-EWT failed: error: pretrain: \\<bad> images" in text
    rows = json.loads((folder / "rows.json").read_text())
    (folder / "rows.json").write_text(json.dumps(rows | {"task": "mif", "simulated": False}))
    text = to_markdown(read_ablation(folder / "rows.json").printed())
    assert "simulated" not in text and "Paper: not printed for this task" in text and "0.4018" not in text


def test_formats_agree(folder):
    table = read_ablation(folder / "rows.json")
    rows = list(csv.DictReader(io.StringIO(csv_of_ablation(table))))
    assert len(rows) == len(table.rows) * len(METRICS)
    found = {(one["row"], one["metric"]): (one["ours"], one["paper"]) for one in rows}
    assert found["w/o-all SM", "sd"] == ("39", "28.345") and found["w/o-all SM", "q_p"] == ("", "0.2568")
    assert found["w/o-Eq. 15 (ours)", "mi"] == ("4", "") and found["w/o-EWT", "mi"] == ("", "2.6796")
    page = to_html(table.printed())
    assert page.count("<tr>") == 1 + len(table.rows) and "<td>39.000</td><td><span>28.345</span></td>" in page
    assert "&lt;bad&gt;" in page and "<bad>" not in page


def test_command_writes_three_files(folder, capsys):
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "table.md")
    assert sorted(path.name for path in folder.iterdir()) == ["rows.json", "table.csv", "table.html", "table.md"]
    before = {path.name: path.read_bytes() for path in write_tables(folder)}
    assert {path.name: path.read_bytes() for path in write_tables(folder)} == before


def test_bad_files_are_one_line(tmp_path, capsys):
    with pytest.raises(UserError, match="rows.json: no such file; run 'python -m flows.ablate --task"):
        read_ablation(tmp_path / "rows.json")
    (tmp_path / "rows.json").write_text('{"task": "vif", "rows": [{"row": 1}]}')
    assert main([str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "not written by flow ablate" in error and error.count("\n") == 1


def test_the_papers_table_is_whole():
    assert set(PAPER) == {"vif", "mfif"} and PAPER["vif"].keys() == PAPER["mfif"].keys()
    for rows in PAPER.values():
        default = rows["Default"]
        assert len(rows) == 9 and all(len(values) == len(METRICS) for values in rows.values())
        assert all(
            value < best
            for name, values in rows.items()
            if name != "Default"
            for value, best in zip(values, default, strict=True)
        )
    assert all(get_metric(name).higher_is_better for name in METRICS)


def test_values_of_parameters_read_like_yaml():
    assert Ablation("x", {"a.b": False, "c": "none", "d": 3}, {}, {}).changed == "a.b=false, c=none, d=3"
