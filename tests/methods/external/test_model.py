import io
import pickle
import warnings
import zipfile

import pytest
import torch

from sigforge.core.errors import UserError
from sigforge.methods.external.model import load_model_file


class Blend(torch.nn.Module):
    """A quarter of one source, three of the other; ``fault`` makes it misbehave."""

    def __init__(self, fault=""):
        super().__init__()
        self.share = torch.nn.Parameter(torch.tensor(0.25))
        self.fault = fault

    def forward(self, a, b):
        fused = self.share * a + (1 - self.share) * b
        if self.fault == "nan":
            return fused / 0 * 0
        if self.fault == "shape":
            return fused[..., :-1]
        return fused * 2 if self.fault == "range" else fused


A, B = torch.rand(2, 2, 1, 16, 20, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    def save(kind, fault=""):
        path = tmp_path_factory.mktemp("models") / f"model.{kind}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated, and still what people have
            if kind == "script":
                torch.jit.trace(Blend(fault).eval(), (A, B)).save(path)
            elif kind == "pt2":
                sizes = {0: torch.export.Dim("n"), 2: torch.export.Dim("h", min=4), 3: torch.export.Dim("w", min=4)}
                torch.export.save(torch.export.export(Blend(fault).eval(), (A, B), dynamic_shapes=(sizes, sizes)), path)
            else:
                torch.save(Blend() if kind == "object" else Blend().state_dict(), path)
        return path

    return save


@pytest.mark.parametrize("kind", ["script", "pt2"])
def test_both_formats_fuse_at_any_size(kind, saved):
    fuse = load_model_file(saved(kind))
    for a, b in ((A, B), (A[:1, :, :9, :13], B[:1, :, :9, :13])):
        fused = fuse(a, b)
        torch.testing.assert_close(fused, 0.25 * a + 0.75 * b)
        assert not fused.requires_grad


@pytest.mark.parametrize(
    ("fault", "problem"), [("nan", "NaN or infinity"), ("shape", r"\(2, 1, 16, 19\) for sources of \(2, 1, 16, 20\)")]
)
def test_a_network_that_returns_no_image_is_told(fault, problem, saved):
    with pytest.raises(ValueError, match=problem):
        load_model_file(saved("script", fault))(A, B)


def test_overshoot_is_clamped(saved):
    fused = load_model_file(saved("script", "range"))(A, B)
    assert fused.min() >= 0 and fused.max() == 1


@pytest.mark.parametrize("kind", ["object", "weights"])
def test_pickled_objects_are_refused(kind, saved):
    with pytest.raises(UserError, match=r"holds pickled Python objects; save it with torch\.jit\.save"):
        load_model_file(saved(kind))


class Trap:
    def __reduce__(self):
        return pytest.fail, ("the pickle was run",)


def trapped(kind):
    if kind == "sample":
        buffer = io.BytesIO()
        torch.save((Trap(), {}), buffer)
        return {"data/sample_inputs/model.pt": buffer.getvalue()}
    if kind == "weights":
        return {
            "data/weights/model_weights_config.json": b'{"config": {"share": {"path_name": "weight_0", "use_pickle": true}}}'
        }
    return {f"data/constants/{kind}_obj_0": pickle.dumps(Trap())}


@pytest.mark.parametrize("kind", ["sample", "weights", "custom", "opaque"])
def test_pickles_inside_an_export_archive_are_refused_unread(kind, saved, tmp_path):
    path, changed = tmp_path / "trap.pt2", trapped(kind)
    with zipfile.ZipFile(saved("pt2")) as source, zipfile.ZipFile(path, "w") as target:
        top = source.namelist()[0].partition("/")[0]
        for name in source.namelist():
            if name.partition("/")[2] not in changed:
                target.writestr(name, source.read(name))
        for name, data in changed.items():
            target.writestr(f"{top}/{name}", data)
    with pytest.raises(UserError, match="is a pickle, which could run any code"):
        load_model_file(path)


def test_a_member_that_is_there_twice_is_refused(saved):
    path = saved("pt2")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/data/constants/model_constants_config.json", b"{}")
    with pytest.raises(UserError, match="holds a member twice"):
        load_model_file(path)


@pytest.mark.parametrize(
    ("data", "problem"), [(None, "no such file"), (b"words", "neither TorchScript nor torch.export")]
)
def test_other_files(data, problem, tmp_path):
    path = tmp_path / "model.pt"
    if data:
        path.write_bytes(data)
    with pytest.raises(UserError, match=problem):
        load_model_file(path)


def test_a_damaged_archive_is_one_line(saved, tmp_path):
    path = tmp_path / "damaged.script"
    with zipfile.ZipFile(saved("script")) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, b"" if name.endswith("data.pkl") else source.read(name))
    with pytest.raises(UserError, match="cannot be loaded") as error:
        load_model_file(path)
    assert "\n" not in str(error.value)
