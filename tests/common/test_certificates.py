"""Certificates: files that can be used or not, and a pair of one's own, whoever else wants it too."""

from __future__ import annotations

import base64
import os
import re
import socket
import ssl
import stat
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import DEADLINE

from charla.common import certificates
from charla.common.certificates import TlsError, client_context, own_certificate, server_context
from charla.common.tls import TlsSocket, explain


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A certificate and its key."""
    return own_certificate(str(tmp_path / "pair"))


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=DEADLINE)


def test_files_that_cannot_be_used(files: tuple[str, str], tmp_path: Path) -> None:
    cert, key = files
    _, other_key = own_certificate(str(tmp_path / "other"))
    locked, junk = str(tmp_path / "locked.key"), str(tmp_path / "junk")
    openssl("pkey", "-in", key, "-aes128", "-passout", "pass:secret", "-out", locked)
    Path(junk).write_text("hola")
    for cert_file, key_file, words in [
        (cert, other_key, f"{other_key} is not the key of the certificate {cert}"),
        (cert, locked, f"the key {locked} has a password"),
        (junk, key, f"{junk} and {key} are not a certificate and its key"),
        (cert, junk, f"{cert} and {junk} are not a certificate and its key"),
        (f"{junk}.x", key, f"the certificate {junk}.x cannot be read: No such file"),
        (cert, str(tmp_path), f"the key {tmp_path} cannot be read: Is a directory"),
    ]:
        with pytest.raises(TlsError, match=re.escape(words)):
            server_context(cert_file, key_file)
    for ca, words in [(junk, f"{junk} is not a certificate"), (f"{junk}.x", "cannot be read: No such")]:
        with pytest.raises(TlsError, match=re.escape(words)):
            client_context(ca)


def test_a_pair_of_ones_own_is_made_once_and_kept_private(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "tls"
    cert, key = own_certificate(str(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    before = Path(cert).read_bytes(), Path(key).read_bytes()
    assert own_certificate(str(folder)) == (cert, key)
    assert (Path(cert).read_bytes(), Path(key).read_bytes()) == before
    assert sorted(os.listdir(folder)) == sorted(map(os.path.basename, (cert, key)))
    assert os.listdir(tmp_path / "new") == ["tls"]
    for name in (socket.gethostname(), "localhost", "127.0.0.1", "::1"):
        openssl("verify", "-x509_strict", "-CAfile", cert, cert)
        shake_with_name(cert, key, name)


def shake_with_name(cert: str, key: str, name: str) -> None:
    """Shake hands as a client that calls the server `name`."""
    one, other = socket.socketpair()
    with one, other, ThreadPoolExecutor() as pool:
        served = pool.submit(TlsSocket(one, server_context(cert, key), server_side=True).handshake)
        TlsSocket(other, client_context(cert), server_side=False, server_hostname=name).handshake()
        served.result(DEADLINE)


def test_two_servers_that_start_at_once_have_one_pair(tmp_path: Path) -> None:
    folder = str(tmp_path / "tls")
    with ThreadPoolExecutor() as pool:
        made = [pool.submit(own_certificate, folder) for _ in range(4)]
        assert len({future.result(DEADLINE) for future in made}) == 1
    server_context(*own_certificate(folder))
    assert os.listdir(tmp_path) == ["tls"]


FakeProgram = Callable[[str], Path]


@pytest.fixture
def fake_openssl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeProgram:
    """Put a shell script in the place of openssl; "" for none.  Return the folder it may use."""

    def fake(script: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        if script:
            (folder / "openssl").write_text(f"#!/bin/sh\n{script}\n")
            (folder / "openssl").chmod(0o755)
        monkeypatch.setenv("REAL_PATH", os.environ["PATH"])
        monkeypatch.setenv("PATH", str(folder))
        return folder

    return fake


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("", "not installed: install openssl, or give --tls-cert FILE and --tls-key FILE"),
        ("echo no such curve >&2; exit 1", "(no such curve): give --tls-cert FILE"),
        ('PATH=$REAL_PATH; [ $1 = ecparam ] || exit 1; exec openssl "$@"', "did not make a certificate"),
        ("PATH=$REAL_PATH exec sleep 60", "timed out"),
    ],
)
def test_without_a_working_openssl_nothing_is_left(
    tmp_path: Path, fake_openssl: FakeProgram, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    fake_openssl(script)
    if "sleep" in script:
        monkeypatch.setattr(certificates, "OPENSSL_TIME", 0.05)
    with pytest.raises(TlsError, match=re.escape(words)):
        own_certificate(str(tmp_path / "tls"))
    assert os.listdir(tmp_path) == ["bin"]


def test_the_key_is_private_from_its_first_byte(tmp_path: Path, fake_openssl: FakeProgram) -> None:
    folder = fake_openssl('PATH=$REAL_PATH; umask >>"${0%/*}/umask"; exec openssl "$@"')
    before = os.umask(0)
    try:
        own_certificate(str(tmp_path / "tls"))
    finally:
        os.umask(before)
    assert (folder / "umask").read_text() == "0077\n0077\n"


def test_a_pair_that_has_expired_is_named(tmp_path: Path, fake_openssl: FakeProgram) -> None:
    cert, key = own_certificate(str(tmp_path / "tls"))
    der = bytearray(ssl.PEM_cert_to_DER_cert(Path(cert).read_text()))
    times = [found.start() for found in re.finditer(rb"\x17\x0d\d{12}Z", der)]  # UTCTime: from, until
    for start, year in zip(times, (b"20", b"21"), strict=True):
        der[start + 2 : start + 4] = year
    text = base64.encodebytes(der).decode()
    Path(cert).write_text(f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n")
    fake_openssl("")  # which is not needed to see that
    with pytest.raises(TlsError, match="has expired: delete the folder"):
        own_certificate(os.path.dirname(cert))
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        shake_with_name(cert, key, "localhost")
    assert "certificate has expired" in explain(caught.value, "mesa")


def test_half_a_pair_or_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    cert, key = own_certificate(str(folder))
    os.remove(cert)
    before = Path(key).read_bytes()
    with pytest.raises(TlsError, match="cannot be read: No such file"):
        own_certificate(str(folder))
    assert Path(key).read_bytes() == before
    os.rename(key, folder / "notes")
    with pytest.raises(TlsError, match=r"no certificate can be kept in .*: Directory not empty"):
        own_certificate(str(folder))
    assert os.listdir(folder) == ["notes"]
    assert os.listdir(tmp_path) == ["tls"]


def test_a_certificate_that_goes_while_it_is_read_is_a_sentence(
    files: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load)
    with pytest.raises(TlsError, match="No such file"):
        server_context(*files)
