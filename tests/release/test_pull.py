"""A release comes over whole or not at all; a rerun goes on where the connection broke."""

import pytest

from sigforge.cli.app import app
from sigforge.core import download as module
from sigforge.core.errors import UserError
from sigforge.release.pull import pull, source_of

from ..servers import FileHandler, serving
from .conftest import contents_of


@pytest.fixture
def server(release):
    with serving(FileHandler, root=release.parent) as running:
        yield running


@pytest.fixture
def once(monkeypatch):
    monkeypatch.setattr(module, "TRIES", 1)


def test_every_file_comes_over(server, release, tmp_path):
    folder = pull(f"{server.url}/{release.name}/", tmp_path / "here")
    assert contents_of(folder) == contents_of(release)
    count = len(server.requests)
    assert pull(f"{server.url}/{release.name}", folder) == folder
    assert len(server.requests) == count + 1, "a second pull asks for the checksums alone"
    assert [path.name for path in tmp_path.glob(".*")] == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on(server, release, tmp_path, once, ranges):
    total = sum(len(data) for data in contents_of(release).values())
    server.budget, server.ranges = int(0.6 * total), ranges
    with pytest.raises(UserError, match="broke off.*run again, what has come is kept"):
        pull(f"{server.url}/{release.name}", tmp_path / "here")
    assert not (tmp_path / "here").exists()
    server.budget, server.requests[:] = None, []
    pull(f"{server.url}/{release.name}", tmp_path / "here")
    assert contents_of(tmp_path / "here") == contents_of(release)
    assert any(asked for _, asked, _ in server.requests), "the rest of the file is asked for"
    assert len(server.requests) < len(contents_of(release)), "finished files are not"


def test_a_connection_that_breaks_once_is_taken_up_at_once(server, release, tmp_path):
    server.budget = 20000
    original = FileHandler.do_GET

    def restored(handler):
        original(handler)
        if server.budget == 0:
            server.budget = None

    FileHandler.do_GET = restored
    try:
        pull(f"{server.url}/{release.name}", tmp_path / "here")
    finally:
        FileHandler.do_GET = original
    assert contents_of(tmp_path / "here") == contents_of(release)


def test_altered_bytes_are_refused(server, release, tmp_path):
    (release / "LICENSE").write_text("mine")
    with pytest.raises(UserError, match=r"LICENSE: sha256 .* is not the promised"):
        pull(f"{server.url}/{release.name}", tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_mistakes_are_one_line(server, release, tmp_path):
    (tmp_path / "taken").mkdir()
    cases = {
        "SHA256SUMS: no such file": (f"{server.url}/nothing", tmp_path / "x"),
        "exists and is not this release": (f"{server.url}/{release.name}", tmp_path / "taken"),
        "not an address": ("data/publish/x", None),
        "cannot be reached": ("http://127.0.0.1:9/x", tmp_path / "x"),
    }
    for told, (address, folder) in cases.items():
        with pytest.raises(UserError, match=told) as error:
            pull(address, folder)
        assert "\n" not in str(error.value)


def test_a_bucket(s3, release, tmp_path):
    from sigforge.core.storage import _s3

    for path in release.iterdir():
        _s3().put_file(str(path), f"{s3.folder.place}/{path.name}")
    assert contents_of(pull(str(s3.folder), tmp_path / "here")) == contents_of(release)


def test_addresses_of_the_hub_and_of_zenodo(monkeypatch, release, tmp_path):
    assert source_of("hf://datasets/me/pairs@v1").name == "pairs" and source_of("zenodo:42").name == "zenodo-42"
    monkeypatch.setenv("HF_TOKEN", "secret")
    where = tmp_path / "web/datasets/me/pairs/resolve/v1.0.0"
    where.parent.mkdir(parents=True)
    where.symlink_to(release)
    with serving(FileHandler, root=tmp_path / "web") as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        assert contents_of(pull("hf://datasets/me/pairs@v1.0.0", tmp_path / "here")) == contents_of(release)
        assert {token for _, _, token in server.requests} == {"Bearer secret"}


def test_the_command(server, release, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        app(["data", "pull", f"{server.url}/{release.name}", "-o", str(tmp_path / "here")])
    assert exit_.value.code == 0 and "release pairs 1.0.0: 15 files" in capsys.readouterr().out
