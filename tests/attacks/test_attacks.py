"""The attacks of `make attacks`, in little: what they show that is no matter of time must hold here, too."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from pathlib import Path
from typing import cast

import pytest
from support import DEADLINE, ServerProgram

from attacks import churn, descriptors, flood, fresh, key_updates, random_talk, report, silent, stalled
from attacks.run import main
from attacks.stalled import Reader, check
from attacks.targets import QUICK, Verdict, quantile
from attacks.wire import Line
from charla.common.certificates import TlsError, own_certificate

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="what the server costs is read from /proc: Linux"
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Return a certificate and its key."""
    try:
        return own_certificate(str(tmp_path_factory.mktemp("attacks") / "tls"))
    except TlsError as error:
        pytest.skip(str(error))


def missed(verdicts: list[Verdict]) -> list[Verdict]:
    """Return what is missed that has nothing to do with how busy the machine is."""
    return [verdict for verdict in verdicts if not verdict.met and not verdict.timed]


def no_progress(_: str) -> None:
    pass


def test_who_does_not_read_costs_the_others_nothing() -> None:
    verdicts = stalled.attack(QUICK, no_progress)

    assert not missed(verdicts), verdicts


def test_somebody_gets_in_among_silent_connections() -> None:
    (verdict,) = silent.attack(QUICK, no_progress)

    assert "at 8 attempts" in verdict.what, verdict  # and so all of them have come in
    assert verdict.measured.startswith("after "), verdict


def test_nothing_is_left_of_those_who_come_and_go() -> None:
    verdicts = churn.attack(QUICK, no_progress)

    assert not missed(verdicts), verdicts
    assert " 0 lost" in verdicts[1].measured


def test_a_server_out_of_descriptors_talks_on_and_recovers() -> None:
    verdicts = descriptors.attack(QUICK, no_progress)

    assert not missed(verdicts), verdicts
    assert verdicts[2].measured != "never"


def test_a_flood_is_slowed_to_its_limit_and_loses_nothing() -> None:
    verdicts = flood.attack(QUICK, no_progress)

    assert not missed(verdicts), verdicts


def test_random_text_over_tls_stays_as_it_is(pair: tuple[str, str]) -> None:
    assert not missed(random_talk.attack(QUICK, no_progress, pair))


def test_fresh_tls_connections_on_which_both_sides_talk(pair: tuple[str, str]) -> None:
    assert not missed(fresh.attack(QUICK, no_progress, pair))


def test_key_updates_while_text_goes_both_ways(pair: tuple[str, str]) -> None:
    assert not missed(key_updates.attack(QUICK, no_progress, pair))


# ---- what they found ------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("ncat") is None, reason="there is no ncat here")
def test_ncat_shows_the_end_of_much_text(pair: tuple[str, str]) -> None:
    """It shows 8 KiB of a record, and keeps the rest to itself until more comes (ncat 7.93)."""
    cert, key = pair
    with ServerProgram("--rate-limit", "0", "--tls-cert", cert, "--tls-key", key) as server:
        with Line(server.address[1], cert) as author:
            author.join("author")
            for tag in (1, 2, 3):  # with the welcome more than 8 KiB, and less than 16
                author.send(b"SAY %d %s\n" % (tag, b"x" * 4000))
                author.until(b"SAY ")
        with subprocess.Popen(
            ["ncat", "--ssl", server.address[0], server.port],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as ncat:
            assert ncat.stdin is not None
            assert ncat.stdout is not None
            ncat.stdin.write(b"reader\n")
            ncat.stdin.flush()
            try:
                heard = _read_until(b" here: reader\n", ncat.stdout.fileno())
            finally:
                ncat.kill()
    assert heard.count(b"x" * 4000) == 3


def _read_until(words: bytes, descriptor: int) -> bytes:
    """Return what comes up to these words."""
    heard = b""
    while words not in heard:
        assert select.select([descriptor], [], [], DEADLINE)[0], f"nothing more after {heard[-80:]!r}"
        heard += os.read(descriptor, 65536)
    return heard


# ---- that they would notice -----------------------------------------------------------------------------


def test_a_message_that_is_missing_is_noticed() -> None:
    lines = [b"SAY %d 1 - reader%d %07d some words to say~\n" % (n + 9, n // 50 % 5, n) for n in range(500)]
    assert check(_readers(lines), 500) == ""

    short = _readers(lines)
    short[7].checksum += 1
    assert check(short, 500) == "those who listen have not all heard the same"
    swapped = [*lines[:9], lines[10], lines[9], *lines[11:]]
    assert check(_readers(swapped), 500) == "the ids do not rise"
    assert "is not what was heard" in check(_readers([*lines[:9], *lines[10:]]), 500)
    deaf = _readers(lines)
    deaf[2] = _readers(lines[1:])[2]
    assert check(deaf, 500) == "reader2, who speaks, has heard something else"


def _readers(lines: list[bytes]) -> list[Reader]:
    """Return readers that have got these lines; they have no connection."""
    readers = []
    for number in range(8):
        reader = Reader(cast(Line, None), keep=number <= stalled.SPEAKERS)
        for line in lines:
            reader.take(line, len(lines))
        readers.append(reader)
    return readers


def test_the_table_tells_what_is_missed() -> None:
    verdicts = [Verdict("a | b", "1", "2", met=False), Verdict("c", "3", "4", met=True)]

    table = report.table(verdicts).split("\n")

    assert [row.split()[-2] for row in table[2:]] == ["MISSED", "met"]
    assert report.table(verdicts) in report.document(verdicts)
    assert quantile([3, 1, 2], 0.99) == 3


def test_the_command_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--only", "nothing"])

    assert ended.value.code == 2
    assert "key-updates" in capsys.readouterr().err
