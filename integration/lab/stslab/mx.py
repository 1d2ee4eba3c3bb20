# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""A scriptable MX host that records the wire.

A Behaviour says what the host does at each stage of the dialogue; the
recipients' local parts can have replies of their own.  What came in is kept
per connection: every line with a flag whether TLS covered it, the content
exactly as it was sent, SNI, TLS version, resumption.

An action at any stage is one of

  "250 2.0.0 Ok"        a reply; several lines joined by "\\n"
  b"..."                these octets, as they are
  Drop() / Reset()      close with FIN / with RST
  Silence()             say nothing more, until the client leaves
  Slow(seconds, action) wait, then do `action`
  Endless(line)         send `line` again and again
  InPieces(octets, n)   send them n at a time, then go on, or close with FIN
"""

import socket
import ssl
import threading
import time
from dataclasses import dataclass, field

from . import tls


@dataclass(frozen=True)
class Drop:
    """Close the connection."""


@dataclass(frozen=True)
class Reset:
    """Close the connection with RST."""


@dataclass(frozen=True)
class Silence:
    """Say nothing more."""


@dataclass(frozen=True)
class Slow:
    """Wait `seconds`, then do `action`."""

    seconds: float
    action: object


@dataclass(frozen=True)
class Endless:
    """Send `line` for ever, with a pause between."""

    line: bytes
    pause: float = 0


@dataclass(frozen=True)
class InPieces:
    """Send `octets` `size` at a time, each piece on its own."""

    octets: bytes
    size: int
    close: bool = False


@dataclass
class Behaviour:
    """The host's behaviour at each stage; the default is a good host."""

    greeting: object = None                 # None: 220 with the host's name
    connections_of_one: int = None          # more from one client get `too_many` for a greeting
    too_many: object = "421 4.7.0 Too many connections from you"
    ehlo: object = None                     # None: 250 with `extensions`
    helo: object = None
    extensions: tuple = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8", "SIZE 0")
    extensions_after_tls: tuple = None      # None: the same
    starttls: object = "220 2.0.0 Go ahead"  # None: not offered; anything but 220: refused
    offer_starttls: bool = True
    handshake: object = None                # an action in place of our answer to the hello
    offered: object = None                  # the same, where the hello offers a session
    named: object = None                    # the same, where it has a server name
    inject: bytes = b""                     # plaintext sent in one segment with the 220
    certificate: str = "good"               # a kind of ca.Authorities
    certificate_for: str = None             # a name other than the host's
    dh_group: str = None                    # with an RSA certificate, up to TLS 1.2: "ffdhe8192"
    tickets: int = 2                        # session tickets that a TLS 1.3 client gets
    minimum_tls: str = "TLSv1"
    maximum_tls: str = "TLSv1.3"
    messages_per_connection: int = None     # MAIL after so many gets `worn`
    worn: object = "550 5.7.1 Too many mails per connection"
    mail: object = "250 2.1.0 Sender ok"
    rcpt: dict = field(default_factory=dict)  # local part -> action
    most_recipients: int = None             # of one message; the next gets 552
    data: object = "354 End with a dot"
    drop_in_data: int = None                # close after so many octets of content
    dot: object = None                      # None: 250 with a queue id
    dot_for: dict = field(default_factory=dict)  # local part of the only recipient -> action
    quit: object = "221 2.0.0 Bye"
    require_tls_first: bool = False         # MAIL without TLS gets 530
    loses_pipelined: bool = False           # of commands that come together, all but the first
    round_trip: float = 0                   # seconds that a far host's answers take longer

    def for_connection(self):
        """What a new connection meets; a subclass may answer with another Behaviour."""
        return self

    def for_transaction(self, _number):
        """The same from the connection's MAIL of this number on, counted from 1."""
        return self


@dataclass(frozen=True)
class Line:
    """One command line."""

    text: str
    tls: bool
    at: float

    @property
    def verb(self):
        return self.text.split(" ")[0].split(":")[0].upper()


@dataclass
class Message:
    """One transaction that reached the end of its data."""

    sender: str
    recipients: list
    content: bytes      # as the final recipient would see it
    wire: bytes         # with dot-stuffing, up to and with the final dot
    tls: bool
    at: float
    accepted: bool      # the host said 250


@dataclass
class Connection:
    """The actions of one client."""

    peer: str
    at: float
    lines: list = field(default_factory=list)
    transactions: list = field(default_factory=list)
    content_octets: int = 0
    plaintext_content_octets: int = 0
    sni: str = None
    offers_session: bool = False
    tls_version: str = None
    cipher: str = None
    resumed: bool = False
    ended: str = ""     # "quit", "client", "host"
    ended_at: float = None

    @property
    def messages(self):
        """The transactions the host took."""
        return [message for message in self.transactions if message.accepted]

    @property
    def verbs(self):
        return [line.verb for line in self.lines]

    def said(self, verb, in_tls=None):
        """The lines that begin with `verb`, all or those in or out of TLS."""
        return [line.text for line in self.lines
                if line.verb == verb and in_tls in (None, line.tls)]


class _Ended(Exception):
    """The dialogue is over."""


class MxHost:
    """A listener on one address with one Behaviour, which may be replaced at run time."""

    def __init__(self, authorities, name, address, behaviour=None, port=25):
        self.authorities = authorities
        self.name, self.address, self.port = name, address, port
        self.behaviour = behaviour or Behaviour()
        self.connections = []
        self.stopping = threading.Event()
        self._listener = None
        self._dialogues = set()
        self._served = []
        self._lock = threading.Lock()

    def start(self):
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((self.address, self.port))
        self._listener.listen(256)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def stop(self):
        """Stop listening and cut what runs."""
        self.stopping.set()
        if self._listener is not None:
            try:
                self._listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self._listener.close()
            self._thread.join(5)
            self._listener = None
        self.cut_connections()

    def cut_connections(self):
        """Lose every open connection."""
        for dialogue in list(self._dialogues):
            dialogue.cut()

    def certificate(self):
        """The ca.Certificate that it shows."""
        return self.authorities.kind(self.behaviour.certificate,
                                     self.behaviour.certificate_for or self.name)

    def most_at_once(self):
        """How many connections were open at the same time, at most.

        One that ends within 0.1 s of another's begin counts as gone: the host
        hears of the end a little late.
        """
        return max((sum(other.at <= begun.at and (other is begun or other.ended_at is None
                                                  or other.ended_at > begun.at + 0.1)
                        for other in self.connections) for begun in self.connections), default=0)

    def is_crowded(self, connection):
        """Does its client have too many others? Those that were turned away count for none."""
        most = self.behaviour.connections_of_one
        with self._lock:
            others = [one for one in self._served if one.peer == connection.peer
                      and one.ended_at is None]
            if most is not None and len(others) >= most:
                return True
            self._served = [*(one for one in self._served if one.ended_at is None), connection]
            return False

    @property
    def messages(self):
        return [message for connection in self.connections for message in connection.messages]

    @property
    def lines(self):
        return [line for connection in self.connections for line in connection.lines]

    def leaked(self):
        """The data that a downgrade would have disclosed: transactions begun, content octets."""
        begun = [line.text for line in self.lines if line.verb in ("MAIL", "RCPT", "DATA", "BDAT")]
        return begun, sum(connection.content_octets for connection in self.connections)

    def _serve(self):
        while not self.stopping.is_set():
            try:
                sock, peer = self._listener.accept()
            except OSError:
                return
            connection = Connection(peer[0], time.monotonic())
            self.connections.append(connection)
            threading.Thread(target=self._run, args=(sock, connection), daemon=True).start()

    def _run(self, sock, connection):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        dialogue = _Dialogue(self, sock, connection)
        self._dialogues.add(dialogue)
        try:
            dialogue.run()
        except _Ended:
            pass
        except OSError:
            connection.ended = connection.ended or "client"
        finally:
            connection.ended_at = time.monotonic()
            self._dialogues.discard(dialogue)
            dialogue.close()


class _Dialogue:
    """One connection's SMTP dialogue."""

    def __init__(self, host, sock, connection):
        self.host, self.sock, self.connection = host, sock, connection
        self.does = host.behaviour.for_connection()
        self.mails = 0
        self.in_tls = False
        self.pending = b""
        self.sender, self.recipients = None, []

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass

    def cut(self):
        """From another thread: the connection is lost."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def run(self):
        self.sock.settimeout(60)
        time.sleep(self.does.round_trip)
        if self.host.is_crowded(self.connection):
            self._act(self.does.too_many)
            self._end(Drop())
        self._act(self.does.greeting or f"220 {self.host.name} ESMTP stslab")
        handlers = {"EHLO": self._ehlo, "HELO": self._helo, "STARTTLS": self._starttls,
                    "MAIL": self._mail, "RCPT": self._rcpt, "DATA": self._data,
                    "RSET": self._rset, "NOOP": self._noop, "QUIT": self._quit}
        while True:
            line = self._line()
            handler = handlers.get(line.verb)
            if handler is None:
                self._act("502 5.5.2 What?")
            else:
                handler(line.text)

    def _line(self):
        text = self._until(b"\n").decode("utf-8", "surrogateescape").rstrip("\r\n")
        line = Line(text, self.in_tls, time.monotonic())
        self.connection.lines.append(line)
        return line

    def _until(self, end):
        while end not in self.pending:
            more = self._recv()
            if not more:
                self.connection.ended = "client"
                raise _Ended
            self.pending += more
        head, _, self.pending = self.pending.partition(end)
        if self.does.loses_pipelined:
            self.pending = b""
        return head + end

    def _recv(self):
        octets = self.sock.recv(65536)
        if self.does.round_trip:
            time.sleep(self.does.round_trip)
        return octets

    def _act(self, action):
        """Do one action; ends the dialogue where the action does."""
        if isinstance(action, Slow):
            self.host.stopping.wait(action.seconds)
            self._act(action.action)
        elif isinstance(action, str):
            self.sock.sendall(_reply(action))
        elif isinstance(action, bytes):
            self.sock.sendall(action)
        elif isinstance(action, InPieces):
            for at in range(0, len(action.octets), action.size):
                self.sock.sendall(action.octets[at:at + action.size])
            if action.close:
                self._end(Drop())
        elif isinstance(action, Endless):
            while not self.host.stopping.is_set():
                self.sock.sendall(action.line)
                self.host.stopping.wait(action.pause)
        else:
            self._end(action)

    def _end(self, action):
        self.connection.ended = "host"
        if isinstance(action, Silence):
            self._hold()
        elif isinstance(action, Reset):
            tls.reset(self.sock)
        raise _Ended

    def _hold(self):
        """Listen and say nothing, until the client leaves."""
        self.sock.settimeout(0.5)
        while not self.host.stopping.is_set():
            try:
                if not self._recv():
                    return
            except (TimeoutError, ssl.SSLWantReadError):
                continue

    def _ehlo(self, _):
        if self.does.ehlo is not None:
            self._act(self.does.ehlo)
            if not isinstance(self.does.ehlo, Slow):
                return
        offered = self.does.extensions
        if self.in_tls and self.does.extensions_after_tls is not None:
            offered = self.does.extensions_after_tls
        lines = [self.host.name, *offered]
        if self.does.offer_starttls and self.does.starttls is not None and not self.in_tls:
            lines.append("STARTTLS")
        self._act("\n".join("250 " + line for line in lines))

    def _helo(self, _):
        self._act(self.does.helo or f"250 {self.host.name}")

    def _starttls(self, _):
        does = self.does
        if does.starttls is None:
            self._act("502 5.5.1 Not here")
            return
        if does.starttls != Behaviour.starttls:
            self._act(does.starttls)
            return
        self.sock.sendall(_reply(does.starttls) + does.inject)
        hello = tls.client_hello(self.sock)
        if hello is not None:
            self.connection.sni = hello.sni
            self.connection.offers_session = hello.offers_session
        action = self._answer_to(hello)
        if action is not None:
            self._act(action)
            self.connection.ended = "host"
            self._hold()
            raise _Ended
        if hello is None:
            self.connection.ended = "client"
            raise _Ended
        self._secure()

    def _answer_to(self, hello):
        """The replacement of our answer to the hello; None: the handshake."""
        does = self.does
        if does.offered is not None and hello and hello.offers_session:
            return does.offered
        if does.named is not None and hello and hello.sni:
            return does.named
        return does.handshake

    def _secure(self):
        time.sleep(self.does.round_trip)
        path = self.host.certificate().path
        context = tls.server_context(path, self.does.minimum_tls, self.does.maximum_tls,
                                     self.does.tickets, self.does.dh_group)
        self.sock.settimeout(60)
        self.sock = context.wrap_socket(self.sock, server_side=True)
        self.in_tls, self.pending = True, b""
        self.connection.tls_version = self.sock.version()
        self.connection.cipher = self.sock.cipher()[0]
        self.connection.resumed = self.sock.session_reused

    def _mail(self, text):
        if self.does.require_tls_first and not self.in_tls:
            self._act("530 5.7.0 Must issue a STARTTLS command first")
            return
        if len(self.connection.transactions) == self.does.messages_per_connection:
            self._act(self.does.worn)
            return
        self.mails += 1
        self.does = self.does.for_transaction(self.mails)
        self.sender, self.recipients = _path(text), []
        self._act(self.does.mail)

    def _rcpt(self, text):
        address = _path(text)
        action = self.does.rcpt.get(address.rpartition("@")[0], "250 2.1.5 Recipient ok")
        if _says(action, "2") and len(self.recipients) == self.does.most_recipients:
            action = "552 Too many recipients"
        if _says(action, "2"):
            self.recipients.append(address)
        self._act(action)

    def _data(self, _):
        if self.does.data == Behaviour.data and not self.recipients:
            self._act("554 5.5.1 No valid recipients")
            return
        self._act(self.does.data)
        if not _says(self.does.data, "354"):
            return
        wire = self._content()
        content = (b"\r\n" + wire[:-3]).replace(b"\r\n.", b"\r\n")[2:]
        action = self._final_action()
        accepted = action is None or _accepts(action)
        self.connection.transactions.append(Message(
            self.sender, list(self.recipients), content, wire, self.in_tls,
            time.monotonic(), accepted))
        self._act(action or f"250 2.0.0 Ok: queued as {len(self.connection.transactions)}")
        self.sender, self.recipients = None, []

    def _final_action(self):
        if len(self.recipients) == 1:
            local = self.recipients[0].rpartition("@")[0]
            if local in self.does.dot_for:
                return self.does.dot_for[local]
        return self.does.dot

    def _content(self):
        """The octets up to and with the final dot, counted as they come."""
        wire = bytearray()
        while not (wire == b".\r\n" or wire.endswith(b"\r\n.\r\n")):
            if not self.pending:
                self.pending = self._recv()
                if not self.pending:
                    self.connection.ended = "client"
                    raise _Ended
            wire += self._take_content(wire)
            limit = self.does.drop_in_data
            if limit is not None and len(wire) >= limit:
                self._end(Drop())
        return bytes(wire)

    def _take_content(self, wire):
        """From what is pending, the part that belongs to the content."""
        seen = bytes(wire[-4:]) + self.pending
        end = seen.find(b"\r\n.\r\n")
        if not wire and self.pending.startswith(b".\r\n"):
            size = 3
        elif end >= 0:
            size = end + 5 - len(wire[-4:])
        else:
            size = len(self.pending)
        taken, self.pending = self.pending[:size], self.pending[size:]
        self.connection.content_octets += len(taken)
        if not self.in_tls:
            self.connection.plaintext_content_octets += len(taken)
        return taken

    def _rset(self, _):
        self.sender, self.recipients = None, []
        self._act("250 2.0.0 Flushed")

    def _noop(self, _):
        self._act("250 2.0.0 Ok")

    def _quit(self, _):
        self.connection.ended = "quit"
        self._act(self.does.quit)
        raise _Ended


def _says(action, code):
    """Whether the action's first reply has a code that begins so."""
    return _words(action).startswith(code)


def _accepts(action):
    """Whether the last line of the action's reply is a yes."""
    return _words(action).rstrip().rpartition("\n")[2].startswith("2")


def _words(action):
    """The final reply of the action."""
    while isinstance(action, Slow):
        action = action.action
    if isinstance(action, InPieces):
        action = action.octets
    if isinstance(action, bytes):
        return action.decode("latin-1")
    return action if isinstance(action, str) else ""


def _path(text):
    """The address between the angle brackets."""
    return text[text.find("<") + 1:text.rfind(">")] if "<" in text else ""


def _reply(text):
    """Reply lines with CRLF, all but the last with a hyphen after the code."""
    lines = text.split("\n")
    joined = [line[:3] + "-" + line[4:] for line in lines[:-1]] + lines[-1:]
    return "".join(line + "\r\n" for line in joined).encode("utf-8", "surrogateescape")
