import cv2
import numpy as np
import pytest

from sigforge.core.images import decode_bytes, encode_png, to_uint8
from sigforge.dataset.doubts import Source, doubts_about, told

Y, X = np.mgrid[:48, :64]
GREY = to_uint8(0.5 + 0.4 * np.sin(X / 7) * np.cos(Y / 5))
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], -1)
PAINTED = cv2.applyColorMap(GREY, cv2.COLORMAP_INFERNO)[..., ::-1].copy()
COUNTS = (7500 + 1200 * (GREY / 255)).astype(np.uint16)


def source(pixels, name="x.png"):
    return Source(name, *decode_bytes(encode_png(pixels, 16 if pixels.dtype == np.uint16 else 8), name))


def reasons(task, a, b):
    return [doubt.reason for doubt in doubts_about(task, source(a, "a.png"), source(b, "b.png"))]


@pytest.mark.parametrize(
    ("task", "a", "b", "expected"),
    [
        ("vif", GREY, COLOUR, []),
        ("vif", GREY, 255 - GREY, []),
        ("vif", PAINTED, COLOUR, ["coloured_first"]),
        ("vif", COLOUR, GREY, ["sources_swapped"]),
        ("vif", COUNTS, COLOUR, ["few_levels"]),
        ("vif", GREY.astype(np.uint16) * 257, COLOUR, []),
        ("mif", PAINTED, GREY, []),
        ("mif", GREY, PAINTED, ["sources_swapped"]),
        ("mfif", COLOUR, COLOUR, ["same_pixels"]),
        ("mfif", GREY, COLOUR, ["one_grey"]),
        ("mef", COLOUR // 3, COLOUR, []),
        ("mef", COLOUR, COLOUR // 3, ["sources_swapped"]),
        (None, COLOUR, GREY, []),
    ],
)
def test_reasons(task, a, b, expected):
    assert reasons(task, a, b) == expected


@pytest.mark.parametrize(("alpha", "expected"), [(GREY, ["dropped_channel"]), ((GREY > 99) * np.uint8(255), [])])
def test_an_image_in_the_alpha_channel(alpha, expected):
    data = cv2.imencode(".png", np.dstack([COLOUR, alpha]))[1].tobytes()
    found = doubts_about("vif", source(GREY), Source("b.png", *decode_bytes(data, "b.png")))
    assert [doubt.reason for doubt in found] == expected


def test_the_advice_on_raw_counts_works():
    low, high = int(COUNTS.min()), int(COUNTS.max())
    stretched = ((COUNTS.astype(float) - low) / (high - low) * 65535).round().astype(np.uint16)
    assert reasons("vif", stretched, COLOUR) == []


def test_one_line_for_each_reason():
    found = [doubt for n in range(3) for doubt in doubts_about("vif", source(COUNTS, f"{n}.png"), source(COLOUR))]
    (line,) = told(found, 5)
    assert line.startswith("0.png: uses levels 7622 to ") and line.endswith("(3 such files in 5 pairs)")
