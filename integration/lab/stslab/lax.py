# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""A receiving server that takes a bare CR for the end of a line, as some mail gateways do.

To it CR "." CR ends a message, and what follows are commands.
"""

import contextlib
import socket
import threading
from dataclasses import dataclass

from . import middle, tls


@dataclass(frozen=True)
class Taken:
    """One message that it took."""

    sender: str
    recipient: str
    text: str


class LaxHost:
    """Has what middle.Middle has: name, exchanges, start() and stop()."""

    def __init__(self, authorities, name, address, port=25):
        self.authorities, self.name, self.address, self.port = authorities, name, address, port
        self.exchanges, self.taken = [], []
        self._listener = None

    def start(self):
        self._listener = socket.create_server((self.address, self.port), backlog=16)
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def stop(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            exchange = middle.Exchange(self.name)
            self.exchanges.append(exchange)
            threading.Thread(target=self._run, args=(sock, exchange), daemon=True).start()

    def _run(self, sock, exchange):
        try:
            with sock:
                _Dialogue(self, middle.Channel(sock), exchange).run()
        except (middle.Gone, OSError):
            pass
        finally:
            exchange.ended = True


class _Dialogue:
    """One connection."""

    def __init__(self, host, channel, exchange):
        self.host, self.channel, self.exchange = host, channel, exchange
        self.sender = self.recipient = ""
        self._replies = []

    def run(self):
        self._say(f"220 {self.host.name} ESMTP, be liberal in what you accept")
        while True:
            line = self._line()
            verb = line.partition(" ")[0].upper()
            if verb == "EHLO":
                self._say(f"250-{self.host.name}", "250 STARTTLS" if not self.channel.in_tls
                          else "250 8BITMIME")
            elif verb == "STARTTLS":
                self._say("220 2.0.0 Ready to start TLS")
                self._flush()
                self._secure()
            elif verb == "MAIL":
                self.sender = _path(line)
                self._say("250 2.1.0 Sender ok")
            elif verb == "RCPT":
                self.recipient = _path(line)
                self._say("250 2.1.5 Recipient ok")
            elif verb == "DATA":
                self._say("354 End with a dot")
                self._take()
            elif verb == "QUIT":
                self._say("221 2.0.0 Bye")
                self._flush()
                return
            else:
                self._say("250 2.0.0 Ok" if verb in ("RSET", "NOOP") else "500 5.5.1 What?")

    def _secure(self):
        tls.client_hello(self.channel.sock)
        path = self.host.authorities.kind("good", self.host.name).path
        self.channel.secure(tls.server_context(path), server_side=True)
        self.exchange.note(middle.NOTE, "a TLS handshake, with a certificate for "
                                        f"{self.host.name}", True)

    def _line(self):
        """Up to CR, LF or both: that is the fault."""
        channel = self.channel
        while b"\r" not in channel.pending and b"\n" not in channel.pending:
            self._more()
        line, end, rest = _cut(channel.pending)
        if end == b"\r" and not rest:
            # Is it half of a CRLF? An end of the connection is for the next look to find.
            with contextlib.suppress(OSError, middle.Gone):
                channel.sock.settimeout(0.2)
                self._more()
            channel.sock.settimeout(middle.SECONDS)
            line, _, rest = _cut(channel.pending)
        channel.pending = rest
        text = line.decode("utf-8", "replace")
        self.exchange.note(middle.SENDER, text, channel.in_tls)
        return text

    def _take(self):
        lines = []
        while (line := self._line()) != ".":
            lines.append(line[1:] if line.startswith(".") else line)
        self.host.taken.append(Taken(self.sender, self.recipient, "\n".join(lines)))
        self._say(f"250 2.0.0 Ok: message {len(self.host.taken)}")

    def _say(self, *lines):
        for line in lines:
            self.exchange.note(middle.SERVER, line, self.channel.in_tls)
        self._replies += lines

    def _more(self):
        """Waits for input, and answers what came before it first.

        A client that has its answer and leaves does not undo what it has sent.
        """
        self._flush()
        self.channel.more()

    def _flush(self):
        replies, self._replies = self._replies, []
        with contextlib.suppress(OSError):
            self.channel.send(replies)


def _cut(octets):
    """The first line, what ended it, and the rest."""
    at = min(place for place in (octets.find(b"\r"), octets.find(b"\n")) if place >= 0)
    end = b"\r\n" if octets[at:at + 2] == b"\r\n" else octets[at:at + 1]
    return octets[:at], end, octets[at + len(end):]


def _path(line):
    return line.partition("<")[2].partition(">")[0]
