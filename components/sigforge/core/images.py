"""Decode and encode images: one clear error for every broken file, the same bytes for the same pixels.

What a file may hold and what becomes of it: EXIF orientation is applied, a palette is looked up, CMYK becomes RGB by
the plain formula, alpha is dropped (the colour under it stays), colour profiles are ignored. The content decides the
format, not the extension. Pillow decodes, strictly; OpenCV only reads what Pillow would cut to 8 bits, 16-bit colour.

Reasons of an ImageError: ``missing`` (or cannot be opened), ``empty`` (zero bytes), ``not_an_image`` (e.g. a text file
named ``.png``), ``truncated`` (cut short or damaged), ``unsupported`` (animated, several pages, or pixels that do not
map to [0, 1]) and ``too_small``.
"""

import io
import logging
import re
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import PIL.TiffImagePlugin

from sigforge.core.colour import is_grey as is_grey
from sigforge.core.errors import ImageError, UserError
from sigforge.core.files import write_atomic

# Decoders chat about odd but readable files; what matters here comes as an ImageError.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
logging.getLogger("PIL").addHandler(logging.NullHandler())
warnings.filterwarnings("ignore", module="PIL")

_DAMAGED = "is cut short or damaged: copy it again"
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "PPM")
_PNG, _JPEG, _CLASSIC_TIFF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", (b"II*\0", b"MM\0*")
_GIF, _NETPBM = b"GIF8", (b"P2", b"P3", b"P5", b"P6")
_OTHER_KINDS = (b"\0\0\0\x0cjP", b"II+\0", b"MM\0+")  # JPEG 2000, big TIFF
_NETPBM_HEAD = re.compile(rb"P[2356](?:\s+(?:#[^\n]*\n\s*)*\d+){2}\s+(?:#[^\n]*\n\s*)*(\d+)\s")
_GREY_ALPHA = 4  # PNG colour type; Pillow opens it as RGBA when it has 16 bits
_PNG_SETTINGS = (cv2.IMWRITE_PNG_COMPRESSION, 3)
_WEBP_MAX_SIDE = 16383
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")  # not stuffed bytes, nor restart marks inside a scan
_TIFF_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}  # bytes per value of each type, else 1
_TIFF_DATA = ((273, 279), (324, 325))  # tags of offsets and lengths: of strips, of tiles
_BITS_PER_SAMPLE, _PHOTOMETRIC, _ORIENTATION, _SAMPLES, _SAMPLE_FORMAT = 258, 262, 274, 277, 339  # TIFF and EXIF tags
_SIGNED = 2
_UPRIGHT = {
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}


@dataclass(frozen=True)
class ImageInfo:
    """What the file held.

    Attributes:
        height, width: in pixels, once upright.
        channels: 1 or 3.
        bit_depth: bits per channel.
        mode: Pillow's.
        low, high: the levels in use, in [0, 1].
        dropped: share of pixels whose alpha is neither 0 nor full; 1 where a TIFF has further channels.
    """

    height: int
    width: int
    channels: int
    bit_depth: int
    mode: str
    low: float = field(default=0.0, repr=False, compare=False)
    high: float = field(default=1.0, repr=False, compare=False)
    dropped: float = field(default=0.0, repr=False, compare=False)


def read_image(path: str | Path, *, min_side: int = 1) -> tuple[np.ndarray, ImageInfo]:
    """Read an image file as float32 in [0, 1], ``(H, W)`` or ``(H, W, 3)``.

    Args:
        path: PNG, JPEG, TIFF, BMP, WebP, GIF or Netpbm, 8 or 16 bits (float TIFF if its values lie in [0, 1]).
        min_side: smallest height and width accepted, in pixels.

    Raises:
        ImageError: the file cannot be used; ``reason`` is one of the words above.
    """
    return decode_bytes(read_bytes(path), path, min_side=min_side)


def is_image(path: str | Path) -> bool:
    """Whether the first bytes of a file are those of an image that may be read."""
    try:
        with open(path, "rb") as file:
            start = file.read(12)
    except OSError:
        return False
    signatures = (_PNG, _JPEG, *_CLASSIC_TIFF, _GIF, *_NETPBM, b"BM")
    return start.startswith(signatures) or (start[:4] == b"RIFF" and start[8:] == b"WEBP")


def read_bytes(path: str | Path) -> bytes:
    """Read a file that should hold an image.

    Raises:
        ImageError: ``missing`` or ``empty``.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ImageError(path, "missing", f"cannot be read ({error.strerror}): check the path") from error
    if not data:
        raise ImageError(path, "empty", "holds no bytes: copy it again")
    return data


def decode_bytes(data: bytes, name: object, *, min_side: int = 1) -> tuple[np.ndarray, ImageInfo]:
    """Decode the bytes of an image file as float32 in [0, 1], ``(H, W)`` or ``(H, W, 3)``.

    Args:
        data: a whole file: PNG, JPEG, TIFF, BMP or WebP, 8 or 16 bits.
        name: what errors call it; nothing is read from there.
        min_side: smallest height and width accepted, in pixels.

    Returns:
        the pixels, and what the file was like.

    Raises:
        ImageError: the bytes cannot be used; ``reason`` is one of the words above.

    Example:
        >>> pixels, info = decode_bytes(encode_png(np.eye(4)), "eye.png")
        >>> pixels.dtype, info
        (dtype('float32'), ImageInfo(height=4, width=4, channels=1, bit_depth=8, mode='L'))
    """
    if not data:
        raise ImageError(name, "empty", "holds no bytes: copy it again")
    if not _is_whole(data):
        raise ImageError(name, "truncated", _DAMAGED)
    try:
        with PIL.Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            pixels, info = _decode(image, data, name)
    except (ImageError, MemoryError):
        raise
    except PIL.UnidentifiedImageError as error:
        raise _unidentified(data, name) from error
    except PIL.Image.DecompressionBombError as error:
        raise ImageError(name, "unsupported", "is too large to be decoded safely: cut it into pieces") from error
    except Exception as error:  # a decoder may raise anything on damaged bytes
        raise ImageError(name, "truncated", f"{_DAMAGED} ({error})") from error
    if min(info.height, info.width) < min_side:
        detail = f"is {info.width}x{info.height}, but each side needs at least {min_side} pixels: leave it out"
        raise ImageError(name, "too_small", detail)
    return pixels, info


def write_image(path: str | Path, array: np.ndarray, bit_depth: int = 8) -> None:
    """Write a PNG durably; the same pixels give the same bytes.

    Args:
        path: the file to write.
        array: ``(H, W)`` or ``(H, W, 3)``, floats in [0, 1] (clipped, rounded half up) or integers of that depth.
        bit_depth: 8 or 16.

    Raises:
        ValueError: another shape or type, or a pixel that is not finite.
        UserError: the file cannot be written.
    """
    write_atomic(path, encode_png(array, bit_depth))


def encode_png(array: np.ndarray, bit_depth: int = 8) -> bytes:
    """Encode as PNG without loss beyond the rounding; see :func:`write_image`."""
    levels = _quantise(array, bit_depth)
    return cv2.imencode(".png", levels[..., ::-1] if levels.ndim == 3 else levels, _PNG_SETTINGS)[1].tobytes()


def encode_webp(array: np.ndarray) -> bytes:
    """Encode as 8-bit lossless WebP: a third smaller than PNG and as fast, but a grey image comes back with 3 channels.

    Raises:
        ValueError: as :func:`write_image`.
        UserError: a side beyond what the format holds.
    """
    levels = to_uint8(array)
    if max(levels.shape[:2]) > _WEBP_MAX_SIDE:
        raise UserError(f"WebP holds at most {_WEBP_MAX_SIDE} pixels a side, {max(levels.shape[:2])} given: use PNG")
    buffer = io.BytesIO()
    PIL.Image.fromarray(levels).save(buffer, "WEBP", lossless=True, method=0, quality=25)
    return buffer.getvalue()


def require_same_size(first: tuple[str, np.ndarray], other: tuple[str, np.ndarray]) -> None:
    """Raise an ImageError that names both (path, pixels) if they differ in height or width."""
    (path, pixels), (other_path, other_pixels) = first, other
    if pixels.shape[:2] != other_pixels.shape[:2]:
        sizes = [f"{shape[1]}x{shape[0]}" for shape in (other_pixels.shape, pixels.shape)]
        raise ImageError(other_path, "different_size", f"is {sizes[0]}, but {path} is {sizes[1]} (width x height)")


def to_uint8(array: np.ndarray) -> np.ndarray:
    """Turn floats in [0, 1] into 0..255, clipped and rounded half up; uint8 passes unchanged.

    Example:
        >>> to_uint8(np.array([[-1.0, 0.5, 2.0]]))
        array([[  0, 128, 255]], dtype=uint8)
    """
    return _quantise(array, 8)


def _quantise(array: np.ndarray, bit_depth: int) -> np.ndarray:
    if array.ndim != 2 and array.shape[2:] != (3,):
        raise ValueError(f"an image is (H, W) or (H, W, 3), shape {array.shape} given")
    dtype = np.dtype({8: "uint8", 16: "uint16"}[bit_depth])
    if array.dtype == dtype:
        return array
    if not np.issubdtype(array.dtype, np.floating) or not np.isfinite(array).all():
        raise ValueError(f"{bit_depth}-bit pixels come from finite floats or {dtype.name}, not {array.dtype}")
    pixels: np.ndarray = np.floor(array.clip(0, 1) * ((1 << bit_depth) - 1) + 0.5).astype(dtype)
    return pixels


def _decode(image: PIL.Image.Image, data: bytes, name: object) -> tuple[np.ndarray, ImageInfo]:
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # MPO: a photograph with previews behind it
    if frames > 1:
        raise ImageError(name, "unsupported", f"holds {frames} frames or pages: keep one")
    bits, mode = _bit_depth(image, data), image.mode
    orientation = 1 if image.format == "TIFF" else _orientation(image)  # both decoders turn TIFF themselves
    inverted = mode.startswith("I;16") and _tags(image).get(_PHOTOMETRIC) == 0
    if image.format == "TIFF" and _tiff_data_end(image) > len(data):  # libtiff would print about it
        raise ImageError(name, "truncated", _DAMAGED)
    if _SIGNED in _tags(image).get(_SAMPLE_FORMAT, ()):
        raise ImageError(name, "unsupported", "holds signed pixels of no fixed range: save as 8 or 16-bit grey or RGB")
    image.load()
    pixels = _pixels(image, bits, data, name)
    if inverted:  # white is zero: Pillow turns that round for 8 bits only
        pixels = 1 - pixels
    pixels = np.ascontiguousarray(_UPRIGHT.get(orientation, np.asarray)(pixels))
    low, high, channels = float(pixels.min()), float(pixels.max()), 3 if pixels.ndim == 3 else 1
    height, width = pixels.shape[:2]
    return pixels, ImageInfo(height, width, channels, bits, mode, low, high, _dropped(image))


def _dropped(image: PIL.Image.Image) -> float:
    """How far a channel that is not used is more than a mask, which shows or hides: a second image is."""
    if _tags(image).get(_SAMPLES, 1) > len(image.getbands()):
        return 1.0
    if "A" not in image.getbands():
        return 0.0
    alpha = np.asarray(image.getchannel("A"))
    return float(((alpha > 0) & (alpha < 255)).mean())


def _pixels(image: PIL.Image.Image, bits: int, data: bytes, name: object) -> np.ndarray:
    """Pixels in [0, 1] as stored, grey or RGB."""
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.float32) / ((1 << bits) - 1)
    if image.format == "PPM" and image.mode == "I":  # scaled by Pillow
        return np.asarray(image).astype(np.float32) / 65535
    if image.mode == "F":
        return _unit_floats(np.asarray(image), name)
    if image.mode in ("I", "LAB"):
        raise ImageError(name, "unsupported", "holds pixels of no fixed range: save as 8 or 16-bit grey or RGB")
    shallow = np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
    if bits != 16:
        return shallow.astype(np.float32) / 255
    deep = _deep_levels(shallow, data, name).astype(np.float32) / 65535
    return deep[..., 0] if data.startswith(_PNG) and data[25] == _GREY_ALPHA else deep


def _unit_floats(pixels: np.ndarray, name: object) -> np.ndarray:
    low, high = pixels.min(), pixels.max()
    if not (0 <= low and high <= 1):  # a NaN fails both
        raise ImageError(name, "unsupported", f"holds floats from {low:g} to {high:g}: scale them to 0..1")
    return pixels.astype(np.float32)


def _deep_levels(shallow: np.ndarray, data: bytes, name: object) -> np.ndarray:
    """Decode 16-bit colour, checked against the 8-bit version: OpenCV misreads some TIFF layouts without a word."""
    if data.startswith(_PNG):  # libpng prints about odd profiles and text, which are ancillary (lower-case) chunks
        data = _PNG + b"".join(chunk for kind, chunk in _png_chunks(data) if kind[:1].isupper())
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is not None and found.ndim == 3 and found.dtype == np.uint16:
        deep: np.ndarray = found[..., 2::-1]
        if np.array_equal(deep >> 8, shallow):
            return deep
    raise ImageError(name, "unsupported", "holds 16-bit colour in a layout that is not read: save as 16-bit PNG")


def _bit_depth(image: PIL.Image.Image, data: bytes) -> int:
    if image.format == "TIFF":
        return int(max(_tags(image).get(_BITS_PER_SAMPLE, (1,))))
    if image.format == "PPM" and (found := _NETPBM_HEAD.match(data)):
        return 16 if int(found[1]) > 255 else 8
    if image.format == "PNG":
        return 16 if data[24] == 16 else 1 if image.mode == "1" else 8
    return 8


def _orientation(image: PIL.Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF: the pixels are still good
        return 1


def _is_whole(data: bytes) -> bool:
    """False when the container lacks a part; Pillow accepts what breaks off after the last row."""
    if data.startswith(_PNG):
        return any(kind == b"IEND" for kind, _ in _png_chunks(data))
    if data.startswith(_JPEG):
        return _jpeg_is_whole(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return 8 + int.from_bytes(data[4:8], "little") <= len(data)
    if data.startswith(_CLASSIC_TIFF):
        return _tiff_is_whole(data)
    return not (_PNG.startswith(data) or _JPEG.startswith(data))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (kind, whole chunk) up to the first that is cut or fails its checksum."""
    start = len(_PNG)
    while start + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        chunk = data[start : start + 12 + length]
        if len(chunk) < 12 + length or zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:]):
            return
        yield kind, chunk
        start += len(chunk)


def _jpeg_is_whole(data: bytes) -> bool:
    """Walk the segments to the end mark; searching for it would find that of an embedded preview."""
    position = 2
    while marker := _JPEG_MARKER.search(data, position):
        if marker[1] == b"\xd9":
            return True
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])
    return False


def _tiff_is_whole(data: bytes) -> bool:
    """Check that the first directory, and what its public entries point to, lie inside the file."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        start = struct.unpack_from(order + "I", data, 4)[0]
        count = struct.unpack_from(order + "H", data, start)[0]
        for n in range(count):
            tag, kind, number, offset = struct.unpack_from(order + "HHII", data, start + 2 + 12 * n)
            size = number * _TIFF_SIZES.get(kind, 1)
            if tag < 32768 and size > 4 and offset + size > len(data):
                return False
    except struct.error:
        return False
    return True


def _tags(image: PIL.Image.Image) -> Mapping[int, Any]:
    """Those of a TIFF; none of another file."""
    return image.tag_v2 if isinstance(image, PIL.TiffImagePlugin.TiffImageFile) else {}


def _tiff_data_end(image: PIL.Image.Image) -> int:
    tags = _tags(image)
    parts = (zip(tags.get(at, ()), tags.get(size, ()), strict=False) for at, size in _TIFF_DATA)
    return max((offset + length for part in parts for offset, length in part), default=0)


def _unidentified(data: bytes, name: object) -> ImageError:
    if data.startswith(_GIF):
        return ImageError(name, "truncated", _DAMAGED)
    if data.startswith((_PNG, _JPEG, *_CLASSIC_TIFF, *_OTHER_KINDS)):
        return ImageError(name, "unsupported", "is an image of a kind that is not read: save as 8 or 16-bit PNG")
    return ImageError(name, "not_an_image", "is no image file: remove it, or save the image again")
