"""Whom to trust: which certificate the server at a host and port may show.

Three ways, all with one method: somebody vouches for it (`Authority`), it is known beforehand (`Pinned`), or
it is remembered from the first time, as ssh does it (`FirstUse`, with `KnownHosts`).  No sockets.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import ipaddress
import os
import re
import stat
import time
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Protocol

from charla.i18n import N_, _, system_words

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

LOCK_TIME = 5.0
"""Seconds that another program may keep the file locked."""

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

    def knows_tls(self) -> bool:
        """Say whether this server is known to speak TLS: then plain text from it is not to be believed."""


class Authority:
    """Trust what the certificates in a file vouch for: TLS itself checks that, and the host's name."""

    def __init__(self, ca: str) -> None:
        self.ca: str | None = ca

    def judge(self, fingerprint: str) -> list[str]:  # noqa: ARG002 - any that has come so far
        return []

    def knows_tls(self) -> bool:
        return True


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
                _("WARNING: {where} DOES NOT HAVE THE CERTIFICATE OF --tls-fingerprint.").format(
                    where=self._where
                ),
                *_compared(_("expected:"), self._fingerprint, fingerprint),
                _(
                    "Somebody may be between you and the server, or it has a new certificate: ask who runs "
                    "it. Nothing was sent."
                ),
            )
        return []

    def knows_tls(self) -> bool:
        return True


class FirstUse:
    """Trust the certificate that the server showed the first time, and no other from then on."""

    ca: str | None = None

    def __init__(self, host: str, port: int, known_hosts: KnownHosts | None = None) -> None:
        """`known_hosts`: what is remembered; None: in the user's configuration folder."""
        self._host = f"[{_one_name(host)}]:{port}"
        self._known_hosts = known_hosts
        self._seen = ""  # what this process has accepted: it holds, whatever happens to the file

    def judge(self, fingerprint: str) -> list[str]:
        if fingerprint == self._seen:
            return []
        known_hosts = self._remembered()
        if self._seen:
            raise known_hosts.changed(self._host, self._seen, fingerprint)
        new = known_hosts.meet(self._host, fingerprint)
        self._seen = fingerprint
        if not new:
            return []
        return [
            _("This is the first time that you connect to {host} with TLS. Its certificate is").format(
                host=self._host
            ),
            f"    {fingerprint}",
            _("That is remembered from now on: compare it with what the server printed when it was started."),
        ]

    def knows_tls(self) -> bool:
        if self._seen:
            return True
        try:
            return self._remembered().has(self._host)
        except (Distrusted, OSError):  # nobody can say: then nobody is told to do without
            return True

    def _remembered(self) -> KnownHosts:
        return self._known_hosts or KnownHosts(known_hosts_path(os.environ))


def trust_of(options: argparse.Namespace) -> Trust | None:
    """Return whom the client's options trust; None without TLS."""
    if options.tls_ca is not None:
        return Authority(options.tls_ca)
    if options.tls_fingerprint is not None:
        where = _("{host}, port {port},").format(host=options.host, port=options.port)
        return Pinned(where, options.tls_fingerprint)
    return FirstUse(options.host, options.port) if options.tls else None


class KnownHosts:
    """The file of the certificates that are remembered: a line for each server, `[host]:port SHA256:...`.

    Blank lines, those that begin with #, and damaged ones of other servers do not count.  Of two for one
    server the first counts.
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
            path = os.path.realpath(error.filename or self._path)  # where a link leads to
            raise Distrusted(
                _(
                    "The certificate of {host} could not be looked up or remembered in {path}: {reason}."
                ).format(host=host, path=path, reason=system_words(error)),
                _(
                    "So the server is not trusted. Repair that, or give the fingerprint that the server "
                    "printed when it was started with --tls-fingerprint. It shows now:"
                ),
                f"    {fingerprint}",
            ) from None
        if known is not None and known != fingerprint:
            raise self.changed(host, known, fingerprint)
        return known is None

    def changed(self, host: str, known: str, fingerprint: str) -> Distrusted:
        """Return what tells that `host` has another certificate than the one that is `known`."""
        cure = _("If it is the new one, connect again.")
        with contextlib.suppress(OSError, Distrusted):
            for number, line in enumerate(self._lines(host), 1):
                if line == f"{host} {known}":
                    words = _("If it is the new one, delete line {number} of {path}, and connect again.")
                    cure = words.format(number=number, path=self._path)
        return Distrusted(
            _("WARNING: THE CERTIFICATE OF {host} HAS CHANGED.").format(host=host),
            *_compared(_("remembered:"), known, fingerprint),
            _(
                "Somebody may be between you and the server, to read and to change what is said; or the "
                "server has a new certificate. Nothing was sent."
            ),
            _("Ask who runs the server, and not in this chat, which one is right.") + f" {cure}",
        )

    def has(self, host: str) -> bool:
        """Say whether a certificate of `host` is remembered; OSError, Distrusted: nobody can say."""
        return self._find(host) is not None

    def _find(self, host: str) -> str | None:
        """Return the fingerprint that is remembered of `host`, if one is."""
        with contextlib.suppress(FileNotFoundError):
            return _find(host, self._lines(host))
        return None

    def _lines(self, host: str) -> list[str]:
        with open(self._open(os.O_RDONLY), "rb") as file:
            return self._split(file.read(), host)

    def _open(self, flags: int) -> int:
        """Open the file, which is to be one: to open a pipe, or to read it, would wait for somebody."""
        for name in ("O_CLOEXEC", "O_NONBLOCK", "O_BINARY"):  # each where there is one
            flags |= getattr(os, name, 0)
        descriptor = os.open(self._path, flags, 0o600)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, N_("that is no file"))
        return descriptor

    def _split(self, data: bytes, host: str) -> list[str]:
        """Return the lines of the file's content.

        Distrusted for the first that is damaged, and may be about `host`: it is no text, or names that.
        """
        lines = [line.removesuffix("\r") for line in data.decode("utf-8-sig", "replace").split("\n")]
        name = host[1 : host.rindex("]")]
        for number, line in enumerate(lines, 1):
            damaged = line.strip() and not line.startswith("#") and not _LINE.fullmatch(line)
            if damaged and (name in line.lower() or re.search("[\0-\x08\x0e-\x1f\ufffd]", line)):
                raise Distrusted(
                    _(
                        "Line {number} of {path} is damaged: it is not like [host]:port SHA256:AB:CD:..."
                    ).format(number=number, path=self._path),
                    _(
                        "So nobody can say whether the server is the right one. Delete that line (if it was "
                        "of this server, you will be shown its certificate as if for the first time)."
                    ),
                )
        return lines

    def _add(self, host: str, fingerprint: str) -> str | None:
        """Remember `host`, unless another client was faster: return what that has remembered.

        One write at the end of the file, and a lock where there is one: no client loses another's line.
        """
        os.makedirs(self._path.parent, mode=0o700, exist_ok=True)
        with open(self._open(os.O_RDWR | os.O_APPEND | os.O_CREAT), "r+b", buffering=0) as file:
            _lock(file)
            before = file.readall()
            known = _find(host, self._split(before, host))
            if known is None:
                added = f"{host} {fingerprint}"
                if not _LINE.fullmatch(added):
                    raise OSError(errno.EINVAL, N_("that name cannot be written in a line of it"))
                newline = b"\n" if before and not before.endswith(b"\n") else b""
                line = newline + f"{added}\n".encode()
                if file.write(line) != len(line):
                    file.truncate(len(before))
                    raise OSError(errno.ENOSPC, N_("the disk is full"))
                file.seek(0)  # without a lock another client may have been faster, with another certificate
                first = _find(host, self._split(file.readall(), host))
                known = None if first == fingerprint else first
            return known


def _compared(label: str, expected: str, shown: str) -> list[str]:
    """Return two fingerprints, one under the other, `label` before the first."""
    now = _("shown now:")
    width = max(len(label), len(now))
    return [f"    {label:<{width}} {expected}", f"    {now:<{width}} {shown}"]


def _lock(file: FileIO) -> None:
    """Lock a file until it is closed, where that is possible; OSError when others do not let go of it."""
    deadline = time.monotonic() + LOCK_TIME
    while fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise OSError(errno.EAGAIN, N_("another program keeps it locked")) from None
            time.sleep(0.01)
        except OSError:  # some network file systems have no locks
            return


def _one_name(host: str) -> str:
    """Return the one way to write a host's name, of several that lead to the same machine."""
    with contextlib.suppress(UnicodeError):  # a label too long, say: no such host will be found
        host = host.encode("idna").decode()
    name = host.lower().removesuffix(".")
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(name))
    return name


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
            _(
                "There is no home folder in which to remember the server's certificate: set XDG_CONFIG_HOME, "
                "or give the fingerprint that the server printed with --tls-fingerprint."
            )
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
