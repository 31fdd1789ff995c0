"""The systemd unit in docs/: systemd takes it, and it is shut in as it says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

from charla.server.options import parse_options

UNIT = ROOT / "docs" / "charla.service"

SECONDS = 50.0
"""That systemd-analyze may take."""

EXPOSURE = 1.5
"""The highest figure that `systemd-analyze security` may give, of 10; it was 1.1 with systemd 252."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here"
)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments], capture_output=True, text=True, timeout=SECONDS
    )


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Return a copy of the unit with the paths of this Python and this server: they must be there."""
    text = UNIT.read_text()
    for path, here in {
        "/usr/bin/python3": sys.executable,
        "/opt/charla/server.py": str(ROOT / "server.py"),
    }.items():
        assert path in text
        text = text.replace(path, here)
    copy = tmp_path / UNIT.name
    copy.write_text(text)
    return copy


@needs_systemd
def test_systemd_takes_it_without_a_complaint(unit: Path) -> None:
    result = analyze("verify", str(unit))
    if "Failed to initialize manager" in result.stderr:
        pytest.skip(f"systemd-analyze cannot verify here: {result.stderr}")
    complaints = [line for line in result.stderr.splitlines() if UNIT.name in line]
    assert (result.returncode, complaints) == (0, [])


@needs_systemd
def test_systemd_complains_of_a_unit_that_is_wrong(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("PrivateTmp=yes", "PrivateTmpo=yes"))
    result = analyze("verify", str(unit))
    if "Failed to initialize manager" in result.stderr:
        pytest.skip(f"systemd-analyze cannot verify here: {result.stderr}")
    assert "PrivateTmpo" in result.stderr


@needs_systemd
def test_it_is_shut_in(unit: Path) -> None:
    result = analyze("security", "--offline=true", str(unit))
    figure = re.search(r"Overall exposure level for \S+: ([0-9.]+)", result.stdout)
    if figure is None:
        pytest.skip(f"this systemd-analyze cannot tell it from a file: {result.stderr}")
    assert float(figure[1]) <= EXPOSURE


def test_secrets_are_given_as_credentials_and_no_password_is_an_argument() -> None:
    text = UNIT.read_text()
    credentials = set(re.findall(r"^LoadCredential=([a-z-]+):/", text, re.MULTILINE))
    used = set(re.findall(r"\$\{CREDENTIALS_DIRECTORY\}/(\S+)", text))
    assert used == credentials == {"cert", "key", "password", "moderator-password"}
    assert not re.search(r"--(moderator-)?password(\s|=)", text)


def test_the_server_takes_every_option_that_the_unit_gives_it() -> None:
    joined = UNIT.read_text().replace("\\\n", " ")
    command = re.search(r"^ExecStart=(.*)", joined, re.MULTILINE)
    assert command is not None
    words = re.sub(r"\$\{\w+\}", "/run/charla", command[1]).split()
    options = parse_options(words[2:])
    assert (options.host, options.port, options.log_format) == ("::", 9000, "json")
