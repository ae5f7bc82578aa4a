"""Releases are sent whole or not at all, a rerun sends the rest, and no token is ever said."""

import pytest

from sigforge.cli.app import app
from sigforge.core.errors import UserError
from sigforge.release.build import build_release
from sigforge.release.targets.sending import pack, plan_text, target_of

from ..servers import serving
from .conftest import contents_of, request_for, write_shards
from .hosts import HubHandler, ZenodoHandler

TOKEN = "hf_a-secret-that-nobody-may-see"


@pytest.fixture
def hub(monkeypatch):
    reason = "huggingface_hub is not installed: extra 'release'"
    constants = pytest.importorskip("huggingface_hub.constants", reason=reason)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with serving(HubHandler, token=TOKEN, objects={}, files={}, tags={}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        server.address = "hf://datasets/me/pairs"
        yield server


@pytest.fixture
def zenodo(monkeypatch):
    with serving(ZenodoHandler, token=TOKEN, deposits={}) as server:
        monkeypatch.setenv("ZENODO_URL", server.url)
        monkeypatch.setenv("ZENODO_TOKEN", TOKEN)
        server.address = "zenodo:new"
        yield server


def send(address, release):
    sent = []
    return target_of(str(address)).send(pack(release), sent.append), sent


def total(release):
    return sum(len(data) for data in contents_of(release).values())


@pytest.fixture
def grown(release, tmp_path):
    """A second version, and a folder with the same version but other files."""
    shards = write_shards(tmp_path / "grown", 9)
    return build_release(request_for(shards, tmp_path / "out", "1.1.0")), build_release(
        request_for(shards, tmp_path / "other")
    )


def test_a_folder(release, grown, tmp_path):
    told, _ = send(tmp_path / "there", release)
    target = tmp_path / "there/pairs-1.0.0"
    assert contents_of(target) == contents_of(release) and "16 files" in told
    assert "is there already" in send(tmp_path / "there", release)[0]
    with pytest.raises(UserError, match=r"version 1\.0\.0 exists with other files"):
        send(tmp_path / "there", grown[1])
    assert contents_of(target) == contents_of(release)
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["pairs-1.0.0"]


def test_a_bucket(release, grown, s3, monkeypatch):
    from sigforge.release.targets import bucket

    where, count = s3.folder / release.name, 0

    def cut(*arguments, **options):
        nonlocal count
        count += 1
        if count > 9:
            raise UserError("cut")
        return original(*arguments, **options)

    original = bucket.upload
    monkeypatch.setattr(bucket, "upload", cut)
    with pytest.raises(UserError, match="cut"):
        send(s3.folder, release)
    assert not (where / "SHA256SUMS").exists()
    count = -100
    send(s3.folder, release)
    assert count == -100 + 16 - 9, "what is there is not sent again"
    assert {path.name: path.read_bytes() for path in where.iterdir()} == contents_of(release)
    assert "is there already" in send(s3.folder, release)[0]
    with pytest.raises(UserError, match=r"version 1\.0\.0 exists with other files"):
        send(s3.folder, grown[1])


def test_the_hub(release, grown, hub):
    told, sent = send(hub.address, release)
    assert hub.files == contents_of(release) == hub.tags["v1.0.0"]
    assert "hf://datasets/me/pairs@v1.0.0: 16 files" in told and sent[-1] == "SHA256SUMS"
    assert "is there already" in send(hub.address, release)[0]
    with pytest.raises(UserError, match=r"version 1\.0\.0 exists with other files"):
        send(hub.address, grown[1])
    send(hub.address, grown[0])
    assert hub.files == contents_of(grown[0]) and hub.tags["v1.0.0"] == contents_of(release)


def test_an_upload_to_the_hub_that_is_refused_half_way_goes_on(release, hub, monkeypatch):
    import huggingface_hub.lfs as lfs

    sent, original = [], lfs._upload_single_part

    def cut(operation, *arguments, **options):
        if len(sent) == 3:
            raise ConnectionError("the line is dead")
        sent.append(operation.path_in_repo)
        return original(operation, *arguments, **options)

    monkeypatch.setattr(lfs, "_upload_single_part", cut)
    with pytest.raises(UserError, match="broke off .*run again, what has come is kept") as error:
        send(hub.address, release)
    assert hub.files == {} and hub.tags == {} and len(hub.objects) == 3
    assert "\n" not in str(error.value) and TOKEN not in str(error.value)
    monkeypatch.setattr(lfs, "_upload_single_part", original)
    puts = len([1 for method, *_ in hub.requests if method == "PUT"])
    send(hub.address, release)
    assert hub.files == contents_of(release)
    assert len([1 for method, *_ in hub.requests if method == "PUT"]) - puts == len(hub.objects) - 3


def test_zenodo(release, grown, zenodo):
    told, _ = send("zenodo:new", release)
    (deposit,) = zenodo.deposits.values()
    assert deposit["files"] == contents_of(release) and "publish it there" in told
    assert deposit["metadata"]["version"] == "1.0.0" and deposit["metadata"]["creators"] == [{"name": "Us"}]
    deposit["submitted"] = True
    with pytest.raises(UserError, match=r"version 1\.0\.0 of 'pairs' exists: raise the version"):
        send("zenodo:new", release)
    send("zenodo:1", grown[0])
    assert zenodo.deposits[2]["files"] == contents_of(grown[0]) and deposit["files"] == contents_of(release)
    with pytest.raises(UserError, match="no such deposit"):
        send("zenodo:99", build_release(request_for(grown[0].parent.parent / "grown", release.parent, "3.0.0")))


def test_an_upload_to_zenodo_that_is_cut_goes_on(release, zenodo):
    zenodo.budget = int(0.6 * total(release))
    with pytest.raises(UserError, match="broke off.*run again, what has come is kept"):
        send("zenodo:new", release)
    there = len(zenodo.deposits[1]["files"])
    assert 0 < there < 16
    zenodo.budget, zenodo.requests[:] = None, []
    send("zenodo:new", release)
    assert len(zenodo.deposits) == 1 and zenodo.deposits[1]["files"] == contents_of(release)
    puts = [path for method, path, _ in zenodo.requests if method == "PUT" and "/files/" in path]
    assert len(puts) == 16 - there


@pytest.mark.parametrize("host", ["hub", "zenodo"])
def test_a_token_without_rights_is_one_line(release, request, host, capsys, monkeypatch):
    server = request.getfixturevalue(host)
    for name in ("HF_TOKEN", "ZENODO_TOKEN"):
        monkeypatch.setenv(name, "hf_another-secret")
    with pytest.raises(SystemExit) as exit_:
        app(["publish", str(release), "--to", server.address])
    said = capsys.readouterr()
    assert exit_.value.code == 2 and said.err.startswith("error: ") and said.err.count("\n") == 1
    assert "access refused (403)" in said.err and "secret" not in said.err + said.out


def test_without_a_token_zenodo_is_not_asked(release, zenodo, monkeypatch):
    monkeypatch.delenv("ZENODO_TOKEN")
    with pytest.raises(UserError, match="set ZENODO_TOKEN"):
        send("zenodo:new", release)
    assert zenodo.requests == []


@pytest.mark.parametrize("host", ["hub", "zenodo"])
def test_a_dry_run_says_what_would_be_sent_and_asks_nobody(release, request, host, capsys):
    server = request.getfixturevalue(host)
    with pytest.raises(SystemExit) as exit_:
        app(["publish", str(release), "--to", server.address, "--dry-run"])
    out = capsys.readouterr().out
    assert exit_.value.code == 0 and server.requests == [] and TOKEN not in out
    for line in (release / "SHA256SUMS").read_text().splitlines():
        assert line in out
    assert f"{total(release):,}  bytes in 16 files" in out and "nothing was sent" in out
    assert plan_text(pack(release), target_of(server.address)) in out


def test_what_is_no_whole_release_is_not_sent(release, shards, tmp_path):
    draft = build_release(request_for(shards, tmp_path / "out", "1.0.0-dev"))
    with pytest.raises(UserError, match="is a draft"):
        pack(draft)
    (release / "LICENSE").write_text("mine")
    with pytest.raises(UserError, match="LICENSE: sha256 .*nothing was sent"):
        pack(release)
    for address in ("hf://datasets/pairs", "zenodo:x", "ftp://x"):
        with pytest.raises(UserError, match="give"):
            target_of(address)


def test_build_and_send_in_one_command(shards, tmp_path, capsys):
    arguments = ["publish", str(shards), "--name", "pairs", "--version", "1.0.0", "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as exit_:
        app([*arguments, "--to", str(tmp_path / "there")])
    assert exit_.value.code == 0 and (tmp_path / "there/pairs-1.0.0/SHA256SUMS").exists()
    with pytest.raises(SystemExit) as exit_:
        app([*arguments, "--dry-run"])
    assert exit_.value.code == 2 and "give --to as well" in capsys.readouterr().err
