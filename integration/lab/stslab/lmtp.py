# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""An LMTP client for tests: per-recipient replies with the time each came."""

import re
import socket
import time
from dataclasses import dataclass, field

ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?: |$)")
MESSAGE = (b"From: sender@out.example\r\nTo: rcpt@in.example\r\nSubject: hello\r\n"
           b"\r\nGood day.\r\n")


class Hangup(Exception):
    """The server closed the connection."""


@dataclass
class Reply:
    """One reply, `at` seconds after the client began to wait for it."""

    code: int
    lines: list
    at: float
    raw: bytes = b""

    @property
    def text(self):
        return "\n".join(self.lines)

    @property
    def enhanced(self):
        match = ENHANCED.match(self.lines[0]) if self.lines else None
        return match.group(1) if match else ""

    @property
    def short(self):
        """Code and enhanced code, as "451 4.7.5"."""
        return f"{self.code} {self.enhanced}".strip()

    def __str__(self):
        return f"{self.code} {self.text}"


@dataclass
class Result:
    """What became of one transaction; `final` has one reply a recipient, in order."""

    mail: Reply
    rcpt: list = field(default_factory=list)
    data: Reply = None
    final: list = field(default_factory=list)

    @property
    def only(self):
        """The reply to the only recipient."""
        assert len(self.final) == 1, self.final
        return self.final[0]


class Client:
    """One LMTP connection to `unix:PATH` or `inet:ADDRESS:PORT`."""

    def __init__(self, where, seconds=30, greet=True):
        self.seconds = seconds
        self.sock = _connect(where, seconds)
        self.pending = b""
        self.greeting = self.reply() if greet else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, octets):
        self.sock.sendall(octets)

    def reply(self, since=None):
        """Read one reply, all its lines."""
        since = since or time.monotonic()
        lines, raw = [], b""
        while True:
            line = self._line()
            raw += line
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            lines.append(text[4:])
            if text[3:4] != "-":
                return Reply(int(text[:3]), lines, time.monotonic() - since, raw)

    def command(self, text):
        self.send(text.encode("utf-8", "surrogateescape") + b"\r\n")
        return self.reply()

    def hello(self):
        return self.command("LHLO client.example")

    def envelope(self, sender, recipients, parameters=""):
        """MAIL and RCPTs; the result holds their replies."""
        result = Result(self.command(f"MAIL FROM:<{sender}>{parameters}"))
        if result.mail.code == 250:
            result.rcpt = [self.command(f"RCPT TO:<{address}>") for address in recipients]
        return result

    def transaction(self, sender, recipients, content=MESSAGE, parameters=""):
        """A whole transaction; refused recipients have their refusal as final reply."""
        result = self.envelope(sender, recipients, parameters)
        if result.mail.code != 250:
            result.final = [result.mail] * len(recipients)
            return result
        accepted = [reply for reply in result.rcpt if reply.code == 250]
        if accepted:
            result.data = self.command("DATA")
            if result.data.code != 354:
                result.final = [result.data] * len(recipients)
                return result
            self.send(stuffed(content))
        since = time.monotonic()
        result.final = [self.reply(since) if reply.code == 250 else reply
                        for reply in result.rcpt]
        return result

    def _line(self):
        while b"\n" not in self.pending:
            more = self.sock.recv(65536)
            if not more:
                raise Hangup
            self.pending += more
        line, _, self.pending = self.pending.partition(b"\n")
        return line + b"\n"


def stuffed(content):
    """`content` with dot-stuffing and the final dot; nothing else is changed."""
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    return (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


def deliver(where, recipients, sender="sender@out.example", content=MESSAGE, parameters="",
            seconds=30):
    """Connect, hand over one message and hang up; gives a Result."""
    if isinstance(recipients, str):
        recipients = [recipients]
    with Client(where, seconds) as client:
        client.hello()
        result = client.transaction(sender, recipients, content, parameters)
        client.send(b"QUIT\r\n")
        return result


def _connect(where, seconds):
    kind, _, rest = where.partition(":")
    if kind == "unix":
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(seconds)
        sock.connect(rest)
        return sock
    host, _, port = rest.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), seconds)
