"""Whom to trust: which certificate the server at a host and port may show.

Three ways, all with one method: somebody vouches for it (`Authority`), it is known beforehand (`Pinned`), or
it is remembered from the first time, as ssh does it (`FirstUse`, with `KnownHosts`).  No sockets.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_LINE = re.compile(r"(\[\S+\]:[0-9]{1,5}) (SHA256:(?:[0-9A-F]{2}:){31}[0-9A-F]{2})")


class Distrusted(Exception):
    """The server is not to be talked to: it may not be the one it should be.  `lines` are for people."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class Trust(Protocol):
    """What decides about the certificate of a server."""

    ca: str | None
    """File of certificates that vouch for the server's, checked by TLS itself; None: only `judge` decides."""

    def judge(self, fingerprint: str) -> list[str]:
        """Accept the certificate with this fingerprint, or raise Distrusted; return what to tell about it."""


class Authority:
    """Trust what the certificates in a file vouch for: TLS itself checks that, and the host's name."""

    def __init__(self, ca: str) -> None:
        self.ca: str | None = ca

    def judge(self, fingerprint: str) -> list[str]:  # noqa: ARG002 - any that has come so far
        return []


class Pinned:
    """Trust one certificate and no other."""

    ca: str | None = None

    def __init__(self, where: str, fingerprint: str) -> None:
        """`where` is the server, for people; `fingerprint` as of `read_fingerprint`."""
        self._where = where
        self._fingerprint = fingerprint

    def judge(self, fingerprint: str) -> list[str]:
        if fingerprint != self._fingerprint:
            raise Distrusted(
                f"WARNING: {self._where} DOES NOT HAVE THE CERTIFICATE OF --tls-fingerprint.",
                f"    expected:  {self._fingerprint}",
                f"    shown now: {fingerprint}",
                "Somebody may be between you and the server, or it has a new certificate: ask who runs it. "
                "Nothing was sent.",
            )
        return []


class FirstUse:
    """Trust the certificate that the server showed the first time, and no other from then on."""

    ca: str | None = None

    def __init__(self, host: str, port: int, known_hosts: KnownHosts | None = None) -> None:
        """`known_hosts`: what is remembered; None: in the user's configuration folder."""
        self._host = f"[{host.lower()}]:{port}"
        self._known_hosts = known_hosts
        self._seen = ""  # what this process has accepted: it holds, whatever happens to the file

    def judge(self, fingerprint: str) -> list[str]:
        if fingerprint == self._seen:
            return []
        known_hosts = self._known_hosts or KnownHosts(known_hosts_path(os.environ))
        if self._seen:
            raise known_hosts.changed(self._host, self._seen, fingerprint)
        new = known_hosts.meet(self._host, fingerprint)
        self._seen = fingerprint
        if not new:
            return []
        return [
            f"This is the first time that you connect to {self._host} with TLS. Its certificate is",
            f"    {fingerprint}",
            "That is remembered from now on: compare it with what the server printed when it was started.",
        ]


class KnownHosts:
    """The file of the certificates that are remembered: a line for each server, `[host]:port SHA256:...`.

    Blank lines and those that begin with # do not count.  Of two for one server the first counts.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def meet(self, host: str, fingerprint: str) -> bool:
        """Compare with what is remembered of `host` ([name]:port), or remember it; say whether it is new.

        Distrusted when it is another one, or when the file cannot be used: nothing is trusted silently.
        """
        try:
            known = self._find(host)
            if known is None:
                known = self._add(host, fingerprint)
        except OSError as error:
            raise Distrusted(
                f"The certificate of {host} could not be looked up or remembered in {self._path}: "
                f"{error.strerror}.",
                "So the server is not trusted. Repair that, or give the fingerprint that the server printed "
                "when it was started with --tls-fingerprint. It shows now:",
                f"    {fingerprint}",
            ) from None
        if known is not None and known != fingerprint:
            raise self.changed(host, known, fingerprint)
        return known is None

    def changed(self, host: str, known: str, fingerprint: str) -> Distrusted:
        """Return what tells that `host` has another certificate than the one that is `known`."""
        cure = "connect again"
        with contextlib.suppress(OSError, Distrusted):
            for number, line in enumerate(self._lines(), 1):
                if line == f"{host} {known}":
                    cure = f"delete line {number} of {self._path}, and connect again"
        return Distrusted(
            f"WARNING: THE CERTIFICATE OF {host} HAS CHANGED.",
            f"    remembered: {known}",
            f"    shown now:  {fingerprint}",
            "Somebody may be between you and the server, to read and to change what is said; or the server "
            "has a new certificate. Nothing was sent.",
            "Ask who runs the server, and not in this chat, which one is right. "
            f"If it is the new one, {cure}.",
        )

    def _find(self, host: str) -> str | None:
        """Return the fingerprint that is remembered of `host`, if one is."""
        with contextlib.suppress(FileNotFoundError):
            return _find(host, self._lines())
        return None

    def _lines(self) -> list[str]:
        return self._split(self._path.read_bytes())

    def _split(self, data: bytes) -> list[str]:
        """Return the lines of the file's content; Distrusted for the first that is none of ours."""
        lines = [line.removesuffix("\r") for line in data.decode(errors="replace").split("\n")]
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.startswith("#") and not _LINE.fullmatch(line):
                raise Distrusted(
                    f"Line {number} of {self._path} is damaged: it is not like [host]:port SHA256:AB:CD:...",
                    "So nobody can say whether the server is the right one. Delete that line (if it was of "
                    "this server, you will be shown its certificate as if for the first time).",
                )
        return lines

    def _add(self, host: str, fingerprint: str) -> str | None:
        """Remember `host`, unless another client was faster: return what that has remembered.

        One write at the end of the file, and a lock where there is one: no client loses another's line.
        """
        os.makedirs(self._path.parent, mode=0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        with open(os.open(self._path, flags, 0o600), "r+b", buffering=0) as file:
            if fcntl is not None:
                with contextlib.suppress(OSError):  # some network file systems have none
                    fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
            before = file.readall()
            known = _find(host, self._split(before))
            if known is None:
                added = f"{host} {fingerprint}"
                if not _LINE.fullmatch(added):
                    raise OSError(errno.EINVAL, "that name cannot be written in a line of it")
                newline = b"\n" if before and not before.endswith(b"\n") else b""
                line = newline + f"{added}\n".encode()
                if file.write(line) != len(line):
                    file.truncate(len(before))
                    raise OSError(errno.ENOSPC, "the disk is full")
            return known


def _find(host: str, lines: list[str]) -> str | None:
    matches = (_LINE.fullmatch(line) for line in lines)
    return next((match[2] for match in matches if match is not None and match[1] == host), None)


def known_hosts_path(environment: Mapping[str, str]) -> Path:
    """Return where certificates are remembered (XDG Base Directory Specification); Distrusted: nowhere."""
    folder = environment.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(folder):  # the specification: such a one is to be ignored
        folder = os.path.join(os.path.expanduser("~"), ".config")
    if not os.path.isabs(folder):
        raise Distrusted(
            "There is no home folder in which to remember the server's certificate: set XDG_CONFIG_HOME, "
            "or give the fingerprint that the server printed with --tls-fingerprint."
        )
    return Path(folder, "charla", "known_hosts")


def read_fingerprint(text: str) -> str:
    """Return a fingerprint as it was typed (SHA256: and colons are optional) in the form `tls.py` gives it.

    ValueError when it is none.
    """
    digits = re.sub(r"(?i)^sha-?256( fingerprint=|:|=)", "", text.strip()).replace(":", "")
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", digits):
        raise ValueError(text)
    return "SHA256:" + bytes.fromhex(digits).hex(":").upper()
