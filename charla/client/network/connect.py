"""The route to a server: where it is, who it has to be (TLS), and the password that it asks for.

Connecting and reconnecting go the same way: connect, speak TLS and look at the certificate, read the
greeting, give the password.  Afterwards the server waits for a nick.  No thread of its own.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable

from charla.client.network.link import Connector
from charla.client.network.trust import Distrusted, Trust
from charla.common import certificates, tls
from charla.common.command_line import command
from charla.common.passwords import Password
from charla.i18n import _, system_words
from charla.protocol.messages import AskPassword
from charla.protocol.text import Refused

DEFAULT_PORT = 9000

CONNECT_TIME = 10.0
"""Seconds in which a server must accept the connection and speak TLS, and in which it then must greet."""

ANSWER_TIME = 30.0
"""Seconds in which a server must answer a password, who joins, or leaves."""


class NoConnection(Exception):
    """There is no server of Charla's to talk to: a sentence for people."""


class Route:
    """How to get to one server.  Belongs to the thread that owns the connector.

    `trust`: speak TLS, and believe only what it accepts; None: no TLS.  `insecure`: send passwords even
    where others may read them.  TlsError when the certificates of `trust` cannot be used.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        trust: Trust | None = None,
        password: Password | None = None,
        insecure: bool = False,
    ) -> None:
        self.host, self.port = host, port
        self.password = password  # None: not known
        self.asks_password = False  # the server waits for one
        # Whether passwords may be sent on the link that was made last.  Any thread may read it.
        self.tells_secrets = False
        self._trust = trust
        self._context = certificates.client_context(trust.ca) if trust is not None else None
        self._insecure = insecure

    def connect(self, connector: Connector, tell: Callable[[list[str]], None]) -> None:
        """Get there, up to where the server asks for something; `tell` people what they should know.

        NoConnection, Distrusted; Refused when the server turns everybody away, or when it asks for a
        password that others could read on its way.
        """
        where = _("{host}, port {port}").format(host=self.host, port=self.port)
        # Before anything is read: a certificate that is remembered from now on has been shown, come what may.
        tell(self._reach_or_explain(connector, where))
        try:
            self._read_greeting(connector, time.monotonic() + CONNECT_TIME)
            return
        except TimeoutError:
            words = _(
                "Something listens at {where} but says nothing: a server that hangs, or none of Charla's."
            )
            raise NoConnection(words.format(where=where)) from None
        except OSError:
            words = _("That is not a Charla server: it closed the connection. Look at --host and --port.")
        except Refused as refused:
            if refused.code != "malformed" and refused.code != "not-utf8":
                raise
            words = _("That is not a Charla server: it speaks another language. Look at --host and --port.")
        raise NoConnection(words)

    def _reach_or_explain(self, connector: Connector, where: str) -> list[str]:
        deadline = time.monotonic() + CONNECT_TIME
        try:
            self._dial(connector, deadline)
        except (socket.gaierror, UnicodeError):
            words = _("No machine is called '{host}': look at what --host says.")
            raise NoConnection(words.format(host=self.host)) from None
        except ConnectionRefusedError:
            words = _(
                "No server answers at {where}: start one there ({command}), or look at --host and --port."
            )
            server = command("charla-server") + (f" --port {self.port}" if self.port != DEFAULT_PORT else "")
            raise NoConnection(words.format(where=where, command=server)) from None
        except TimeoutError:
            words = _("Nothing answers at {where}: the machine is off, or a firewall is in between.")
            raise NoConnection(words.format(where=where)) from None
        except OSError as error:
            words = _("{where} cannot be reached: {reason}.")
            raise NoConnection(words.format(where=where, reason=system_words(error))) from None
        try:
            return self._secure(connector, deadline)
        except TimeoutError:
            words = _("Something listens at {where} but does not answer in TLS: a server that hangs.")
            if not self._knows_tls():
                words = _(
                    "Something listens at {where} but does not answer in TLS: a server that hangs, "
                    "or one without TLS; then leave out --tls."
                )
            raise NoConnection(words.format(where=where)) from None
        except OSError as error:
            why = tls.explain(error, self.host, known=self._knows_tls())
            raise NoConnection(_("No secure connection: {why}.").format(why=why)) from None

    def reconnect(self, connector: Connector, deadline: float) -> None:
        """Get there again, with the password that was right.  OSError, UnicodeError, Refused, Distrusted."""
        self._dial(connector, deadline)
        self._secure(connector, deadline)
        self._read_greeting(connector, deadline)
        if self.asks_password:
            if self.password is None:  # it did not ask for one before
                raise Refused("password-changed")
            try:
                self.give_password(connector, self.password)
            except Refused as refused:
                raise Refused("password-changed") if refused.code == "wrong-password" else refused from None

    def give_password(self, connector: Connector, password: Password) -> None:
        """Answer a server that asks for a password; keep the password until somebody says that it is wrong.

        Refused("wrong-password"): another one can be given.  Otherwise Refused: it is over (but see
        `wait_before_again` in session.py); OSError: the server is not there any more, or was not patient
        enough.
        """
        connector.put_password(password.reveal())
        deadline = time.monotonic() + ANSWER_TIME
        self.password = password
        try:
            greeting = connector.read_greeting(deadline)
        except Refused as refused:
            if refused.code in ("wrong-password", "too-many-passwords"):
                self.password = None
            if refused.code == "wrong-password":
                with contextlib.suppress(OSError):  # or it hangs up
                    connector.read_greeting(deadline)  # it asks again
            raise
        if isinstance(greeting, AskPassword):
            self.password = None
            raise Refused("wrong-password")
        self.asks_password = False

    def _dial(self, connector: Connector, deadline: float) -> None:
        connector.drop()
        self.tells_secrets = False
        connector.dial(self.host, self.port, deadline)

    def _secure(self, connector: Connector, deadline: float) -> list[str]:
        """Speak TLS, if that is wanted, with a server that is trusted: before anything is said."""
        if self._trust is None or self._context is None:
            self.tells_secrets = self._insecure or connector.is_loopback()
            return []
        try:
            notices = self._trust.judge(connector.encrypt(self._context, self.host, deadline))
        except ssl.SSLCertVerificationError as error:
            raise Distrusted(
                _("No secure connection: {why}.").format(why=tls.explain(error, self.host)),
                _("Nothing was sent."),
            ) from None
        except OSError as error:
            if tls.is_plain_text(error) and self._trust.knows_tls():
                raise Distrusted(
                    _("WARNING: {host}, port {port}, DOES NOT SPEAK TLS, AND IT SHOULD.").format(
                        host=self.host, port=self.port
                    ),
                    _(
                        "It did before, or you have said what its certificate is. Somebody may be between "
                        "you and the server; or it was started without TLS: ask who runs it. "
                        "Nothing was sent."
                    ),
                ) from None
            raise
        self.tells_secrets = True
        return notices

    def _knows_tls(self) -> bool:
        return self._trust is not None and self._trust.knows_tls()

    def _read_greeting(self, connector: Connector, deadline: float) -> None:
        self.asks_password = isinstance(connector.read_greeting(deadline), AskPassword)
        if self.asks_password and not self.tells_secrets:
            raise Refused("password-in-clear")
