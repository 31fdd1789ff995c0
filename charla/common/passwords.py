"""Passwords: one that a server asks for, and the throttle that slows down whoever guesses.

No password is ever in a record, an error or a repr.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
import threading
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from charla.i18n import N_, LazyText, system_words
from charla.protocol.greeting import is_native
from charla.protocol.nicks import LEAVE_WORDS
from charla.protocol.text import clean

MAX_PASSWORD = 1000
"""Bytes of UTF-8 in a password: it goes over the wire in one line."""

FIRST_DELAY = 0.5
"""Seconds between a wrong password and the next attempt from there; doubled with each wrong one."""

LONGEST_DELAY = 8.0
"""Seconds without an attempt after a wrong one, at the most."""

FORGET_AFTER = 600.0
"""Seconds after the last wrong password in which an origin is treated as a stranger again."""

MAX_ORIGINS = 10_000
"""Origins whose wrong passwords are remembered; with more, those are forgotten that failed longest ago."""


class PasswordError(Exception):
    """A password that cannot be used; its text, a `LazyText`, is a sentence without the password in it."""

    def __init__(self, template: str, **fields: object) -> None:
        super().__init__(LazyText(template, **fields))


class Password:
    """A secret that can be compared with what somebody typed.  Immutable: any thread.

    PasswordError when it is empty, longer than MAX_PASSWORD bytes, or nothing that can be typed.
    Compared in Unicode's form NFC, as RFC 8265 (4.2) has it: not every keyboard makes an accent in the
    same way.  Spaces count, also at its ends.
    """

    def __init__(self, text: str) -> None:
        problem = _problem(text)
        if problem:
            raise PasswordError(N_("the password {problem}"), problem=problem)
        self._text = text
        self._digest = _digest(text)

    @classmethod
    def read(cls, path: str, warn: Callable[[LazyText], None] | None = None) -> Password:
        """Return the password in the first line of a file; PasswordError when there is none to be had.

        `warn` tells people when others can read the file, too; without it that is recorded.
        """
        try:
            with open(path, "rb") as file:
                status = os.fstat(file.fileno())
                line = file.readline(MAX_PASSWORD + 10)  # longer is too long, whatever comes
        except FileNotFoundError:
            words = N_("there is no password file '{path}': make it, with one line")
            raise PasswordError(words, path=path) from None
        except (OSError, ValueError) as error:
            reason = system_words(error) if isinstance(error, OSError) else error
            words = N_("the password file '{path}' cannot be read: {reason}")
            raise PasswordError(words, path=path, reason=reason) from None
        try:
            # Some editors begin a file with a byte order mark, which nobody types.
            text = line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8-sig")
        except UnicodeDecodeError:
            if len(line) <= MAX_PASSWORD:  # a longer one may have been cut inside a character
                words = N_("the password in '{path}' is not UTF-8: save it as such")
                raise PasswordError(words, path=path) from None
            text = "x" * len(line)
        problem = _problem(text)
        if problem:
            raise PasswordError(N_("the password in '{path}' {problem}"), path=path, problem=problem)
        # systemd keeps credentials in a folder that is the service's alone, with an ACL: that shows as 0440.
        alone = os.path.dirname(path) == os.environ.get("CREDENTIALS_DIRECTORY")
        # On Windows these bits say nothing about who can read it.
        if os.name == "posix" and stat.S_ISREG(status.st_mode) and status.st_mode & 0o077 and not alone:
            words = N_("others on this machine can use the password file '{path}': chmod 600 it")
            if warn is None:
                import logging  # not at the start of every client: that takes 4 ms

                warn = logging.getLogger("charla").warning
            warn(LazyText(words, path=path))
        return cls(text)

    def matches(self, typed: str) -> bool:
        """Say whether `typed` is the password; takes the same time whatever the two have in common."""
        if len(typed) > MAX_PASSWORD:  # to normalise kilobytes of accents takes long
            return False
        return hmac.compare_digest(_digest(typed), self._digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Password) and self.matches(other.reveal())

    def __hash__(self) -> int:
        return hash(self._digest)

    def reveal(self) -> str:
        """Return the password itself: for a client, which has to send it."""
        return self._text

    def __repr__(self) -> str:
        return "Password(***)"


def _digest(text: str) -> bytes:
    """Return 32 bytes for any text: digests have one length, so a comparison shows none."""
    return hashlib.sha256(unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass")).digest()


def _problem(text: str) -> LazyText | None:
    """Return what is wrong with a password, and what to do; None when nothing is."""
    if not text:
        return LazyText(N_("is empty: give one, or do not ask for one"))
    try:
        size = len(text.encode())
    except UnicodeEncodeError:  # how Python holds bytes of the environment that are not UTF-8
        return LazyText(N_("is not UTF-8: choose other characters"))
    if size > MAX_PASSWORD:
        return LazyText(N_("is longer than {most} bytes: choose a shorter one"), most=MAX_PASSWORD)
    if clean(text) != text or "\n" in text:
        return LazyText(N_("holds characters that cannot be typed: choose another one"))
    if text.strip().lower().removeprefix("/") in LEAVE_WORDS or is_native(text):
        return LazyText(N_("is a word that the chat takes for a command: choose another one"))
    return None


@dataclass(slots=True)
class _Suspect:
    wrong: int  # how many were
    wrong_at: float  # when the last one was
    next_at: float  # before that nothing more from there is judged


class GuessThrottle:
    """Slows down who guesses: after n wrong ones nothing from there is judged for min(8, 0.5 x 2^(n-1)) s.

    Nobody reserves anything: of those that wait, the first to ask again is judged; a wrong one has the
    others wait on, a right one does not.  Each password has a throttle of its own: who knows one could undo
    the other's count.  Shared by all readers.  Its lock is a leaf: under it no other lock is taken, and
    nothing is read, written or recorded.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # guards `_suspects`: every reader comes here
        self._suspects: dict[str, _Suspect] = {}  # who failed longest ago comes first

    def judge(self, origin: str, right: bool) -> float:
        """Judge an attempt from `origin` that is `right`, or not: return 0, or how many seconds later to ask.

        It counts, and may be answered, only when this returns 0.  A right one makes up for one wrong one, and
        not for all of them: who guesses may share an address with many who know.
        """
        with self._lock:
            now = self._clock()
            self._forget(now)
            suspect = self._suspects.get(origin)
            if suspect is not None and now < suspect.next_at:
                return suspect.next_at - now
            if not right:
                wrong = 1 if suspect is None else suspect.wrong + 1
                self._suspects.pop(origin, None)
                self._suspects[origin] = _Suspect(wrong, now, now + _spacing(wrong))
                if len(self._suspects) > MAX_ORIGINS:
                    del self._suspects[next(iter(self._suspects))]
            elif suspect is not None:
                suspect.wrong -= 1
                if not suspect.wrong:
                    del self._suspects[origin]
            return 0.0

    def _forget(self, now: float) -> None:
        while self._suspects:
            oldest = next(iter(self._suspects))
            if now - self._suspects[oldest].wrong_at < FORGET_AFTER:
                return
            del self._suspects[oldest]


def _spacing(wrong: int) -> float:
    return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(wrong - 1, 20))
