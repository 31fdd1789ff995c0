"""The transcript: its lines, the disk that fails or hangs, and files that are renamed under it."""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from support import DEADLINE, eventually

from charla.protocol.messages import Acted, Event, Joined, Left, Moderated, Notice, Renamed, Said, Told
from charla.server.storage import transcript as transcript_module
from charla.server.storage.transcript import Transcript, TranscriptError

AT = 1795173002_123  # 2026-11-20T11:10:02.123Z

Write = Callable[[int, bytes], int]


def said(text: str, nick: str = "ana", at: int = AT) -> Said:
    return Said(1, at, 0, nick, text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "talk.txt"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(transcript_module, "RETRY_PAUSE", 0.01)
    caplog.set_level(logging.INFO, "charla")


class Disk:
    """Stands between the transcript and os.write: fails, hangs, or takes little, as told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._write: Write = os.write
        self.error = 0  # what every write fails with
        self.room: int | None = None  # bytes that are taken before it fails
        self.attempts = 0
        self.refused = threading.Event()
        self.open = threading.Event()  # writes go through
        self.open.set()
        self.reached = threading.Event()
        monkeypatch.setattr(os, "write", self.write)

    def write(self, file: int, data: bytes) -> int:
        self.attempts += 1
        self.reached.set()
        assert self.open.wait(DEADLINE)
        if self.room is not None:
            data = data[: self.room]
            self.room -= len(data)
        if self.error and (self.room is None or not data):
            self.refused.set()
            raise OSError(self.error, os.strerror(self.error))
        return self._write(file, data)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def started(path: Path) -> Transcript:
    transcript = Transcript(str(path))
    transcript.start()
    return transcript


def written(path: Path, *events: Event) -> list[str]:
    """Return the lines that these events make."""
    transcript = started(path)
    for event in events:
        transcript.write(event)
    transcript.close()
    text = path.read_bytes().decode()
    assert not text or text.endswith("\n")
    return text.split("\n")[:-1]


def texts(path: Path) -> list[str]:
    """Return what ana said, and lines that begin with "#" as they are."""
    lines = path.read_text().split("\n")
    assert lines.pop() == ""
    for line in lines:
        assert re.match(r"# |2026-11-20T11:10:02Z ana: ", line), f"not a line of its own: {line!r}"
    return [line if line.startswith("#") else line[26:] for line in lines]


def recorded(caplog: pytest.LogCaptureFixture, words: str, times: int) -> None:
    """Wait until something was recorded so many times, and no more."""
    eventually(lambda: caplog.text.count(words) >= times, f"the record: {words}")
    assert caplog.text.count(words) == times


# ---- lines ----------------------------------------------------------------------------------------


def test_public_messages_are_written_one_line_each_with_their_time_in_utc(path: Path) -> None:
    assert written(path, said("hola"), Acted(2, AT + 999_000, 0, "ñandú", "saluda"), said("🎉")) == [
        "2026-11-20T11:10:02Z ana: hola",
        "2026-11-20T11:26:41Z ~ ñandú saluda",
        "2026-11-20T11:10:02Z ana: 🎉",
    ]


def test_nothing_else_is_written(path: Path) -> None:
    events: list[Event] = [
        Told(1, AT, 0, "ana", "beto", "secret"),
        Joined(2, AT, "ana"),
        Left(3, AT, "ana", "left"),
        Renamed(4, AT, 0, "ana", "eva"),
        Notice(5, AT, "closing"),
    ]
    assert written(path, *events) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb", r"a\nb"),
        (r"a\nb", r"a\\nb"),
        ("\n\n", r"\n\n"),
        ("C:\\", "C:\\\\"),
        ("a\n2026-11-20T11:10:02Z beto: forged", r"a\n2026-11-20T11:10:02Z beto: forged"),
        ("a\rb\x85c\u2028d\x0be", "a\ufffdb c d e"),
        ("\x1b[2J\x9b1m\u202e\x07", "\ufffd[2J\ufffd1m\ufffd"),
        ("a\tb", "a    b"),
        ("\udc80", "?"),
    ],
)
def test_a_text_can_neither_steer_a_terminal_nor_make_a_second_line(path: Path, text: str, line: str) -> None:
    assert written(path, said(text)) == [f"2026-11-20T11:10:02Z ana: {line}"]
    assert len(path.read_bytes().decode().splitlines()) == 1


def test_a_nick_cannot_either(path: Path) -> None:
    assert written(path, said("hola", nick="a\n\x1bb")) == ["2026-11-20T11:10:02Z a\\n\ufffdb: hola"]


def test_times_far_off_are_written(path: Path) -> None:
    assert written(path, said("a", at=0), said("b", at=10**15 - 1)) == [
        "1970-01-01T00:00:00Z ana: a",
        "33658-09-27T01:46:39Z ana: b",
    ]


# ---- the file -------------------------------------------------------------------------------------


def test_it_is_for_its_owner_alone(path: Path) -> None:
    written(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_is_appended_to(path: Path) -> None:
    written(path, said("one"))
    written(path, said("two"))
    assert texts(path) == ["one", "two"]


def test_a_line_that_another_run_left_unfinished_is_not_continued(path: Path) -> None:
    path.write_text("2026-11-20T11:10:02Z ana: hal")
    written(path, said("two"))
    assert texts(path) == ["hal", "two"]


def test_what_cannot_be_opened_is_told_in_a_sentence(path: Path, tmp_path: Path) -> None:
    with pytest.raises(TranscriptError, match="is a folder: give a file"):
        Transcript(str(tmp_path))
    with pytest.raises(TranscriptError, match="there is no such folder"):
        Transcript(str(tmp_path / "none" / "talk.txt"))
    path.write_text("")
    with pytest.raises(TranscriptError, match="cannot be written: Not a directory"):
        Transcript(str(path / "talk.txt"))
    with pytest.raises(TranscriptError, match=r"cannot be written: .*embedded null"):
        Transcript("a\0b")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(TranscriptError, match="a pipe that nobody reads"):
        Transcript(str(fifo))


def test_one_that_was_never_started_can_be_closed(path: Path) -> None:
    transcript = Transcript(str(path))
    transcript.write(said("hola"))
    transcript.close()
    assert texts(path) == ["hola"]


def test_many_messages_are_all_there_in_order(path: Path) -> None:
    many = [str(n) for n in range(20_000)]
    written(path, *map(said, many))
    assert texts(path) == many


# ---- reopening ------------------------------------------------------------------------------------


def test_a_renamed_file_gets_what_came_before_and_a_new_one_the_rest(path: Path, tmp_path: Path) -> None:
    old = tmp_path / "talk.1"
    transcript = started(path)
    for n in range(1000):
        transcript.write(said(str(n)))
    path.rename(old)
    transcript.reopen()
    for n in range(1000, 2000):
        transcript.write(said(str(n)))
    transcript.close()
    assert texts(old) == [str(n) for n in range(1000)]
    assert texts(path) == [str(n) for n in range(1000, 2000)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_new_file_is_there_before_anything_is_said(path: Path) -> None:
    transcript = started(path)
    path.unlink()
    transcript.reopen()
    eventually(path.exists, "the new file")
    transcript.close()


def test_a_path_that_cannot_be_opened_anew_is_tried_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "talk.txt"
    transcript = started(path)
    folder.rename(tmp_path / "moved")
    transcript.reopen()
    transcript.write(said("one"))
    eventually(lambda: "cannot be written (No such file or directory)" in caplog.text, "the record")
    folder.mkdir()
    eventually(path.exists, "the new file")
    transcript.write(said("two"))
    transcript.close()
    assert texts(path) == ["one", "two"]
    assert caplog.text.count("cannot be written") == 1
    assert caplog.text.count("is written again") == 1


# ---- a disk that fails ----------------------------------------------------------------------------


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_failing_disk_is_recorded_once_and_tried_on_and_nothing_is_lost(
    path: Path, disk: Disk, error: int, caplog: pytest.LogCaptureFixture
) -> None:
    disk.error = error
    transcript = started(path)
    for n in range(100):
        transcript.write(said(str(n)))
    eventually(lambda: disk.attempts > 5, "more attempts")
    disk.error = 0
    eventually(lambda: "is written again" in caplog.text, "the record")
    transcript.write(said("more"))
    transcript.close()
    assert texts(path) == [*map(str, range(100)), "more"]
    assert caplog.text.count(f"cannot be written ({os.strerror(error)})") == 1


def test_every_streak_of_failures_is_recorded(
    path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    transcript = started(path)
    for streak in (1, 2, 3):
        disk.error = errno.ENOSPC
        transcript.write(said("x"))
        recorded(caplog, "cannot be written", streak)
        disk.error = 0
        recorded(caplog, "is written again", streak)
    transcript.close()


@pytest.mark.parametrize("room", range(25, 92, 7))
def test_a_line_that_was_cut_in_the_middle_is_completed(path: Path, disk: Disk, room: int) -> None:
    disk.room, disk.error = room, errno.ENOSPC
    transcript = started(path)
    for n in range(10):
        transcript.write(said(str(n)))
    assert disk.refused.wait(DEADLINE)
    disk.error, disk.room = 0, None
    transcript.close()
    assert texts(path) == [str(n) for n in range(10)]


def test_a_stuck_file_is_left_for_a_new_one_at_once_and_the_cut_line_is_whole_there(
    path: Path, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcript_module, "RETRY_PAUSE", 2 * DEADLINE)
    disk.room, disk.error = 40, errno.ENOSPC
    transcript = Transcript(str(path))
    for n in range(10):
        transcript.write(said(f"message {n}"))
    transcript.start()
    assert disk.refused.wait(DEADLINE)
    path.rename(tmp_path / "full.txt")
    disk.error, disk.room = 0, None
    transcript.reopen()
    eventually(lambda: path.exists() and len(path.read_bytes()) > 200, "the rest in the new file")
    transcript.close()
    assert (tmp_path / "full.txt").read_text() == "2026-11-20T11:10:02Z ana: message 0\n2026"
    assert texts(path) == [f"message {n}" for n in range(1, 10)]


def test_the_same_file_opened_anew_with_a_cut_line_gets_it_whole_on_a_line_of_its_own(
    path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcript_module, "RETRY_PAUSE", 2 * DEADLINE)
    disk.room, disk.error = 30, errno.ENOSPC
    transcript = Transcript(str(path))
    transcript.write(said("message"))
    transcript.start()
    assert disk.refused.wait(DEADLINE)
    disk.error, disk.room = 0, None
    transcript.reopen()
    eventually(lambda: path.read_text().endswith("message\n"), "the whole line")
    transcript.close()
    assert texts(path) == ["mess", "message"]


def test_at_the_end_a_disk_that_fails_is_not_waited_for(
    path: Path, disk: Disk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcript_module, "RETRY_PAUSE", 2 * DEADLINE)
    disk.error = errno.EIO
    transcript = started(path)
    transcript.write(said("0"))
    assert disk.refused.wait(DEADLINE)
    for n in range(1, 10):
        transcript.write(said(str(n)))
    transcript.close()
    assert not transcript._thread.is_alive()
    assert "lacks the last messages: 10" in caplog.text


def test_a_device_that_is_always_full_hangs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    transcript = started(Path("/dev/full"))
    transcript.write(said("hola"))
    eventually(lambda: "No space left on device" in caplog.text, "the record")
    transcript.close()
    assert "lacks the last messages: 1" in caplog.text


# ---- a disk that hangs ----------------------------------------------------------------------------


def test_the_room_does_not_wait_and_what_is_left_out_is_counted_in_its_place(
    path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    size = transcript_module._size(said("00"))
    monkeypatch.setattr(transcript_module, "QUEUE_LIMIT", 10 * size)
    disk.open.clear()
    transcript = started(path)
    transcript.write(said("first"))
    assert disk.reached.wait(DEADLINE)
    for n in range(30):
        transcript.write(said(f"{n:02}"))  # would hang here
    disk.open.set()
    eventually(lambda: len(path.read_text().split("\n")) > 10, "what waited")
    transcript.write(said("later"))
    transcript.close()
    kept = [f"{n:02}" for n in range(10)]
    assert texts(path) == ["first", *kept, "# 20 messages are missing here", "later"]
    assert caplog.text.count("messages are left out") == 1


def test_what_is_left_out_at_the_very_end_is_counted_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript_module, "QUEUE_LIMIT", transcript_module._size(said("0")))
    transcript = Transcript(str(path))
    for n in range(4):
        transcript.write(said(str(n)))
    transcript.close()
    assert texts(path) == ["0", "# 3 messages are missing here"]


def test_closing_waits_for_a_disk_that_hangs_only_so_long(
    path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(transcript_module, "CLOSE_TIME", 0.05)
    disk.open.clear()
    transcript = started(path)
    transcript.write(said("hola"))
    transcript.close()  # would hang here
    assert "lacks what was said last" in caplog.text
    disk.open.set()
    transcript._thread.join(DEADLINE)


def test_a_pipe_that_is_not_read_hangs_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript_module, "CLOSE_TIME", 0.05)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with ExitStack() as opened:
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        opened.callback(os.close, reader)
        transcript = started(fifo)
        for _ in range(1000):
            transcript.write(said("x" * 1000))
        transcript.close()
        assert transcript._thread.is_alive()
    transcript._thread.join(DEADLINE)  # nobody reads it any more: the write fails
    assert not transcript._thread.is_alive()


def test_a_pipe_that_is_read_gets_everything(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    received: list[str] = []

    def read() -> None:
        with open(fifo, encoding="utf-8") as file:
            received.extend(file)

    thread = threading.Thread(target=read)
    thread.start()

    def reader_is_there() -> bool:
        try:
            os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return False
        return True

    keep = os.open(fifo, os.O_RDWR)  # so that the reader does not see an end before there is a writer
    transcript = started(fifo)
    os.close(keep)
    for n in range(3000):
        transcript.write(said(f"{n} {'x' * 100}"))
    transcript.close()
    thread.join(DEADLINE)
    assert len(received) == 3000


def test_an_announcement_is_in_it_and_what_else_moderators_do_is_not(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    transcript = Transcript(str(path))
    transcript.start()
    transcript.write(Moderated(1, 1_763_600_000_000, 0, "announce", "mara", text="at five\nsharp"))
    transcript.write(Moderated(2, 1_763_600_000_000, 0, "kick", "mara", "beto", text="spam"))
    transcript.close()
    assert path.read_text() == "2025-11-20T00:53:20Z * mara announces: at five\\nsharp\n"
