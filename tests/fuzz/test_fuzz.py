"""The properties of `make fuzz` on every Python: on its seeds, and on some inputs of hypothesis."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charla.common import tls
from charla.protocol import framing, native, plain
from charla.protocol.commands import Ban, Hello, Kick
from charla.protocol.messages import Message, Moderated, Topic
from charla.protocol.native import NATIVE
from charla.protocol.sentences import sentence
from charla.protocol.text import Refused, clean
from charla.protocol.typed import parse_typed
from charla.server.room.lobby import Lobby
from charla.server.room.sessions import Sessions
from fuzz import run
from fuzz.seeds import seeds
from fuzz.targets import TARGETS

SEEDS = seeds()


@pytest.mark.parametrize("name", SEEDS)
def test_every_seed_holds(name: str) -> None:
    for data in SEEDS[name]:
        TARGETS[name].run(data)  # a failure shows the data: it is an argument


def mutated(inputs: list[bytes]) -> st.SearchStrategy[bytes]:
    """Any bytes; or a seed with a piece of any other, or any bytes, in the place of a piece of it."""
    piece = st.one_of(st.sampled_from(inputs), st.binary(max_size=8))
    place = st.integers(0, 300)

    def put(seed: bytes, start: int, size: int, other: bytes) -> bytes:
        return seed[:start] + other + seed[start + size :]

    return st.one_of(st.binary(max_size=300), st.builds(put, st.sampled_from(inputs), place, place, piece))


@pytest.mark.parametrize(
    ("name", "inputs"), [("framing", 300), ("plain", 300), ("native", 300), ("room", 100), ("tls", 200)]
)
def test_any_bytes_hold(name: str, inputs: int) -> None:
    @settings(max_examples=inputs, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(mutated(SEEDS[name]))
    def holds(data: bytes) -> None:
        TARGETS[name].run(data)

    holds()


# ---- a property that cannot fail shows nothing ---------------------------------------------------


def finds(name: str) -> None:
    """Fail unless one of the seeds shows that something does not hold."""
    for data in SEEDS[name]:
        try:
            TARGETS[name].run(data)
        except Exception:  # of whatever kind
            return
    pytest.fail(f"{name}: every seed holds")


def test_a_framer_that_depends_on_the_slicing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        framing.LineFramer, "feed", lambda _, data: [line for line in data.split(b"\n") if line]
    )
    finds("framing")


def test_a_text_that_is_not_escaped_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "escape", lambda text: text)
    finds("plain")
    finds("native")


def test_a_line_under_no_name_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "_under", lambda head, text: f"{head}{text}\n".encode())
    finds("plain")


def test_an_internal_error_of_the_room_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sessions, "page", lambda *_: 1 / 0)
    finds("room")


def test_a_member_who_misses_something_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = NATIVE.encode

    def forgetful(_: object, message: Message, own: bool = False) -> bytes:
        return b"" if isinstance(message, Moderated) and not own else whole(message, own)

    monkeypatch.setattr(native.NativeDialect, "encode", forgetful)
    finds("room")


def test_ciphertext_that_is_swapped_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        tls.TlsSocket, "_flush", lambda self, *_: self._sock.send(self._outgoing.read()[::-1])
    )
    finds("tls")


def test_what_is_encrypted_far_ahead_of_the_socket_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "RECORD_SIZE", 65536)
    finds("tls")


def test_something_left_over_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lobby, "leave", lambda *_: None)
    finds("room")


# ---- what it has found ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line", ["/kick beto\nspam", "/unban beto\nx", "/nick a\nb", "/mute beto\n5m", "/ x"]
)
def test_a_name_is_one_word_also_in_a_pasted_block(line: str) -> None:
    """A client would have sent the rest as a line of its own."""
    try:
        command = parse_typed(line, tag=7)
    except Refused as refused:
        assert sentence(refused.code, refused.arguments).endswith((".", "]", "USER", "NEW"))
        return
    assert command is not None
    assert NATIVE.encode_command(command).count(b"\n") == 1


def test_what_stands_behind_a_name_may_begin_on_the_next_line() -> None:
    assert parse_typed("/kick beto\nspam") == Kick("beto", "spam")
    assert parse_typed("/ban beto 30m\nspam\nand more") == Ban("beto", 1800, "spam\nand more")
    assert parse_typed("/ban beto\u3000spam") == Ban("beto", 0, "spam")


@pytest.mark.parametrize(
    "message", [Topic(3, True, "hoy "), Moderated(9, 9, 0, "announce", "ana", text="a\u3000")]
)
def test_space_at_the_end_of_a_text_is_kept(message: Message) -> None:
    assert NATIVE.decode(NATIVE.encode(message).decode()[:-1]) == message


def test_options_of_a_hello_are_written_as_they_were_read() -> None:
    hello = NATIVE.decode_command("HELLO 1 ana session=new last=5")
    assert hello == Hello("ana", "new", 5)
    assert NATIVE.encode_command(hello) == b"HELLO 1 ana session=new last=5\n"


@pytest.mark.parametrize("field", ["a\tb", "a\x0bb", "\u202e"])
def test_a_name_from_a_server_stays_one_field(field: str) -> None:
    with pytest.raises(Refused, match="malformed"):
        NATIVE.decode(f"SAY 1 2 - {field} hola")


def test_a_code_from_a_server_cannot_steer_a_sentence() -> None:
    for line in ("MODERATED 1 2 - {by.__class__} ana - 0", "MODERATED 1 2 - {x} ana - 0", "ERROR - a{0} x"):
        with pytest.raises(Refused, match="malformed"):
            NATIVE.decode(line)


@pytest.mark.parametrize("line", ["", "\u202e", "\u202e 1", "MSG 3 \u202e hola", "KICK 3 a\tb"])
def test_a_refusal_says_what_it_is_about(line: str) -> None:
    for read in (NATIVE.decode, NATIVE.decode_command):
        with pytest.raises(Refused) as caught:
            read(line)
        assert caught.value.arguments
        assert all(argument and clean(argument) == argument for argument in caught.value.arguments)


# ---- the program ---------------------------------------------------------------------------------


def test_an_input_that_was_kept_can_be_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "room-1-crash"
    kept.write_bytes(SEEDS["room"][0])
    assert run.main(["--target", "room", "--input", str(kept)]) == 0
    monkeypatch.setattr(Sessions, "page", lambda *_: 1 / 0)
    with pytest.raises(AssertionError, match="internal error"):
        run.main(["--target", "room", "--input", str(kept)])


def test_without_atheris_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert run.main(["--runs", "10"]) == 2
    assert "atheris is not installed" in capsys.readouterr().out


REPORT = """\
#2\tINITED cov: 60 ft: 61 corp: 1/1b exec/s: 0 rss: 50Mb
#4096\tpulse  cov: 90 ft: 99 corp: 9/9b lim: 4 exec/s: 2048 rss: 51Mb
#10000\tDONE   cov: 95 ft: 99 corp: 9/9b lim: 4 exec/s: 2048 rss: {rss}Mb
Done 10000 runs in 5 second(s)
"""


@pytest.mark.parametrize(
    ("output", "status", "finding"),
    [
        (REPORT.format(rss=52), 0, ""),
        (REPORT.format(rss=99), 0, "memory grew from 51 to 99 MB"),
        (REPORT.format(rss=52), 77, "ended with status 77"),
        (REPORT[:60] + "\nSUMMARY: libFuzzer: timeout\n", 70, "timeout"),
        ("", 1, "ended at once, with status 1"),
    ],
)
def test_what_counts_as_a_finding(output: str, status: int, finding: str) -> None:
    assert run._read(output, "framing", 10000, status).finding.endswith(finding)
    assert bool(run._read(output, "framing", 10000, status).finding) == bool(finding)
