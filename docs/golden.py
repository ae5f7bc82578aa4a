"""What the authors' own code gave on real images, and what our networks give with the same weights on the same pixels.

The recorded outputs lie in ``golden`` of the folder that SIGFORGE_REFERENCE names; the weights must have been imported.
Networks that see a few pixels far are run on a corner: its last pixels see the corner's edge, which the whole image has
not, and are left out.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from sigforge.core.colour import luma
from sigforge.methods.loading import load
from sigforge.methods.published.checkpoints import load_network
from sigforge.methods.registry import get_method

HERE = Path(__file__).resolve()
FOLDER = Path(os.environ.get("SIGFORGE_REFERENCE", HERE.parents[2] / "shared/reference"), "golden")

Images = Sequence[PIL.Image.Image]


@dataclass(frozen=True)
class Case:
    """One recorded output.

    Attributes:
        method: our name.
        task: whose weights; None where all tasks share them.
        model, file: which record it is.
        run: what the images of the record give here, in the range and size of the record.
        kept: rows and columns that are compared.
        scale: the record's white.
        slow: takes more than a few seconds on one core.
    """

    method: str
    task: str | None
    model: str
    file: str
    run: Callable[["Case", Images], Tensor]
    kept: tuple[int | None, int | None] = (None, None)
    scale: float = 1
    slow: bool = False

    def inputs(self) -> Images:
        """The images that were fused."""
        items = json.loads((FOLDER / f"{self.model}.json").read_text())["items"]
        paths = next(item["inputs_png"] for item in items if item["output"] == self.file)
        return [PIL.Image.open(FOLDER / path) for path in paths]

    def recorded(self) -> Tensor:
        """What the authors' code gave, in its own units."""
        return torch.from_numpy(np.load(FOLDER / self.file)["output"])

    def outputs(self) -> tuple[Tensor, Tensor]:
        """Ours and theirs in [0, 1], without leading axes."""
        with torch.inference_mode():
            ours = self.run(self, self.inputs())
        rows, columns = self.kept
        return tuple(x.squeeze()[..., :rows, :columns] / self.scale for x in (ours, self.recorded()))

    def network(self, sources: Sequence[Tensor]) -> Tensor:
        """The network's own answer, in the units of its authors."""
        return load_network(get_method(self.method), self.task).run(torch.stack(list(sources)))


def difference(case: Case) -> tuple[float, int]:
    """Largest absolute difference in [0, 1], and in grey levels once both are saved with 8 bits."""
    ours, golden = case.outputs()
    levels = [(x.clamp(0, 1).double() * 255 + 0.5).floor() for x in (ours, golden)]
    return float((ours - golden).abs().max()), int((levels[0] - levels[1]).abs().max())


def grey(image: PIL.Image.Image) -> Tensor:
    """Luma (1, 1, H, W) in [0, 1]."""
    pixels = np.asarray(image.convert("RGB") if image.mode != "L" else image, np.float32) / 255
    return torch.from_numpy(luma(pixels))[None, None]


def rgb(image: PIL.Image.Image, mode: str = "RGB") -> Tensor:
    """(1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.asarray(image.convert(mode), np.float32) / 255).permute(2, 0, 1)[None]


def cut_luma(image: PIL.Image.Image) -> Tensor:
    """GIFNet's luma (1, 1, H, W), cut to whole levels as the recorded run cut it.

    That was G first, then R and B by fused multiply-add in float64; it matters for colours whose luma is a whole
    number, which rounding can put on either side of the cut, so these are worked out exactly.
    """
    colours, where = np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0, return_inverse=True)
    thousandths = colours.astype(int) @ (299, 587, 114)
    levels = thousandths // 1000
    for n in np.flatnonzero(thousandths % 1000 == 0):
        r, g, b = map(int, colours[n])
        two = float(Fraction(0.299) * r + Fraction(0.587 * g))
        levels[n] = int(float(Fraction(0.114) * b + Fraction(two)))
    return _planes(levels[where].reshape(image.height, image.width) / 255)


def first_plane(image: PIL.Image.Image) -> Tensor:
    """A grey image that was saved in colour, (1, 1, H, W) in [0, 1]."""
    return _planes(np.asarray(image)[..., 0] / 255)


def _planes(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).float()[None, None]


def _ifcnn(case: Case, images: Images) -> Tensor:
    net = load_network(get_method(case.method))
    return net.run(torch.stack([((rgb(image) - net.mean) / net.std)[..., :133, :133] for image in images]))


def _ifcnn_luma(case: Case, images: Images) -> Tensor:
    lumas = [rgb(image, "YCbCr")[:, :1].expand(-1, 3, -1, -1) for image in images]
    return case.network([x[..., :101, :101] for x in lumas])


def _densefuse(read: Callable[[PIL.Image.Image], Tensor]) -> Callable[[Case, Images], Tensor]:
    return lambda case, images: case.network([255 * read(image)[..., :136, :136] for image in images])


def _unstretched(case: Case, images: Images) -> Tensor:
    return load(case.method, case.task).fuse(*map(grey, images), stretch=False)


def _cunet(case: Case, images: Images) -> Tensor:
    return case.network([rgb(image)[..., :128, :128] for image in images])


def _lrrnet(case: Case, images: Images) -> Tensor:
    whole = torch.stack([grey(image) for image in images])
    low, high = whole.amin((2, 3, 4), keepdim=True), whole.amax((2, 3, 4), keepdim=True)
    return case.network((whole - low)[..., :75, :107] / (high - low + 1e-5 / 255))


def _mufusion(case: Case, images: Images) -> Tensor:
    return case.network([grey(image)[..., :128, :128] for image in images])


def _gifnet(read_a: Callable[[PIL.Image.Image], Tensor]) -> Callable[[Case, Images], Tensor]:
    def run(case: Case, images: Images) -> Tensor:
        return case.network(
            [read(image)[..., :256, :256] for read, image in zip((read_a, cut_luma), images, strict=True)]
        )

    return run


def _cases() -> list[Case]:
    ifcnn = [
        Case(method, None, "ifcnn", f"ifcnn__IFCNN-{file}.npz", _ifcnn, (128, 128))
        for method, file in (
            ("ifcnn_max_raw", "MAX-IV-Camp"),
            ("ifcnn_max_raw", "MAX-MD-c01"),
            ("ifcnn_max", "MAX-IV-Camp-imagenet"),
            ("ifcnn_mean_raw", "MEAN-IV-Camp"),
            ("ifcnn_mean", "MEAN-IV-Camp-imagenet"),
            ("ifcnn_sum", "SUM-MD-c01-imagenet"),
        )
    ]
    densefuse = Case("densefuse", None, "densefuse", "densefuse__gray_TNO1_avg.npz", _densefuse(grey), (128, 128), 255)
    refusion = [
        Case("refusion", task, "refusion", f"refusion__{file}_raw.npz", _unstretched, slow=task != "mif")
        for task, file in (
            ("mif", "MIF_MRI_PET_14"),
            ("vif", "IVIF_00710N"),
            ("mfif", "MFIF_14"),
            ("mef", "MEIF_AirBellowsGap"),
        )
    ]
    mufusion = [
        Case("mufusion", task, "mufusion", f"mufusion__{file}_128.npz", _mufusion)
        for task, file in (("vif", "ir_vis_TNO"), ("mif", "medical_harvard"), ("mef", "multi-exposure_Final"))
    ]
    gifnet = Case("gifnet", None, "gifnet", "gifnet__IVIF_crop256x256.npz", _gifnet(first_plane))
    return [
        *ifcnn,
        Case("ifcnn_mean_raw", None, "ifcnn", "ifcnn__IFCNN-MEAN-ME-chair.npz", _ifcnn_luma, (96, 96)),
        densefuse,
        replace(densefuse, method="densefuse_rgb", file="densefuse__rgb_lytro01_avg.npz", run=_densefuse(rgb)),
        *refusion,
        Case("cunet", "mfif", "cunet", "cunet__multi_focus_128.npz", _cunet),
        Case("cunet", "mef", "cunet", "cunet__multi_exposure_128.npz", _cunet),
        Case("lrrnet", None, "lrrnet", "lrrnet__TNO1.npz", _lrrnet, (64, 96)),
        *mufusion,
        gifnet,
        replace(gifnet, file="gifnet__MFIF_crop256x256.npz", run=_gifnet(cut_luma), slow=True),
    ]


CASES = _cases()
