"""The inbox between threads: order, the limit, and that no wake-up is lost."""

from __future__ import annotations

import select
import socket
import threading
import time
from queue import SimpleQueue

import pytest
from support import DEADLINE, eventually

from charla.server.network.inbox import Inbox


@pytest.fixture
def poller() -> select.poll:
    return select.poll()


def make(poller: select.poll, limit: int = 1000) -> Inbox[object]:
    inbox: Inbox[object] = Inbox(limit)
    poller.register(inbox.wake_reader, select.POLLIN)
    return inbox


def test_all_that_waits_is_taken_in_order(poller: select.poll) -> None:
    inbox = make(poller)
    for n in range(5):
        inbox.put(n)
    assert inbox.take(poller, None) == [0, 1, 2, 3, 4]
    assert inbox.take(poller, 0) == []
    inbox.close()


def test_a_sleeping_taker_is_woken_by_every_single_entry(poller: select.poll) -> None:
    inbox = make(poller)
    answers: Inbox[object] = Inbox()
    taken: list[object] = []

    def take() -> None:
        while "end" not in taken:
            entries = inbox.take(poller, None)
            taken.extend(entries)
            for entry in entries:
                answers.put(entry)

    thread = threading.Thread(target=take)
    thread.start()
    other = select.poll()
    other.register(answers.wake_reader, select.POLLIN)
    # One at a time: each finds the taker asleep, or on its way there.  A lost wake-up hangs here.
    for n in range(3000):
        inbox.put(n)
        while not answers.take(other, DEADLINE):
            pass
    inbox.put("end")
    thread.join(DEADLINE)
    assert taken == [*range(3000), "end"]
    inbox.close()
    answers.close()


def test_what_is_put_just_before_the_taker_sleeps_is_seen(poller: select.poll) -> None:
    inbox = make(poller)

    class LateQueue(SimpleQueue[object]):
        """Seems empty once more than it is: a putter came in between."""

        looks = 0

        def empty(self) -> bool:
            self.looks += 1
            if self.looks == 1:
                inbox.put("late")  # sees a taker that is not asleep yet, and does not wake it
                return True
            return super().empty()

    class Sleepless:
        def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
            assert timeout == 0, "it would have slept"
            return []

    inbox._queue = LateQueue()
    assert inbox.take(Sleepless(), None) == ["late"]  # type: ignore[arg-type]
    inbox.close()


def test_who_puts_into_a_full_inbox_waits_and_nothing_is_lost_or_reordered(
    poller: select.poll,
) -> None:
    inbox = make(poller, limit=10)
    putters = 8

    def put(who: int) -> None:
        for n in range(500):
            inbox.put((who, n))

    threads = [threading.Thread(target=put, args=(who,)) for who in range(putters)]
    for thread in threads:
        thread.start()
    eventually(lambda: inbox._waiting == putters, "everybody's waiting for the full inbox")
    taken: list[object] = []
    largest = 0
    end = time.monotonic() + DEADLINE
    while len(taken) < putters * 500:
        # Nothing may come: who put may ring when that was taken already, and the taker sleeps again.
        entries = inbox.take(poller, DEADLINE)
        assert time.monotonic() < end, "everybody waits for everybody"
        largest = max(largest, len(entries))
        taken += entries
    for thread in threads:
        thread.join(DEADLINE)
    assert largest <= 10 + putters
    for who in range(putters):
        assert [entry for entry in taken if entry[0] == who] == [(who, n) for n in range(500)]  # type: ignore[index]
    inbox.close()


def test_another_file_that_is_ready_ends_the_sleep(poller: select.poll) -> None:
    inbox = make(poller)
    one, other = socket.socketpair()
    poller.register(one, select.POLLIN)
    other.send(b"x")
    assert inbox.take(poller, None) == []
    one.close()
    other.close()
    inbox.close()
