"""Whether a pack of git objects may be unpacked: measured first, since a few bytes can stand for gigabytes."""

import zlib

from cortez.errors import Invalid

MAX_OBJECTS = 100_000
MAX_OBJECT = 16_000_000
MAX_UNPACKED = 256_000_000
SLICE = 65_536
OFS_DELTA, REF_DELTA = 6, 7


def too_large(what: str) -> Invalid:
    return Invalid("BUNDLE_TOO_LARGE", f"{what}. Send a bundle of fewer commits, or the log as text/plain.")


def check_pack(pack: memoryview) -> None:
    """Raises Invalid (BUNDLE_TOO_LARGE) where the objects, or what their deltas make, are too many or too large.

    Raises ValueError, IndexError or zlib.error where this is no pack. Holds one object at a time.
    """
    if bytes(pack[:4]) != b"PACK":
        raise ValueError("there is no pack in it")
    count, place, total = int.from_bytes(pack[8:12], "big"), 12, 0
    if count > MAX_OBJECTS:
        raise too_large(f"The bundle has more than {MAX_OBJECTS} objects")
    for _ in range(count):
        kind = pack[place] >> 4 & 7
        size, place = _size(pack, place)
        if kind == OFS_DELTA:
            _, place = _number(pack, place)
        elif kind == REF_DELTA:
            place += 20
        _bound(size)
        data, place = _inflated(pack, place, size)
        total += size + (_result_size(data) if kind in (OFS_DELTA, REF_DELTA) else 0)
        if total > MAX_UNPACKED:
            raise too_large(f"The objects of the bundle have more than {MAX_UNPACKED} bytes, unpacked")


def _bound(size: int) -> None:
    if size > MAX_OBJECT:
        raise too_large(f"The bundle has an object of more than {MAX_OBJECT} bytes")


def _size(pack: memoryview, place: int) -> tuple[int, int]:
    """The declared size in an object's header, whose first byte also holds its kind; and where it ends."""
    first = pack[place]
    if not first & 0x80:
        return first & 0x0F, place + 1
    rest, place = _number(pack, place + 1)
    return rest << 4 | first & 0x0F, place


def _number(data: memoryview | bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    number, shift = 0, 0
    while True:
        byte = data[place]
        number |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not byte & 0x80:
            return number, place
        if shift > 63:
            raise ValueError("a number in it is too long")


def _inflated(pack: memoryview, place: int, size: int) -> tuple[bytes, int]:
    """The object at `place`, which must have `size` bytes, and where it ends."""
    inflater, data = zlib.decompressobj(), bytearray()
    while not inflater.eof:
        part = pack[place : place + SLICE]
        if not part:
            raise ValueError("it ends too early")
        data += inflater.decompress(part, size + 1 - len(data))
        if len(data) > size:
            raise ValueError("an object is larger than it says")
        place += len(part)
    return bytes(data), place - len(inflater.unused_data)


def _result_size(delta: bytes) -> int:
    """How large the object is that a delta makes."""
    _, place = _number(delta, 0)
    size, _ = _number(delta, place)
    _bound(size)
    return size
