"""Forms with a file (ファイルのあるフォーム): ``multipart/form-data`` as it comes, never whole in memory. What else
the form says stands before the file; what stands behind it is not looked at."""

from collections.abc import AsyncGenerator, AsyncIterator

from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from runtime.incoming import CutOff, Incoming
from services.console.forms import Form, Http

_MOST_BEFORE = 64 * 1024
"""Bytes of the fields before the file."""
_MOST_PARTS = 20


class Upload:
    """``body``: what comes. ``name`` and ``media_type`` of the file, as the browser says; no name where
    none was chosen. To be ``begin``-ned before anything else."""

    def __init__(self, request: Http) -> None:
        self.body = Incoming(request)
        self.name = ""
        self.media_type = ""
        _, options = parse_options_header(request.headers.get("content-type", ""))
        self._boundary = options.get("boundary", "")
        self._events = self._parsed()
        self._at_file = False

    async def begin(self) -> Form:
        """What stands before the file. Raises ValueError (no such form), CutOff."""
        fields: list[tuple[str, str]] = []
        before = 0
        field: tuple[str, bytearray] | None = None
        async for event in self._events:
            if isinstance(event, MultipartSegment):
                if event.filename is not None:
                    self.name, self.media_type = event.filename, event.content_type or ""
                    self._at_file = True
                    break
                field = (event.name or "", bytearray())
            elif event is None and field is not None:
                fields.append((field[0], field[1].decode("utf-8", "replace")))
            elif event is not None and field is not None:
                before += len(event)
                if before > _MOST_BEFORE:
                    raise ValueError("more before the file than any form of ours has")
                field[1].extend(event)
        return Form([(name, value.replace("\r\n", "\n")) for name, value in fields])

    async def chunks(self) -> AsyncIterator[bytes]:
        """The file. Raises CutOff, also where it has no proper end."""
        if not self._at_file:
            return
        try:
            async for event in self._events:
                if event is None:
                    return
                if not isinstance(event, MultipartSegment):
                    yield bytes(event)
        except MultipartError as error:
            raise CutOff from error
        raise CutOff

    async def _parsed(
        self,
    ) -> AsyncGenerator[MultipartSegment | bytes | bytearray | None, None]:
        parser = PushMultipartParser(self._boundary, max_segment_count=_MOST_PARTS)
        async for chunk in self.body.chunks():
            if chunk:
                for event in parser.parse(chunk):
                    yield event
        parser.close()
