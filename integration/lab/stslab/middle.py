# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The attacker on the wire: stands where the MX host is expected and passes on to the real one.

Every line that goes by is noted, with a flag whether TLS covered it and who
said it.  A Manner says what he does beyond listening; it may be changed at
run time.  What he could read is in heard(); of TLS that is not his he sees
octets alone.
"""

import contextlib
import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field

from . import tls

SENDER, SERVER, ATTACKER, NOTE = "sender", "server", "attacker", "note"
LONGEST = 4096          # of a transcript, in lines
SECONDS = 30            # that a silent connection is held


@dataclass(frozen=True)
class Manner:
    """The attacker's behaviour; the default is to pass everything on."""

    strip: bool = False             # takes STARTTLS out of the answer to EHLO
    starttls: str = None            # answers STARTTLS with this
    handshake: bytes = None         # answers the ClientHello with these octets
    offered: bytes = None           # the same, where it offers a session; b"" closes
    named: bytes = None             # the same, where it has a server name
    certificate: str = None         # ends TLS himself, with this kind of ca.Authorities
    inject: bytes = b""             # plaintext in one segment with the 220 to STARTTLS


@dataclass(frozen=True)
class Entry:
    """One line of a transcript."""

    who: str
    text: str
    tls: bool = False


@dataclass
class Exchange:
    """One connection, as the attacker saw it."""

    host: str
    entries: list = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)   # that the attacker could read
    content_tls: bool = False       # it came over TLS that ended at the attacker
    opaque: bool = False            # TLS between the other two went by
    ended: bool = False

    def note(self, who, text, in_tls=False):
        if len(self.entries) < LONGEST:
            self.entries.append(Entry(who, text, in_tls))


class Gone(Exception):
    """One of the two has left."""


class Channel:
    """Lines and octets over a socket that may turn into TLS."""

    def __init__(self, sock):
        self.sock, self.pending, self.in_tls = sock, b"", False
        sock.settimeout(SECONDS)

    def more(self):
        octets = self.sock.recv(65536)
        if not octets:
            raise Gone
        self.pending += octets

    def line(self):
        while b"\n" not in self.pending:
            self.more()
        line, _, self.pending = self.pending.partition(b"\n")
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def content(self):
        """Octets up to and with the final dot."""
        taken = b""
        while True:
            seen = taken + self.pending
            end = 3 if seen.startswith(b".\r\n") else seen.find(b"\r\n.\r\n") + 5
            if end >= 5 or seen.startswith(b".\r\n"):
                self.pending = seen[end:]
                return seen[:end]
            taken, self.pending = seen, b""
            self.more()

    def reply(self):
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return lines

    def send(self, lines):
        self.sock.sendall("".join(line + "\r\n" for line in lines).encode("utf-8", "replace"))

    def secure(self, context, **options):
        self.sock = context.wrap_socket(self.sock, **options)
        self.pending, self.in_tls = b"", True


class Middle:
    """Listens at `address` as `name`, and passes on to `upstream`."""

    def __init__(self, authorities, name, address, upstream, manner=Manner(), port=25):
        self.authorities, self.name = authorities, name
        self.address, self.port, self.upstream = address, port, upstream
        self.manner = manner
        self.exchanges = []
        self._listener = None

    def start(self):
        self._listener = socket.create_server((self.address, self.port), backlog=64)
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def stop(self):
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def _serve(self):
        listener = self._listener
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            exchange = Exchange(self.name)
            self.exchanges.append(exchange)
            threading.Thread(target=self._run, args=(sock, exchange), daemon=True).start()

    def _run(self, sock, exchange):
        try:
            with sock, socket.create_connection(self.upstream, SECONDS) as server:
                talk = _Talk(self, exchange, Channel(sock), Channel(server))
                try:
                    talk.run()
                finally:
                    talk.close()
        except (Gone, OSError):
            pass
        finally:
            exchange.ended = True


class _Talk:
    """One connection and its way on."""

    def __init__(self, middle, exchange, client, server):
        self.middle, self.exchange = middle, exchange
        self.client, self.server = client, server
        self.does = middle.manner

    def close(self):
        for channel in (self.client, self.server):
            with contextlib.suppress(OSError):
                channel.sock.close()

    def run(self):
        self._answer(SERVER, self.server.reply())
        while True:
            line = self.client.line()
            self.exchange.note(SENDER, line, self.client.in_tls)
            verb = line.partition(" ")[0].upper()
            if verb == "STARTTLS":
                self._starttls(line)
                continue
            reply = self._ask(line)
            if verb == "EHLO" and self.does.strip:
                self.exchange.note(ATTACKER, "takes out of the answer: STARTTLS")
                reply = _without_starttls(reply)
            self._answer(SERVER, reply)
            if verb == "DATA" and reply[0].startswith("354"):
                self._content()
            elif verb == "QUIT":
                return

    def _ask(self, line):
        self.server.send([line])
        return self.server.reply()

    def _answer(self, who, lines):
        for line in lines:
            self.exchange.note(who, line, self.client.in_tls)
        self.client.send(lines)

    def _content(self):
        octets = self.client.content()
        self.exchange.content += octets
        self.exchange.content_tls = self.client.in_tls
        for line in octets.decode("utf-8", "replace").split("\r\n")[:-1]:
            self.exchange.note(SENDER, line, self.client.in_tls)
        self.server.sock.sendall(octets)
        self._answer(SERVER, self.server.reply())

    def _starttls(self, line):
        does = self.does
        if does.strip or does.starttls:
            self._answer(ATTACKER, [does.starttls or "502 5.5.1 Not here"])
        elif does.handshake is not None:
            self._break_handshake()
        elif does.certificate:
            self._end_tls()
        else:
            self._pass_tls(line)

    def _break_handshake(self):
        self._answer(ATTACKER, ["220 2.0.0 Ready to start TLS"])
        tls.client_hello(self.client.sock)
        self.exchange.note(NOTE, "the sender's ClientHello is answered with garbage")
        self.client.sock.sendall(self.does.handshake)
        time.sleep(0.05)
        raise Gone

    def _end_tls(self):
        """TLS with the sender under the attacker's certificate, and separate TLS to the real host."""
        self._answer(ATTACKER, ["220 2.0.0 Ready to start TLS"])
        certificate = self.middle.authorities.kind(self.does.certificate, self.middle.name)
        self.exchange.note(NOTE, f"TLS ends here, with the attacker's certificate: "
                                 f"{CERTIFICATES[self.does.certificate]}")
        try:
            self.client.secure(tls.server_context(certificate.path), server_side=True)
        except (ssl.SSLError, OSError) as error:
            self.exchange.note(NOTE, f"the sender broke the handshake off: {_why(error)}")
            raise Gone from None
        self.exchange.note(NOTE, "the handshake is done", True)
        self._ask("STARTTLS")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.server.secure(context)

    def _pass_tls(self, line):
        """The rest is between the other two, apart from octets that the attacker injects first."""
        reply = self._ask(line)
        for text in reply:
            self.exchange.note(SERVER, text)
        octets = "".join(text + "\r\n" for text in reply).encode("utf-8")
        if self.does.inject:
            for text in self.does.inject.decode("ascii").splitlines():
                self.exchange.note(ATTACKER, text)
        self.client.sock.sendall(octets + self.does.inject)
        if not reply[0].startswith("220"):
            return
        hello = tls.client_hello(self.client.sock)
        self._reject(hello)
        name = f", for {hello.sni}" if hello and hello.sni else ""
        self.exchange.note(NOTE, f"a TLS handshake begins{name}")
        self._pump()
        raise Gone

    def _reject(self, hello):
        """Ends the connection at a ClientHello that the attacker does not let pass."""
        answer = None
        if hello and hello.offers_session:
            answer, what = self.does.offered, "a session to be resumed"
        if hello and hello.sni and answer is None:
            answer, what = self.does.named, "a server name"
        if answer is None:
            return
        self.exchange.note(NOTE, f"the sender's ClientHello has {what}: the connection is ended")
        self.client.sock.recv(65536)    # which was only looked at: closing would send RST
        self.client.sock.sendall(answer)
        raise Gone

    def _pump(self):
        """Octets both ways until one side leaves; the attacker can only count them."""
        ends = {self.client.sock: self.server.sock, self.server.sock: self.client.sock}
        counts = dict.fromkeys(ends, 0)
        with contextlib.suppress(OSError):
            while ready := select.select(list(ends), [], [], SECONDS)[0]:
                for source in ready:
                    octets = source.recv(65536)
                    if not octets:
                        ready = None
                        break
                    counts[source] += len(octets)
                    ends[source].sendall(octets)
                if ready is None:
                    break
        self.exchange.opaque = counts[self.client.sock] > 1000
        self.exchange.note(NOTE, f"{counts[self.client.sock]} octets there and "
                                 f"{counts[self.server.sock]} back, that only the two can "
                                 "read", True)


CERTIFICATES = {
    "self-signed": "self-signed",
    "expired": "from a trusted CA, expired",
    "wrong-name": "from a trusted CA, for another name",
    "rogue": "from a CA that nobody trusts",
    "good": "from a trusted CA, for his own name",
}


def _without_starttls(lines):
    kept = [line for line in lines if line[4:].strip().upper() != "STARTTLS"]
    return [line[:3] + "-" + line[4:] for line in kept[:-1]] + [
        kept[-1][:3] + " " + kept[-1][4:]]


def _why(error):
    """The TLS library's reason in small letters."""
    reason = getattr(error, "reason", None) or "the connection was closed"
    return reason.lower().replace("_", " ")
