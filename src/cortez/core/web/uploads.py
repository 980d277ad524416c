"""Uploads: a multipart body is read as it comes, its one file straight to disk, before any connection is taken."""

import asyncio
import hashlib
import os
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from litestar.types import Receive
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from cortez.core.web.request_body import Body
from cortez.errors import CortezError, Invalid, TooLarge

MEDIA = "multipart/form-data"
MAX_FIELD = 10_000  # bytes of a field that is no file
MAX_FIELDS = 10
OVERHEAD = 20_000  # bytes of a body beside the file


class Upload:
    """One file on its way: where it lies, its size and digest, and the fields beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.filename = ""
        self.size = 0
        self.digest = hashlib.sha256()
        self.fields: dict[str, str] = {}
        self.found = False

    @property
    def sha256(self) -> str:
        return self.digest.hexdigest()

    def fingerprint(self) -> bytes:
        """The same for the same file under the same name with the same fields, whatever the boundary."""
        return repr((self.sha256, self.filename, sorted(self.fields.items()))).encode()

    def discard(self) -> None:
        """Remove the file where nobody has taken it."""
        self.path.unlink(missing_ok=True)


class Reader:
    """Feeds the parser; the segment `file` goes to disk, the others into `fields`."""

    def __init__(self, upload: Upload, file: BinaryIO, boundary: str, limit: int) -> None:
        self.upload, self.file, self.limit = upload, file, limit
        self.parser = PushMultipartParser(boundary, max_segment_count=MAX_FIELDS, strict=True)
        self.segment: MultipartSegment | None = None
        self.text = bytearray()

    def feed(self, chunk: bytes) -> None:
        for event in self.parser.parse(chunk):
            if isinstance(event, MultipartSegment):
                self._begin(event)
            elif event is None:
                self._end()
            else:
                self._add(bytes(event))

    def _begin(self, segment: MultipartSegment) -> None:
        self.segment, self.text = segment, bytearray()
        if segment.filename is None:
            return
        if segment.name != "file" or self.upload.found:
            raise Invalid("UPLOAD_INVALID", "Send one file, in the part named file.")
        self.upload.found, self.upload.filename = True, segment.filename

    def _add(self, data: bytes) -> None:
        if self.segment and self.segment.filename is not None:
            self.upload.size += len(data)
            if self.upload.size > self.limit:
                raise TooLarge(None, f"A file may have at most {self.limit} bytes.")
            self.upload.digest.update(data)
            self.file.write(data)
            return
        self.text += data
        if len(self.text) > MAX_FIELD:
            raise TooLarge(None, f"A field may have at most {MAX_FIELD} bytes.")

    def _end(self) -> None:
        if self.segment and self.segment.filename is None:
            try:
                self.upload.fields[self.segment.name] = self.text.decode()
            except UnicodeDecodeError:
                raise Invalid.at(f"/{self.segment.name}", "The field is not UTF-8.") from None


def boundary_of(content_type: str) -> str:
    """Raises Invalid where the header names none."""
    boundary = parse_options_header(content_type)[1].get("boundary", "")
    if not 1 <= len(boundary) <= 200:
        raise Invalid("UPLOAD_INVALID", "The Content-Type of a multipart body names its boundary.")
    return str(boundary)


async def receive_upload(
    content_type: str, receive: Receive, folder: Path, limit: int, seconds: float
) -> Upload | None:
    """The upload, complete on disk; None where the client has gone.

    Raises TooLarge, TooSlow (`Body`), or Invalid where it is no upload.
    """
    boundary = boundary_of(content_type)
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    upload = Upload(folder / uuid4().hex)
    try:
        with upload.path.open("xb") as file:
            complete = await _drain(Body(receive, seconds), Reader(upload, file, boundary, limit))
            await asyncio.to_thread(_settle, file)
        if complete and not upload.found:
            raise Invalid("UPLOAD_INVALID", "Send one file, in the part named file.")
    except MultipartError as error:
        upload.discard()
        raise CortezError("MALFORMED_MULTIPART", f"The body is no multipart form: {error}.") from None
    except BaseException:
        upload.discard()
        raise
    if complete:
        return upload
    upload.discard()
    return None


def _settle(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


async def _drain(body: Body, reader: Reader) -> bool:
    """False where the client has gone. Raises TooLarge already by what the whole body has."""
    while not body.is_complete:
        chunk = await body.next_chunk()
        if chunk is None:
            return False
        if body.size > reader.limit + OVERHEAD:
            raise TooLarge(None, f"A file may have at most {reader.limit} bytes.")
        if chunk:
            reader.feed(chunk)
    reader.parser.close()
    return True
