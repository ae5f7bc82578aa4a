"""Samples are shown by their key, straight from the tar."""

import json

import pytest

from sigforge.cli.app import app
from sigforge.core.errors import UserError
from sigforge.core.storage import place
from sigforge.shards.browse import first_rows, read_sample, shards_at

from ..release.conftest import sample, write_shards


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"), 8, failed=(4,))


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        app([*map(str, arguments)])
    said = capsys.readouterr()
    return exit_.value.code, said.out, said.err


def test_cat_and_extract(folder, capsys, tmp_path):
    code, out, _ = run(capsys, "shards", "cat", folder, "5")
    facts, end = json.JSONDecoder().raw_decode(out)
    assert code == 0 and facts["photo_id"] == "s-2"
    assert "000000005.b.webp: 16x16, 3 channels, 8 bits" in out[end:]
    assert run(capsys, "shards", "extract", folder / "vif-train-000001.tar", "000000005", "-o", tmp_path)[0] == 0
    assert (tmp_path / "000000005.a.webp").read_bytes() == sample(5).a
    assert json.loads((tmp_path / "000000005.json").read_text()) == facts


def test_head_shows_failures_too(folder, capsys):
    _, out, _ = run(capsys, "shards", "head", folder, "-n", "6")
    assert "constant: grey" in out and "000000005" in out and "000000006" not in out
    assert len(list(first_rows(folder, 100))) == 8


def test_mistakes_are_one_line(folder, tmp_path):
    cases = {
        "was not made: constant": (folder, "4"),
        "no sample 000000099": (folder, "99"),
        "keys are numbers": (folder, "x"),
        "holds no finished shard": (tmp_path, "1"),
    }
    for told, (where, key) in cases.items():
        with pytest.raises(UserError, match=told):
            read_sample(place(where), key)
    with pytest.raises(UserError, match="holds no finished shard"):
        shards_at(tmp_path / "none.tar")


def test_an_altered_member_is_not_shown(folder, tmp_path):
    from shutil import copytree

    copy = copytree(folder, tmp_path / "copy")
    tar = copy / "vif-train-000000.tar"
    data = bytearray(tar.read_bytes())
    data[600] ^= 1
    tar.write_bytes(data)
    with pytest.raises(UserError, match="cut or altered"):
        read_sample(copy, "0")
