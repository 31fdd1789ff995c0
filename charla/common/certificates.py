"""Certificates for TLS: contexts that show and check them, their fingerprints, and a pair of one's own."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import socket
import ssl

from charla.i18n import N_, LazyText, system_words

OPENSSL_TIME = 20.0
"""Seconds in which the openssl program must have made a key or a certificate."""

_CERTIFICATE, _KEY = "server.crt", "server.key"
_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED


class TlsError(Exception):
    """TLS cannot be used as it was asked for; the text is a sentence for who asked (`LazyText`)."""

    def __init__(self, template: str, **fields: object) -> None:
        super().__init__(LazyText(template, **fields))


# ---- contexts ------------------------------------------------------------------------------------


def server_context(cert: str, key: str) -> ssl.SSLContext:
    """Return a context for `server_side` from two PEM files; TlsError when they cannot be used."""

    def refuse() -> str:
        words = N_("the key {key} has a password: give one without, as by openssl pkey -in {key} -out NEW")
        raise TlsError(words, key=key)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # written by the server unasked, and of no use to a chat
    _check_readable(N_("the certificate {path} cannot be read: {reason}"), cert)
    _check_readable(N_("the key {path} cannot be read: {reason}"), key)
    try:
        context.load_cert_chain(cert, key, password=refuse)
    except OSError as error:  # ssl.SSLError is one; the others when the files are being replaced
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            words = N_("{key} is not the key of the certificate {cert}")
        else:
            words = N_("{cert} and {key} are not a certificate and its key (PEM): {reason}")
        raise TlsError(words, cert=cert, key=key, reason=reason_for(error)) from error
    return context


def client_context(ca: str | None) -> ssl.SSLContext:
    """Return a context for a client that trusts what the certificates in the PEM file `ca` vouch for.

    None: nothing is checked; the caller compares `fingerprint(peer_certificate())` with the one it knows,
    before it sends or believes anything.  TlsError when the file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if ca is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    _check_readable(N_("the certificate {path} cannot be read: {reason}"), ca)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the server's own certificate will do
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError as error:
        words = N_("{path} is not a certificate (PEM): {reason}")
        raise TlsError(words, path=ca, reason=reason_for(error)) from error
    return context


def _check_readable(complaint: str, path: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        raise TlsError(complaint, path=path, reason=reason_for(error)) from error


def reason_for(error: OSError | ValueError) -> object:
    """Return OpenSSL's name for what went wrong, or the system's words where it was not OpenSSL."""
    return getattr(error, "reason", None) or (system_words(error) if isinstance(error, OSError) else error)


def fingerprint(der: bytes) -> str:
    """Return what identifies a certificate (DER) to a person: `SHA256:` and pairs of hexadecimal digits.

    The pairs are those of `openssl x509 -in server.crt -noout -fingerprint -sha256`.
    """
    return "SHA256:" + hashlib.sha256(der).digest().hex(":").upper()


def certificate_fingerprint(path: str) -> str:
    """Return the `fingerprint` of the first certificate in a PEM file; TlsError when there is none."""
    _check_readable(N_("the certificate {path} cannot be read: {reason}"), path)
    with open(path, encoding="ascii", errors="replace") as file:
        text = file.read().replace("TRUSTED CERTIFICATE", "CERTIFICATE")
    match = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)
    if match is None:
        raise TlsError(N_("there is no certificate (PEM) in {path}"), path=path)
    return fingerprint(ssl.PEM_cert_to_DER_cert(match[0]))


# ---- a pair of one's own -------------------------------------------------------------------------


def own_certificate(folder: str) -> tuple[str, str]:
    """Return the paths of a self-signed certificate and its key in `folder`; make them if there are none.

    The folder is for the pair alone.  It appears whole or not at all.  TlsError says what to do when that
    is not possible, or when the certificate that is there has expired.
    """
    cert, key = os.path.join(folder, _CERTIFICATE), os.path.join(folder, _KEY)
    try:
        if not os.path.lexists(cert) and not os.path.lexists(key):
            _make_folder(folder)
    except OSError as error:
        words = N_("no certificate can be kept in {folder}: {reason}")
        raise TlsError(words, folder=folder, reason=reason_for(error)) from error
    if _has_expired(cert, key):
        words = N_("the certificate {cert} has expired: delete the folder {folder}, and a new one is made")
        raise TlsError(words, cert=cert, folder=folder)
    return cert, key


def _make_folder(folder: str) -> None:
    """Make the pair in a folder beside, and move that to its place."""
    import shutil  # not at the start of every client
    import tempfile

    folder = os.path.abspath(folder)
    parent = os.path.dirname(folder)
    os.makedirs(parent, mode=0o700, exist_ok=True)
    draft = tempfile.mkdtemp(dir=parent, prefix=".tls-")  # 0700
    try:
        _make_pair(draft)
        with contextlib.suppress(FileExistsError):
            try:
                os.rename(draft, folder)  # over one that is empty, too
            except OSError as error:
                if error.errno != errno.ENOTEMPTY or not os.path.exists(os.path.join(folder, _KEY)):
                    raise  # else another server was faster: its pair is as good
    finally:
        shutil.rmtree(draft, ignore_errors=True)


_CONFIGURATION = """\
[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = {name}
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
subjectAltName = DNS:{name}, DNS:localhost, IP:127.0.0.1, IP:::1
"""


def _make_pair(folder: str) -> None:
    """Make a key and its certificate: P-256, ten years, for this machine's name and the loopback."""
    name = socket.gethostname()
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?", name, re.ASCII):
        name = "localhost"
    with open(os.path.join(folder, "request.cnf"), "w", encoding="ascii") as file:
        file.write(_CONFIGURATION.format(name=name))
    _openssl(folder, "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", _KEY)
    _openssl(folder, "req", "-new", "-x509", "-sha256", "-days", "3650", "-config", "request.cnf",
             "-key", _KEY, "-out", _CERTIFICATE)  # fmt: skip
    os.remove(os.path.join(folder, "request.cnf"))
    for path in (_CERTIFICATE, _KEY):
        with open(os.path.join(folder, path), "rb") as written:
            os.fsync(written.fileno())


def _openssl(folder: str, *arguments: str) -> None:
    """Run the openssl program in `folder`; what it makes can be read by its owner alone."""
    import subprocess  # not at the start of every client

    try:
        subprocess.run(  # noqa: S603 # no shell, and nothing in it comes from outside
            ["openssl", *arguments],  # noqa: S607 # wherever it is installed
            cwd=folder,
            env={name: value for name, value in os.environ.items() if not name.startswith("CHARLA_")},
            umask=0o077,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=OPENSSL_TIME,
        )
    except FileNotFoundError:
        words = N_(
            "the openssl program, which makes the certificate, is not installed:"
            " install openssl, or give --tls-cert FILE and --tls-key FILE"
        )
        raise TlsError(words) from None
    except subprocess.SubprocessError as error:
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace").split("\n")[0]
        words = N_("openssl did not make a certificate ({said}): give --tls-cert FILE and --tls-key FILE")
        raise TlsError(words, said=said or error) from error


def _has_expired(cert: str, key: str) -> bool:
    """Say whether a client would find the certificate expired: by asking one, without any network."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    checking = client_context(cert)
    checking.check_hostname = False
    client = checking.wrap_bio(to_client, to_server)
    server = server_context(cert, key).wrap_bio(to_server, to_client, server_side=True)
    for end in (client, server, client):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLCertVerificationError as error:
            return error.verify_code == _EXPIRED
    return False
