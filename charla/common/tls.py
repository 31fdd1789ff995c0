"""TLS as a filter over a connection's socket, for the server and the client; and why a handshake failed.

A connection has a thread that reads and one that writes, and an `ssl.SSLSocket` must not be shared by
two.  So TLS is a filter here, bytes in and bytes out (`ssl.SSLObject` between two `ssl.MemoryBIO`), over
the very same socket, and one lock per connection keeps its records in order.  `TlsSocket` looks like the
socket, but for two things: `recv` may have nothing to show for what came (None), and ciphertext may wait
for the socket when all plaintext has been taken (`pending`).

The lock is a leaf, and nothing waits while it is held: under it are no other lock, no log and no disk,
and the socket is only sent on without waiting.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import ssl
import threading

from charla.common.certificates import reason_for
from charla.i18n import N_, _

RECORD_SIZE = 8 * 1024
"""Bytes of plaintext in one record of ours.  Half of what there may be (RFC 8446, 5.1): `ncat --ssl` (7.93)
shows 8 KiB of a record, and the rest when more comes."""

AHEAD = 2 * RECORD_SIZE
"""Bytes of plaintext that are encrypted for one send: a batch of the room's is often longer than a record."""

LARGEST_RECORD = 16 * 1024
"""Bytes of plaintext in one record of anybody's, at the most: what is read at a time is all of one."""

CIPHERTEXT_LIMIT = 64 * 1024
"""Bytes of ciphertext that may wait: what is encrypted ahead, and answers to a peer that never reads them."""

_DONTWAIT = getattr(socket, "MSG_DONTWAIT", 0)  # none on Windows, where the client does not block anyway


class TlsSocket:
    """A connected socket that speaks TLS; nothing can be sent before its handshake is done.

    Any thread may `send`, `shutdown` and look at `pending`; one does the handshake, receives and closes.
    """

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        server_hostname: str | None = None,
    ) -> None:
        self.pending = False  # ciphertext waits: send(b"") when the socket is writable.  Set under the lock
        self._sock = sock
        self._lock = threading.Lock()  # guards all that follows, and the sending of ciphertext
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        self._unsent = b""  # ciphertext that the socket did not take; what is in _outgoing comes after it
        self._established = False
        self._half_closing = False  # end of stream is to be sent behind the ciphertext that waits
        # The receiving thread's own:
        self._started = False  # a client's first word has been said
        self._early: list[bytes] = []  # text that came with the last of the handshake
        self._ended: OSError | bool = False  # True: the peer said goodbye; an error: raised from now on

    # ---- handshake: the receiving thread ---------------------------------------------------------

    def begins_like_tls(self) -> bool:
        """Wait for the peer's first byte; say whether it begins a TLS handshake (RFC 8446, 5.1).

        Before the handshake, on a blocking socket.  Nothing within its SO_RCVTIMEO: no, too.  OSError.
        """
        try:
            return self._sock.recv(1, socket.MSG_PEEK) in (b"\x16", b"")  # b"": the handshake will tell
        except BlockingIOError:
            return False

    def send_in_the_clear(self, data: bytes) -> None:
        """Tell a peer that speaks no TLS something, as far as the socket takes it; before the handshake."""
        with contextlib.suppress(OSError):
            self._sock.send(data, _DONTWAIT)

    def handshake_step(self) -> bool:
        """Go on with the handshake as far as it goes on a non-blocking socket; return whether it is done.

        If not, call it again when the socket is readable (or writable, while `pending`).  Once it is done,
        call `recv` before waiting: the peer's first words may have come with its last of the handshake.
        OSError when it fails (`explain` words it), ConnectionResetError when the peer is gone.
        """
        try:
            data = self._receive_handshake() if self._started else b""
        except BlockingIOError:
            data = b""
        return self._advance(data)

    def handshake(self) -> None:
        """Do the whole handshake on a blocking socket.  OSError when it fails, or is ended by `shutdown`.

        BlockingIOError when the socket's SO_RCVTIMEO passes: call it again to go on.
        """
        done = self._advance(b"")
        while True:
            while self.pending:
                writable = select.poll()
                writable.register(self._sock, select.POLLOUT)
                writable.poll()
                with self._lock:
                    self._flush(_DONTWAIT)
            if done:
                return
            done = self._advance(self._receive_handshake())

    def _receive_handshake(self) -> bytes:
        data = self._sock.recv(RECORD_SIZE)
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "the peer hung up during the TLS handshake")
        return data

    def _advance(self, data: bytes) -> bool:
        """Feed `data` to the handshake and send what it says to that, also when it fails."""
        with self._lock:
            self._started = True
            self._incoming.write(data)
            try:
                self._ssl.do_handshake()
                self._established = True
                # At once: behind a `shutdown` that comes before the first `recv` OpenSSL takes no text.
                self._early = self._decrypt()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                with contextlib.suppress(OSError):  # an alert
                    self._flush(_DONTWAIT)
                raise
            self._flush(_DONTWAIT)
        return self._established

    def peer_certificate(self) -> bytes:
        """Return the certificate of the peer (DER), or b"" when it has none.  After the handshake."""
        with self._lock:
            return self._ssl.getpeercert(binary_form=True) or b""

    # ---- receiving: one thread -------------------------------------------------------------------

    def recv(self, size: int) -> bytes | None:
        """Receive up to `size` bytes of ciphertext; return all the text they complete, or None: none.

        The text may be longer than `size`, by what had come of its record before.  b"" when the peer has
        said that nothing follows (close_notify).  Otherwise OSError: BlockingIOError as by the socket,
        ssl.SSLEOFError when the stream ends without that goodbye (something may be missing), ssl.SSLError.
        """
        if not self._established:
            raise OSError(errno.ENOTCONN, "the TLS handshake is not done")
        if self._early:
            early, self._early = self._early, []
            return b"".join(early)
        if self._ended:
            if self._ended is True:
                return b""
            raise self._ended
        data = self._sock.recv(size)  # outside the lock: this may wait
        if not data:
            # OpenSSL is not told of it: it would send nothing any more, and who ends the stream like this
            # may still listen (ncat does, at the end of its input).
            self._ended = ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the stream has ended without a TLS goodbye")
            raise self._ended
        return self._read(data)

    def _read(self, data: bytes) -> bytes | None:
        """Decrypt `data`, and send what TLS has to say to it (answers to KeyUpdate, alerts)."""
        with self._lock:
            self._incoming.write(data)
            texts = self._decrypt()
            if self._outgoing.pending:
                with contextlib.suppress(OSError):  # the sender meets it too; there may be more to receive
                    self._flush(_DONTWAIT)
                if len(self._unsent) > CIPHERTEXT_LIMIT:
                    self._ended = OSError(errno.ENOBUFS, "the peer asks for more TLS answers than it reads")
        if texts:
            return b"".join(texts)
        if self._ended is True:
            return b""
        if self._ended:
            raise self._ended
        return None

    def _decrypt(self) -> list[bytes]:
        """Return the text that has come whole; take note of its end.  Under the lock."""
        texts: list[bytes] = []
        try:
            while text := self._ssl.read(LARGEST_RECORD):
                texts.append(text)
                if not self._incoming.pending:
                    # To be told so by OpenSSL would let go of the interpreter's lock once more for each line.
                    return texts
            self._ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._ended = True
        except OSError as error:
            self._ended = error.with_traceback(None)  # which would hold all this until the collector comes
        return texts

    # ---- sending: any thread ---------------------------------------------------------------------

    def send(self, data: bytes | bytearray | memoryview, flags: int = 0) -> int:
        """Encrypt and send what the socket takes of `data`; return how many bytes were taken.

        Up to AHEAD bytes of what was taken may still wait, as ciphertext (`pending`).  BlockingIOError when
        nothing can be taken.  Without `data`, what waits is sent on.  `flags` are the raw send's:
        MSG_DONTWAIT, unless the socket is non-blocking.  OSError when the connection is broken.
        """
        with self._lock:
            if not self._established:
                raise OSError(errno.ENOTCONN, "the TLS handshake is not done")
            if self.pending:
                self._flush(flags)
                if self.pending and data:
                    raise BlockingIOError(errno.EAGAIN, "ciphertext waits")
            size = len(data)
            if size <= RECORD_SIZE:
                if size:
                    self._ssl.write(data)
                    self._flush(flags)
                return size
            taken = 0
            with memoryview(data) as view:
                while taken < size and not self.pending:
                    enough = min(taken + AHEAD, size)
                    while taken < enough:
                        taken += self._ssl.write(view[taken : min(taken + RECORD_SIZE, enough)])
                    self._flush(flags)
            return taken

    def _flush(self, flags: int) -> None:
        """Send ciphertext as far as the socket takes it, and end of stream behind it.  Under the lock."""
        unsent = self._outgoing.read()
        if self.pending:
            unsent = self._unsent + unsent
        # What fails to go stays in front, so that what is encrypted later can only follow it.
        self._unsent = unsent
        if unsent:
            try:
                sent = self._sock.send(unsent, flags)
            except BlockingIOError:
                sent = 0
            self._unsent = unsent = unsent[sent:]
        self.pending = bool(unsent)
        if self._half_closing and not unsent:
            self._half_closing = False
            self._sock.shutdown(socket.SHUT_WR)

    def shutdown(self, how: int) -> None:
        """SHUT_WR: say goodbye (close_notify), then end of stream, behind what waits.  Else: end it now.

        While `pending` after SHUT_WR, the end waits too, and goes with the flush that empties it.
        """
        if how == socket.SHUT_WR:
            with self._lock:
                if self._established:
                    # Want read: the peer's own goodbye is not there yet.  Other errors: it ends all the same.
                    with contextlib.suppress(ssl.SSLError):
                        self._ssl.unwrap()
                    self._half_closing = True
                    self._flush(_DONTWAIT)
                    return
        self._sock.shutdown(how)

    # ---- as of the socket ------------------------------------------------------------------------

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        """Close the socket: the receiving thread, last of all.  No goodbye: that is `shutdown(SHUT_WR)`."""
        self._sock.close()

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        self._sock.setsockopt(level, option, value)

    def setblocking(self, flag: bool) -> None:
        self._sock.setblocking(flag)

    def getpeername(self) -> object:
        return self._sock.getpeername()


# ---- why a handshake failed ----------------------------------------------------------------------

_PLAIN_TEXT = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}
_OLD_VERSION = {"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE"}


def is_plain_text(error: OSError) -> bool:
    """Say whether a handshake failed because the other side answered with something else than TLS."""
    return getattr(error, "reason", None) in _PLAIN_TEXT


def explain(error: OSError, host: str, *, known: bool = False) -> str:
    """Word for a person why the handshake with the server at `host` failed.

    `known`: it is one that speaks TLS, so nobody is told to do without.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        words = _(
            "the certificate of {host} is not to be trusted: {reason};"
            " give the right one with --tls-ca, or give instead --tls-fingerprint with what the server"
            " printed when it was started"
        )
        return words.format(host=host, reason=_verify_reason(error, host))
    if isinstance(error, ConnectionError | ssl.SSLEOFError):
        words = _("{host} hung up during the TLS handshake: it may have too many connections from here")
        if not known:
            words = _(
                "{host} hung up during the TLS handshake: it may have too many connections from here, "
                "or speak no TLS (then leave out --tls)"
            )
        return words.format(host=host)
    if is_plain_text(error):
        return _("{host} does not speak TLS: leave out --tls").format(host=host)
    if getattr(error, "reason", None) in _OLD_VERSION:
        return _("{host} speaks no TLS 1.3, which is the oldest we speak").format(host=host)
    words = _("the TLS handshake with {host} failed: {reason}")
    return words.format(host=host, reason=reason_for(error))


# What is wrong with a certificate, by X509_V_ERR_... (openssl-verify(1)), in OpenSSL's own words.
_VERIFY_REASONS = {
    9: N_("certificate is not yet valid"),
    10: N_("certificate has expired"),
    18: N_("self-signed certificate"),
    19: N_("self-signed certificate in certificate chain"),
    20: N_("unable to get local issuer certificate"),
    21: N_("unable to verify the first certificate"),
    62: N_("it is not valid for '{host}'"),
    64: N_("it is not valid for '{host}'"),
}


def _verify_reason(error: ssl.SSLCertVerificationError, host: str) -> str:
    if error.verify_code in _VERIFY_REASONS:
        return _(_VERIFY_REASONS[error.verify_code]).format(host=host)
    return error.verify_message.rstrip(".")
