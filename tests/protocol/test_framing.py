"""Framing: the verdict does not depend on how TCP slices."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import LIMIT, STREAMS

from charla.protocol.framing import LineFramer, decode_line
from charla.protocol.text import Refused


def frame(stream: bytes, cuts: list[int]) -> tuple[list[bytes | None], bool]:
    framer = LineFramer(LIMIT)
    lines = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        lines += framer.feed(stream[start:end])
    return lines, framer.unfinished


@pytest.mark.parametrize(("stream", "lines", "unfinished"), STREAMS)
def test_lines_are_the_same_whole_byte_by_byte_and_at_every_cut(
    stream: bytes, lines: list[bytes | None], unfinished: bool
) -> None:
    assert frame(stream, []) == (lines, unfinished)
    assert frame(stream, list(range(1, len(stream)))) == (lines, unfinished)
    for cut in range(len(stream) + 1):
        assert frame(stream, [cut]) == (lines, unfinished)


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\xc3\xb1", b"x" * LIMIT])).map(b"".join), st.randoms())
def test_lines_are_the_same_for_any_slicing(stream: bytes, chance: random.Random) -> None:
    cuts = sorted(chance.randrange(len(stream) + 1) for _ in range(chance.randrange(8)))
    assert frame(stream, cuts) == frame(stream, [])


def test_an_endless_line_is_refused_once_and_takes_no_memory() -> None:
    framer = LineFramer()
    verdicts = [line for _ in range(1000) for line in framer.feed(b"x" * 65536)]
    assert verdicts == [None]
    assert len(framer._rest) == 0
    assert framer.feed(b"\nhola\n") == [b"hola"]


def test_a_line_that_is_no_utf8_is_refused() -> None:
    for line, code in (
        (b"\xff", "not-utf8"),
        (b"\xed\xa0\x80", "not-utf8"),
        (b"\xc0\x80", "not-utf8"),
        (None, "too-long"),
    ):
        with pytest.raises(Refused, match=code):
            decode_line(line)
