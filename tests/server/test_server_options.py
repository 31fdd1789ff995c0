"""The server's options: typed over the environment over the default, each of them."""

from __future__ import annotations

import os
from typing import Any

import pytest

from charla.server.options import OPTIONS, parse_options

# Two values of each option that stand alone, as they are typed; and what they mean.
SAMPLES: dict[str, tuple[tuple[str, Any], tuple[str, Any]]] = {
    "host": (("::", "::"), ("mesa", "mesa")),
    "port": (("0", 0), ("65535", 65535)),
    "max-clients": (("1", 1), ("9999999", 9_999_999)),
    "max-waiting": (("2", 2), ("30", 30)),
    "handshake-timeout": (("0.5", 0.5), ("1e6", 1e6)),
    "max-per-address": (("0", 0), ("5", 5)),
    "connects-per-minute": (("0", 0), ("5", 5)),
    "backlog": (("128", 131_072), ("0200", 204_800)),
    "rate-limit": (("0", 0.0), ("2.5", 2.5)),
    "history": (("0", 0), ("7", 7)),
    "grace": (("0", 0.0), ("7.5", 7.5)),
    "db": (("/one.db", "/one.db"), ("two.db", "two.db")),
    "sync": (("normal", "normal"), ("FULL", "full")),
    "keep": (("2", 172_800.0), ("0", 0.0)),
    "ping-after": (("1", 1.0), ("2.5", 2.5)),
    "dead-after": (("100", 100.0), ("1000", 1000.0)),
    "tls-cert": (("/cert", "/cert"), ("other", "other")),
    "tls-key": (("/key", "/key"), ("other.key", "other.key")),
    "tls": (("on", True), ("off", False)),
    "password-file": (("/secret", "/secret"), ("other", "other")),
    "moderator-password-file": (("/mods", "/mods"), ("other", "other")),
    "transcript": (("/said", "/said"), ("other", "other")),
    "welcome": (("hola", "hola"), (" a\x1b[31m ", "a\ufffd[31m")),
    "log-level": (("debug", "debug"), ("ERROR", "error")),
    "log-format": (("json", "json"), ("Text", "text")),
    "lang": (("es", "es"), ("en_GB.UTF-8", "en")),
}
NEEDED = {"sync": "db", "tls-cert": "tls-key", "tls-key": "tls-cert"}
"""What must be given with it."""


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("CHARLA_"):
            monkeypatch.delenv(name)


def value(name: str, *arguments: str) -> Any:
    """Return what comes of an option."""
    needed = (f"--{NEEDED[name]}", "/needed") if name in NEEDED else ()
    return getattr(parse_options([*needed, *arguments]), name.replace("-", "_"))


def test_all_options_are_tried_here() -> None:
    assert list(SAMPLES) == [option.name for option in OPTIONS]
    assert sorted(vars(parse_options([]))) == sorted([*(o.attribute for o in OPTIONS), "tls_folder"])


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_typed_over_environment_over_default(option: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name = option.name
    for one, other in (SAMPLES[name], SAMPLES[name][::-1]):
        monkeypatch.delenv(option.variable, raising=False)
        if name not in ("tls-cert", "tls-key"):  # neither goes without the other
            assert value(name) == option.default
        monkeypatch.setenv(option.variable, "")
        if name not in ("tls-cert", "tls-key"):
            assert value(name) == option.default, "an empty variable is as good as none"
        monkeypatch.setenv(option.variable, other[0])
        assert value(name) == other[1]
        if name != "tls":
            assert value(name, f"--{name}", one[0]) == one[1]
        else:
            assert value(name, "--tls") is True


def test_a_switch_of_the_server_cannot_be_typed_off(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_options(["--no-tls"])
    assert "there is no option --no-tls: did you mean --tls?" in capsys.readouterr().err


def test_the_help_names_every_variable_and_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_options(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for option in OPTIONS:
        assert f"[{option.variable}{'' if option.metavar else '=1'}]" in shown
    for words in (
        "the port (9000; 0 takes a free one)",
        "a nickname (20)",
        "private networks, 32 for others; 0: none",
        "before it is dropped (256)",
        "burst of 20; 0: no limit)",
        "the language: en, es (that",
    ):
        assert words in shown
