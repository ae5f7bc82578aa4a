import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sigforge.core.errors import ImageError, UserError
from sigforge.core.images import (
    ImageInfo,
    decode_bytes,
    encode_png,
    encode_webp,
    is_grey,
    read_bytes,
    read_image,
    to_uint8,
    write_image,
)

REALDATA = Path(os.environ.get("SIGFORGE_REALDATA", Path(__file__).parents[2] / "../shared/data"))
REPEATABLE = settings(derandomize=True, database=None, deadline=None, max_examples=40)
RNG = np.random.default_rng(0)
DEEP = RNG.integers(0, 65536, (20, 30, 3), dtype=np.uint16)
RGB = (DEEP >> 8).astype(np.uint8)
GREY = RGB[..., 0]
SMOOTH = np.asarray(PIL.Image.fromarray(RGB).resize((64, 48)))


def pillow(array, kind, mode=None, **options):
    image = PIL.Image.fromarray(array)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(array, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def png(array, colour_type, *extra):
    """A 16-bit PNG with chunks of choice, which neither Pillow nor OpenCV would write."""
    height, width = array.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    head = (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
    chunks = (head, *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    packed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def check(data, expected, bit_depth, atol=1e-7):
    pixels, info = decode_bytes(data, "x")
    assert pixels.dtype == np.float32 and pixels.flags.c_contiguous and pixels.flags.writeable
    assert (info.height, info.width) == pixels.shape[:2]
    assert info.channels == (3 if pixels.ndim == 3 else 1) and info.bit_depth == bit_depth
    assert pixels.shape == expected.shape
    assert np.abs(pixels - expected).max() <= atol


def reason(data, name="x.png", **options):
    with pytest.raises(ImageError) as caught:
        decode_bytes(data, name, **options)
    assert str(caught.value) == f"{name}: {caught.value.detail}" and "\n" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_lossless_8_bit(kind):
    check(pillow(RGB, kind), RGB / 255, 8)
    check(pillow(GREY, kind), GREY / 255, 8)


def test_lossless_webp_has_three_channels():
    check(pillow(RGB, "WEBP", lossless=True), RGB / 255, 8)
    check(pillow(GREY, "WEBP", lossless=True), np.stack([GREY] * 3, -1) / 255, 8)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 2}])
def test_jpeg_as_pillow_decodes_it(options):
    data = pillow(SMOOTH, "JPEG", quality=90, **options)
    check(data, np.asarray(PIL.Image.open(io.BytesIO(data))) / 255, 8)
    grey = pillow(SMOOTH[..., 0], "JPEG")
    check(grey, np.asarray(PIL.Image.open(io.BytesIO(grey))) / 255, 8)


def test_16_bit_png():
    check(encode_png(DEEP, 16), DEEP / 65535, 16)
    check(encode_png(DEEP[..., 0], 16), DEEP[..., 0] / 65535, 16)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_16_bit_tiff(byteorder, compression):
    options = {"byteorder": byteorder, "compression": compression}
    check(tiff(DEEP, photometric="rgb", **options), DEEP / 65535, 16)
    check(tiff(DEEP[..., 0], **options), DEEP[..., 0] / 65535, 16)


def test_alpha_is_dropped():
    alpha = RNG.integers(0, 256, (20, 30, 1), dtype=np.uint8)
    for kind in ("PNG", "TIFF"):
        check(pillow(np.concatenate([RGB, alpha], -1), kind), RGB / 255, 8)
        check(pillow(np.concatenate([GREY[..., None], alpha], -1), kind), GREY / 255, 8)
    deep_alpha = np.concatenate([DEEP, DEEP[..., :1]], -1)
    check(png(deep_alpha, 6), DEEP / 65535, 16)
    check(png(DEEP[..., :2], 4), DEEP[..., 0] / 65535, 16)
    check(png(DEEP, 2, (b"tRNS", bytes(6))), DEEP / 65535, 16)
    check(tiff(deep_alpha, photometric="rgb", extrasamples=["unassalpha"]), DEEP / 65535, 16)


def test_palette_and_bilevel():
    data = pillow(RGB, "PNG", "P")
    check(data, np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB")) / 255, 8)
    check(pillow(GREY > 127, "PNG", "1"), (GREY > 127).astype(float), 1)


def test_cmyk_jpeg_becomes_rgb():
    flat = np.zeros((32, 32, 4), np.uint8)
    flat[:] = (255, 0, 0, 51)  # full cyan, a fifth black: no red, 0.8 green and blue
    buffer = io.BytesIO()
    PIL.Image.fromarray(flat, "CMYK").save(buffer, "JPEG", quality=100)
    check(buffer.getvalue(), np.tile([0, 0.8, 0.8], (32, 32, 1)), 8, atol=0.02)


def test_white_is_zero_is_turned_round():
    check(tiff(GREY, photometric="miniswhite"), 1 - GREY / 255, 8)
    check(tiff(DEEP[..., 0], photometric="miniswhite"), 1 - DEEP[..., 0] / 65535, 16)


def test_float_tiff_in_range():
    check(tiff((GREY / 255).astype(np.float32)), GREY / 255, 32)


STORED = {  # how an upright image is stored for each EXIF orientation
    1: lambda x: x,
    2: np.fliplr,
    3: lambda x: np.rot90(x, 2),
    4: np.flipud,
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, 1),
    7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
    8: lambda x: np.rot90(x, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_orientation_is_applied(orientation):
    exif = PIL.Image.Exif()
    exif[274] = orientation
    stored = np.ascontiguousarray(STORED[orientation](RGB))
    deep = np.ascontiguousarray(STORED[orientation](DEEP))
    tag = [(274, "H", 1, orientation, True)]
    check(pillow(stored, "PNG", exif=exif), RGB / 255, 8)
    check(pillow(stored, "WEBP", lossless=True, exif=exif), RGB / 255, 8)
    check(tiff(stored, photometric="rgb", extratags=tag), RGB / 255, 8)
    check(tiff(deep[..., 0], extratags=tag), DEEP[..., 0] / 65535, 16)
    check(tiff(deep, photometric="rgb", extratags=tag), DEEP / 65535, 16)
    check(png(deep, 2, (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))), DEEP / 65535, 16)
    jpeg = pillow(np.ascontiguousarray(STORED[orientation](SMOOTH)), "JPEG", quality=100, subsampling=0, exif=exif)
    check(jpeg, SMOOTH / 255, 8, atol=0.04)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_exif_does_not_cost_the_image():
    data = pillow(SMOOTH, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode_bytes(data, "x")[0].shape == SMOOTH.shape


def test_jpeg_with_previews_behind_it_is_read():
    buffer = io.BytesIO()
    PIL.Image.fromarray(SMOOTH).save(buffer, "MPO", save_all=True, append_images=[PIL.Image.fromarray(RGB)])
    assert decode_bytes(buffer.getvalue(), "x")[0].shape == SMOOTH.shape


def test_content_decides_not_the_extension(tmp_path):
    (tmp_path / "bitmap.jpg").write_bytes(pillow(RGB, "BMP"))
    pixels, info = read_image(tmp_path / "bitmap.jpg")
    assert np.array_equal(pixels, RGB.astype(np.float32) / 255)
    assert info == ImageInfo(20, 30, 3, 8, "RGB")


def container(name):
    return {
        "png": lambda: pillow(SMOOTH, "PNG"),
        "png16": lambda: encode_png(DEEP, 16),
        "jpeg": lambda: pillow(SMOOTH, "JPEG", quality=90),
        "jpeg-progressive": lambda: pillow(SMOOTH, "JPEG", progressive=True),
        "jpeg-restarts": lambda: pillow(SMOOTH, "JPEG", restart_marker_blocks=2),
        "webp": lambda: pillow(SMOOTH, "WEBP"),
        "tiff": lambda: pillow(SMOOTH, "TIFF"),
        "tiff-lzw": lambda: pillow(SMOOTH, "TIFF", compression="tiff_lzw"),
        "tiff-jpeg": lambda: pillow(SMOOTH, "TIFF", compression="jpeg"),
        "tiff16-zlib": lambda: tiff(DEEP, photometric="rgb", compression="zlib"),
    }[name]()


@pytest.mark.parametrize(
    ("name", "shortest"),
    [
        *((name, 1) for name in ("png", "png16", "jpeg", "jpeg-progressive", "jpeg-restarts")),
        *((name, 4) for name in ("tiff", "tiff-lzw", "tiff-jpeg", "tiff16-zlib")),
        ("webp", 12),
    ],
)
def test_every_cut_is_noticed_in_silence(name, shortest, capfd):
    data = container(name)
    decode_bytes(data, name)
    near_ends = {*range(shortest, 60), *range(len(data) - 60, len(data))}
    cuts = sorted(near_ends | set(range(shortest, len(data), max(1, len(data) // 100))))
    assert len(cuts) > 150
    assert {cut: reason(data[:cut]) for cut in cuts} == dict.fromkeys(cuts, "truncated")
    assert capfd.readouterr() == ("", "")


def test_cut_jpeg_with_a_whole_preview_is_noticed():
    exif = b"Exif\0\0" + pillow(RGB, "JPEG")  # an end mark inside a header segment
    data = pillow(SMOOTH, "JPEG", exif=exif)
    assert decode_bytes(data, "x")[0].shape == SMOOTH.shape
    assert reason(data[:-2]) == reason(data[: len(data) // 2]) == "truncated"


def test_flipped_bits_in_a_png_are_noticed():
    data = bytearray(container("png"))
    data[len(data) // 2] ^= 16
    assert reason(bytes(data)) == "truncated"


def test_odd_profile_in_a_deep_png_is_no_noise(capfd):
    check(png(DEEP, 2, (b"iCCP", b"odd\0\0" + zlib.compress(b"junk"))), DEEP / 65535, 16)
    assert capfd.readouterr() == ("", "")


def test_missing_empty_and_text(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("This is no picture.\n" * 50)
    (tmp_path / "folder.png").mkdir()
    wanted = {"none.png": "missing", "folder.png": "missing", "empty.png": "empty", "text.png": "not_an_image"}
    for name, word in wanted.items():
        with pytest.raises(ImageError) as caught:
            read_image(tmp_path / name)
        assert caught.value.reason == word and caught.value.path == str(tmp_path / name)
        assert isinstance(caught.value, UserError)
    with pytest.raises(ImageError, match="holds no bytes"):
        read_bytes(tmp_path / "empty.png")
    assert reason(b"") == "empty"
    assert reason(b"P") == reason(b"RIFF and other words") == "not_an_image"


@pytest.mark.parametrize(
    ("case", "word"),
    [
        (lambda: tiff(np.full((20, 30), np.nan, np.float32)), "floats from nan"),
        (lambda: tiff(GREY.astype(np.float32)), "floats from 0 to 255"),
        (lambda: tiff(GREY.astype(np.float64)), "kind that is not read"),
        (lambda: tiff(RGB.astype(np.float32), photometric="rgb"), "kind that is not read"),
        (lambda: tiff(GREY.astype(np.int32)), "no fixed range"),
        (lambda: tiff(GREY.astype(np.int16)), "no fixed range"),
        (lambda: tiff(np.stack([GREY] * 5), photometric="minisblack"), "5 frames or pages"),
        (lambda: tiff(DEEP.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"), "layout that is not read"),
        (lambda: animated("PNG"), "2 frames"),
        (lambda: animated("WEBP"), "2 frames"),
        (lambda: b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40), "kind that is not read"),
    ],
)
def test_unsupported_says_what_it_holds(case, word, capfd):
    data = case()
    assert reason(data) == "unsupported"
    with pytest.raises(ImageError, match=word):
        decode_bytes(data, "x")
    assert capfd.readouterr() == ("", "")


def animated(kind):
    frames = [PIL.Image.fromarray(RGB), PIL.Image.fromarray(255 - RGB)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def test_too_large_to_be_safe(monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)
    assert reason(pillow(RGB, "PNG")) == "unsupported"


def test_too_small():
    assert decode_bytes(pillow(RGB, "PNG"), "x", min_side=20)[1].height == 20
    assert reason(pillow(RGB, "PNG"), min_side=21) == "too_small"


@REPEATABLE
@given(
    arrays(
        np.uint8,
        st.one_of(
            array_shapes(min_dims=2, max_dims=2, max_side=9),
            st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)),
        ),
    )
)
def test_8_bit_round_trip(array):
    for encode in (encode_png, encode_webp):
        data = encode(array / np.float32(255))
        pixels = decode_bytes(data, "x")[0]
        wanted = np.stack([array] * 3, -1) if pixels.ndim > array.ndim else array
        assert np.array_equal(to_uint8(pixels), wanted)
        assert encode(array) == data == encode(array.astype(np.float64) / 255)
    assert decode_bytes(encode_png(array), "x")[1].channels == (3 if array.ndim == 3 else 1)


@REPEATABLE
@given(arrays(np.uint16, (3, 5, 3)))
def test_16_bit_round_trip(array):
    pixels = decode_bytes(encode_png(array / np.float32(65535), 16), "x")[0]
    assert np.array_equal(np.rint(pixels.astype(np.float64) * 65535), array)


def test_rounding_is_half_up_and_clipped():
    halves = np.array([[-0.1, 0.5 / 255, 1.5 / 255, 2.49 / 255, 254.5 / 255, 1.1]])
    assert to_uint8(halves).tolist() == [[0, 1, 2, 2, 255, 255]]


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4, 4)), np.zeros(4), np.zeros((4, 4, 1)), np.full((4, 4), np.nan), np.zeros((4, 4), int)]
)
def test_what_is_no_image_is_not_written(tmp_path, array):
    with pytest.raises(ValueError):
        write_image(tmp_path / "x.png", array)
    assert not list(tmp_path.iterdir())


def test_write_image_is_lossless_atomic_and_repeatable(tmp_path):
    write_image(tmp_path / "a" / "x.png", DEEP, 16)
    write_image(tmp_path / "y.png", DEEP / 65535, bit_depth=16)
    assert (tmp_path / "a" / "x.png").read_bytes() == (tmp_path / "y.png").read_bytes()
    assert np.array_equal(np.rint(read_image(tmp_path / "y.png")[0] * 65535.0), DEEP)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "y.png"]


def test_webp_has_a_largest_side():
    with pytest.raises(UserError, match="at most 16383"):
        encode_webp(np.zeros((1, 16384), np.uint8))


def test_grey_stored_as_three_channels_can_be_told():
    pixels, info = decode_bytes(encode_png(np.stack([GREY] * 3, -1)), "x")
    assert info.channels == 3 and is_grey(pixels) and not is_grey(RGB)


@pytest.mark.skipif(not REALDATA.is_dir(), reason=f"no real images at {REALDATA} (set SIGFORGE_REALDATA)")
def test_real_photographs_with_odd_modes_decode():
    paths = sorted((REALDATA / "natural/imagenet_sample").glob("*.JPEG"))[::4]
    infos = [read_image(path, min_side=32)[1] for path in paths]
    assert len(infos) >= 20 and {info.bit_depth for info in infos} == {8}


@pytest.mark.parametrize("levels", [255, 1023, 65535])
def test_netpbm_of_any_depth(levels):
    values = (DEEP[..., 0] / 65535 * levels).round().astype(">u2" if levels > 255 else np.uint8)
    data = b"P5\n# by hand\n30 20\n%d\n" % levels + values.tobytes()
    check(data, values / levels, 16 if levels > 255 else 8, atol=1e-5)
    assert reason(data[:-5]) == "truncated"


def test_colour_of_16_bits_is_not_cut_to_8_in_silence():
    assert reason(b"P6 30 20 65535 " + DEEP.astype(">u2").tobytes()) == "unsupported"


def test_gif():
    data = pillow(GREY, "GIF")
    check(data, np.stack([GREY] * 3, -1) / 255, 8)
    for size in (len(data) // 2, 20, 8):
        assert reason(data[:size]) == "truncated"


def test_signed_pixels_are_refused():
    for kind in (np.int8, np.int16):
        assert reason(tiff(GREY.astype(kind))) == "unsupported"


def test_what_an_image_uses_and_drops():
    grey = (7000 + DEEP[..., 0] // 64).astype(np.uint16)
    info = decode_bytes(encode_png(grey, 16), "x")[1]
    assert (info.low, info.high) == pytest.approx((grey.min() / 65535, grey.max() / 65535))
    assert info.dropped == 0
    two = decode_bytes(tiff(np.stack([GREY, GREY], -1), photometric="minisblack", planarconfig="contig"), "x")[1]
    four = decode_bytes(tiff(np.dstack([DEEP, DEEP[..., :1]]), photometric="rgb", extrasamples=["unspecified"]), "x")[1]
    assert (two.dropped, four.dropped) == (1, 1)
    assert decode_bytes(pillow(np.dstack([RGB, GREY]), "PNG"), "x")[1].dropped > 0.9


def test_white_may_be_zero_and_bits_may_be_one():
    check(tiff(GREY, photometric="miniswhite"), 1 - GREY / 255, 8)
    check(tiff(DEEP[..., 0], photometric="miniswhite"), 1 - DEEP[..., 0] / 65535, 16)
    for kind, options in (("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "group4"})):
        check(pillow(GREY > 127, kind, **options), (GREY > 127) * 1.0, 1)
