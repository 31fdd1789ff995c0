"""Who is here, as one client knows it: for Tab, for the prompt, for /r and /ignore.

The network thread tells what happens (`take`), the main thread asks: one lock guards it all.
"""

from __future__ import annotations

import threading

from charla.protocol.messages import (
    Acted,
    Crowd,
    Joined,
    Left,
    Message,
    Renamed,
    Said,
    Told,
    Welcome,
    WhoPage,
)
from charla.protocol.nicks import nick_key


class Roster:
    """The people of the room: their nicks, who spoke lately, who is ignored."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the rest; a leaf
        self._here: dict[str, str] = {}  # key of the nick -> nick
        self._all_known = False  # nobody is here who is not in it
        self._count = 0  # 0: not known
        self._spoke: dict[str, None] = {}  # keys of `_here`; who spoke last stands last
        self._wrote = ""  # who last wrote to us alone
        self._correspondent = ""  # the same, of what has been shown
        self._ignored: dict[str, str] = {}  # key -> nick
        # Key of a nick that somebody ignored has had -> their key now, and the id of the renaming.
        self._ignored_before: dict[str, tuple[str, int]] = {}

    # ---- network thread --------------------------------------------------------------------------

    def take(self, message: Message, me: str) -> None:
        """Take note of a message that came to `me`."""
        with self._lock:
            match message:
                case Welcome(id=id, people=people):
                    self._ignored_before = {  # the events of another server have other ids
                        had: (now, until) for had, (now, until) in self._ignored_before.items() if until <= id
                    }
                    self._here, self._spoke, self._all_known, self._count = {}, {}, False, people
                case WhoPage(_, _, pages, people, nicks):
                    self._know_page([nick.removeprefix("@") for nick in nicks], pages == 1, people)
                case Joined(nick=nick):
                    self._here[nick_key(nick)] = nick
                    self._count += 1 if self._count else 0
                case Left(nick=nick):
                    self._forget(nick_key(nick))
                    self._count -= 1 if self._count else 0
                case Renamed(id=id, old=old, nick=nick):
                    self._rename(old, nick, id)
                case Crowd(people=people):
                    self._all_known, self._count = False, people
                case Said(nick=nick) | Acted(nick=nick) if nick != me:
                    self._note_speaker(nick)
                case Told(nick=nick, to=to):
                    self._note_speaker(to if nick == me else nick)
                    if nick != me and nick_key(nick) not in self._ignored:
                        self._wrote = nick

    def missed(self) -> None:
        """Somebody may have come or gone without our being told."""
        with self._lock:
            self._all_known, self._count = False, 0

    def _know_page(self, nicks: list[str], complete: bool, people: int) -> None:
        page = {nick_key(nick): nick for nick in nicks}
        self._here = page if complete else self._here | page
        self._spoke = {key: None for key in self._spoke if key in self._here}
        self._all_known = self._all_known or complete
        self._count = people

    def _note_speaker(self, nick: str) -> None:
        key = nick_key(nick)
        self._here[key] = nick
        self._spoke.pop(key, None)
        self._spoke[key] = None

    def _forget(self, key: str) -> None:
        self._here.pop(key, None)
        self._spoke.pop(key, None)

    def _rename(self, old: str, nick: str, renaming: int) -> None:
        old_key, key = nick_key(old), nick_key(nick)
        spoke = old_key in self._spoke
        self._forget(old_key)
        self._here[key] = nick
        if spoke:
            self._spoke[key] = None
        self._wrote = nick if self._wrote == old else self._wrote
        self._correspondent = nick if self._correspondent == old else self._correspondent
        if self._ignored.pop(old_key, None):
            self._ignored[key] = nick
            self._ignored_before = {
                had: (key if now == old_key else now, until)
                for had, (now, until) in self._ignored_before.items()
            } | {old_key: (key, renaming)}

    # ---- any thread --------------------------------------------------------------------------------

    def count(self) -> int:
        """Return how many are here; 0: not known."""
        with self._lock:
            return self._count

    def find(self, nick: str) -> tuple[str, bool]:
        """Return the nick as its owner writes it, empty for nobody that we know of; and whether that is sure.

        It is not sure in a great room, of which we do not know everybody.
        """
        with self._lock:
            found = self._here.get(nick_key(nick), "")
            return found, bool(found) or self._all_known

    def beginning_with(self, text: str, me: str) -> list[str]:
        """Return the nicks of others that begin with `text`, in any case: recent speakers, then by name."""
        begin = nick_key(text)
        with self._lock:
            keys = [*reversed(self._spoke), *sorted(self._here.keys() - self._spoke.keys())]
            return [self._here[key] for key in keys if key.startswith(begin) and self._here[key] != me]

    def note_shown(self) -> None:
        """What has come is on the screen: who wrote last of that is our correspondent."""
        with self._lock:
            self._correspondent = self._wrote

    def correspondent(self) -> str:
        """Return whom /r answers; empty: nobody has written to us alone yet."""
        with self._lock:
            return self._correspondent

    def ignore(self, nick: str) -> str:
        """Ignore somebody, here or not; return the nick as its owner writes it, as far as that is known."""
        with self._lock:
            key = nick_key(nick)
            self._ignored[key] = self._here.get(key, nick)
            return self._ignored[key]

    def unignore(self, nick: str) -> str:
        """End that, also by a nick from before; return the nick, or nothing when that is not ignored."""
        with self._lock:
            key = nick_key(nick)
            if key not in self._ignored:
                key = self._ignored_before.get(key, ("", 0))[0]
            self._ignored_before = {
                had: (now, until) for had, (now, until) in self._ignored_before.items() if now != key
            }
            return self._ignored.pop(key, "")

    def ignored(self) -> list[str]:
        """Return who is ignored."""
        with self._lock:
            return list(self._ignored.values())

    def ignores(self, nick: str, event: int) -> bool:
        """Say whether the event of that id, something that `nick` said, is not to be shown.

        That has an answer also for events from before a renaming, which /history brings.
        """
        if not self._ignored:  # nearly always
            return False
        with self._lock:
            key = nick_key(nick)
            return key in self._ignored or event < self._ignored_before.get(key, ("", 0))[1]
