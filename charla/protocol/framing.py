"""Framing: a stream of bytes <-> lines of text.  No I/O, no thread."""

from __future__ import annotations

from charla.protocol.text import MAX_LINE, MAX_TEXT, Refused


class LineFramer:
    """Cuts a stream of bytes into lines; what comes out does not depend on how TCP sliced it."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._rest = b""  # a line's beginning, never longer than the limit
        self._skipping = False  # inside an over-long line that has been reported

    @property
    def skipping(self) -> bool:
        """Whether the stream stands inside an over-long line that has been reported."""
        return self._skipping

    @property
    def unfinished(self) -> bool:
        """Whether the stream stands in the middle of a line that nobody has been told of."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[bytes | None]:
        """Return the lines that `data` completes, without LF or CR LF; None stands for an over-long one.

        A line of more than `limit` bytes is reported once, as soon as it is too long, and skipped up
        to its LF: memory stays bounded by `limit`, whatever comes.
        """
        if self._skipping:
            _, newline, data = data.partition(b"\n")
            if not newline:
                return []
            self._skipping = False
        pieces = (self._rest + data).split(b"\n")
        self._rest = pieces.pop()
        lines: list[bytes | None] = [
            None if len(piece) > self._limit else piece[:-1] if piece.endswith(b"\r") else piece
            for piece in pieces
        ]
        if len(self._rest) > self._limit:
            lines.append(None)
            self._rest = b""
            self._skipping = True
        return lines


def decode_line(line: bytes | None) -> str:
    """Return the text of a line from LineFramer; Refused when it was too long or is not UTF-8."""
    if line is None:
        raise Refused("too-long", str(MAX_TEXT))
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise Refused("not-utf8") from None
