"""What a dialect is: a codec between messages and bytes."""

from __future__ import annotations

from typing import Protocol

from charla.protocol.commands import Command
from charla.protocol.messages import Message


class Dialect(Protocol):
    """A codec for one kind of client.  Stateless: one instance serves every connection."""

    name: str

    def encode(self, message: Message, own: bool = False) -> bytes:
        """Return the bytes that tell `message`: whole lines, or b"" where this dialect tells nothing.

        `own` is for the copy of the one whose command caused the event.
        """

    def decode_command(self, line: str) -> Command | None:
        """Return what a line of a client asks for, None for nothing at all; raises Refused."""
