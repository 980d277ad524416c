"""Which files are taken: told by their content, and what the name says must agree with it."""

import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import msgspec

from cortez.errors import Invalid

MAX_NOTEBOOK = 20_000_000
TEXT_PROBE = 1_000_000
END_OF_ZIP = 22  # bytes of an archive's last record, which has no comment behind it


class Kind(NamedTuple):
    """A file type: its extension, media type, and whether a file is of it."""

    extension: str
    mime_type: str
    holds: Callable[[Path], bool]


def starts(*signatures: bytes, ends: bytes = b"") -> Callable[[Path], bool]:
    """A signature at the start and, so that nothing is hidden behind the end, one there too."""

    def check(path: Path) -> bool:
        with path.open("rb") as file:
            head = file.read(16)
            file.seek(-min(len(ends) or 1, path.stat().st_size), 2)
            tail = file.read()
        return head.startswith(signatures) and (not ends or tail == ends)

    return check


def is_pdf(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(5)
        file.seek(-min(1024, path.stat().st_size), 2)
        tail = file.read()
    return head == b"%PDF-" and tail.rstrip().endswith(b"%%EOF")


def is_webp(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(12)
    size = int.from_bytes(head[4:8], "little") + 8
    return head[:4] == b"RIFF" and head[8:] == b"WEBP" and abs(path.stat().st_size - size) <= 1


def holding(member: str) -> Callable[[Path], bool]:
    """A zip archive from its first byte to its last, with this member (or folder) in it."""

    def check(path: Path) -> bool:
        with path.open("rb") as file:
            head = file.read(2)
            file.seek(-min(END_OF_ZIP, path.stat().st_size), 2)
            tail = file.read()
        if head != b"PK" or not tail.startswith(b"PK\x05\x06"):
            return False
        try:
            with zipfile.ZipFile(path) as archive:
                return any(name.startswith(member) for name in archive.namelist())
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            return False  # not a readable zip archive, so not a file of this type; the upload is refused

    return check


def is_text(path: Path) -> bool:
    """UTF-8 without control characters but tabs and line ends."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            while part := file.read(TEXT_PROBE):
                if any(ord(one) < 32 and one not in "\t\n\r\f" for one in set(part)):
                    return False
    except UnicodeDecodeError:
        return False
    return True


class Notebook(msgspec.Struct):
    """As little of a notebook as tells one; its cells are checked to be JSON and not built up in memory."""

    cells: list[msgspec.Raw]


def is_notebook(path: Path) -> bool:
    if path.stat().st_size > MAX_NOTEBOOK or not is_text(path):
        return False
    try:
        msgspec.json.decode(path.read_bytes(), type=Notebook)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


OFFICE = "application/vnd.openxmlformats-officedocument."
OPEN = "application/vnd.oasis.opendocument."
SOURCES = "py java kt js ts c h cpp hpp cs go rs rb php swift scala hs sql r m sh toml yaml yml json xml css tex"

KINDS = {
    kind.extension: kind
    for kind in (
        Kind("pdf", "application/pdf", is_pdf),
        Kind("png", "image/png", starts(b"\x89PNG\r\n\x1a\n", ends=b"IEND\xaeB`\x82")),
        Kind("jpg", "image/jpeg", starts(b"\xff\xd8\xff", ends=b"\xff\xd9")),
        Kind("jpeg", "image/jpeg", starts(b"\xff\xd8\xff", ends=b"\xff\xd9")),
        Kind("gif", "image/gif", starts(b"GIF87a", b"GIF89a", ends=b";")),
        Kind("webp", "image/webp", is_webp),
        Kind("docx", f"{OFFICE}wordprocessingml.document", holding("word/")),
        Kind("xlsx", f"{OFFICE}spreadsheetml.sheet", holding("xl/")),
        Kind("pptx", f"{OFFICE}presentationml.presentation", holding("ppt/")),
        Kind("odt", f"{OPEN}text", holding("content.xml")),
        Kind("ods", f"{OPEN}spreadsheet", holding("content.xml")),
        Kind("odp", f"{OPEN}presentation", holding("content.xml")),
        Kind("zip", "application/zip", holding("")),
        Kind("ipynb", "application/x-ipynb+json", is_notebook),
        Kind("csv", "text/csv", is_text),
        Kind("md", "text/markdown", is_text),
        *(Kind(extension, "text/plain", is_text) for extension in ("txt", *SOURCES.split())),
    )
}


def safe_name(given: str) -> str:
    """The last part of a file name, without anything that a path or a header could stumble on. Raises Invalid."""
    name = PurePosixPath(given.replace("\\", "/")).name
    name = "".join(one for one in name if one.isprintable()).strip().strip(".")
    if not name:
        raise Invalid.at("/file", "The file needs a name.", "FILE_NAME_INVALID")
    return name if len(name) <= 255 else name[-255:]


def extension_of(name: str, path: Path) -> str:
    """Of the type that name and content agree on, one of KINDS. Raises Invalid (FILE_TYPE_NOT_ALLOWED)."""
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    kind = KINDS.get(extension)
    if kind is None:
        raise Invalid.at("/file", f"Files of this type are not taken; use one of: {', '.join(KINDS)}.", REFUSED)
    if path.stat().st_size == 0 or not kind.holds(path):
        raise Invalid.at("/file", f"The content is not that of a {extension} file.", REFUSED)
    return extension


REFUSED = "FILE_TYPE_NOT_ALLOWED"
