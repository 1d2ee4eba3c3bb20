# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""stsgate-milter and the MTA's side of it: a milter client that speaks the protocol by hand.

    with Session(milter.listen) as session:
        session.mail("<a@out.example>")
        session.rcpt("<b@in.example>", rcpt_mailer="esmtp", rcpt_host="in.example")
        session.message([("Subject", "hello")])

An Answer is what the milter told the MTA to do; message() gives the changes it made to the header.
"""

import pathlib
import signal
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass

from . import daemon, pace, programs, sanitizer

VERSION = 6
ADD_HEADERS, CHANGE_HEADERS, SET_MACROS = 0x01, 0x10, 0x100
ALL_ACTIONS = 0x1ff
ALL_STEPS = 0x1fffff
NO_CONNECT, NO_HELO, NO_MAIL, NO_RCPT, NO_BODY, NO_HEADERS, NO_END_OF_HEADERS = (
    1 << bit for bit in range(7))
NO_DATA = 0x200


class MilterLost(RuntimeError):
    """The milter closed the connection."""


def address_of(endpoint):
    """The family and address of unix:PATH, inet:ADDRESS:PORT or inet6:[ADDRESS]:PORT."""
    kind, _, rest = endpoint.partition(":")
    if kind == "unix":
        return socket.AF_UNIX, rest
    host, _, port = rest.rpartition(":")
    return (socket.AF_INET6 if kind == "inet6" else socket.AF_INET,
            (host.strip("[]"), int(port)))


@dataclass
class Answer:
    """`do` is continue, accept, tempfail, reject or reply; `text` the reply line."""

    do: str
    text: str = ""


@dataclass
class Change:
    """One change of the header: add, insert, or change with number `index`."""

    what: str
    name: str
    value: str
    index: int = 0


class Session:
    """One connection of an MTA to a milter; a context manager."""

    DO = {b"c": "continue", b"a": "accept", b"t": "tempfail", b"r": "reject", b"y": "reply"}

    def __init__(self, endpoint, seconds=30, actions=ALL_ACTIONS):
        family, address = address_of(endpoint)
        self.socket = socket.socket(family)
        self.socket.settimeout(seconds)
        self.socket.connect(address)
        self.steps = self.actions = 0
        self.wanted_macros = {}
        self._negotiate(actions)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self._send(b"Q")
        except OSError:
            pass  # the milter is gone already
        self.socket.close()

    def _send(self, command, data=b""):
        self.socket.sendall(struct.pack("!I", len(data) + 1) + command + data)

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise MilterLost(f"closed after {data!r}")
            data += more
        return data

    def _receive(self):
        (length,) = struct.unpack("!I", self._exactly(4))
        packet = self._exactly(length)
        return packet[:1], packet[1:]

    def _negotiate(self, actions):
        self._send(b"O", struct.pack("!III", VERSION, actions, ALL_STEPS))
        command, data = self._receive()
        assert command == b"O", command
        _, self.actions, self.steps = struct.unpack("!III", data[:12])
        rest = data[12:]
        while len(rest) > 4:
            (stage,) = struct.unpack("!I", rest[:4])
            names, _, rest = rest[4:].partition(b"\0")
            self.wanted_macros[stage] = names.decode().split()

    def _macros(self, command, macros):
        """Names of one letter stand alone; others are put into braces."""
        parts = [part for name, value in macros.items() if value is not None
                 for part in (name if len(name) == 1 else "{" + name + "}", value)]
        self._send(b"D", command + b"".join(part.encode() + b"\0" for part in parts))

    def _ask(self, command, strings, macros):
        self._macros(command, macros)
        self._send(command, b"".join(text.encode() + b"\0" for text in strings))
        return self._answer()

    def _answer(self, changes=None):
        while True:
            command, data = self._receive()
            if command in self.DO:
                return Answer(self.DO[command], data.rstrip(b"\0").decode())
            if command in (b"h", b"i", b"m") and changes is not None:
                changes.append(self._change(command, data))
            else:
                raise AssertionError(f"unexpected {command!r} {data!r}")

    @staticmethod
    def _change(command, data):
        index = 0
        if command != b"h":
            (index,) = struct.unpack("!I", data[:4])
            data = data[4:]
        name, value = data.rstrip(b"\0").decode().split("\0") if data.count(b"\0") > 1 \
            and data.split(b"\0")[1] else (data.split(b"\0")[0].decode(), "")
        return Change({b"h": "add", b"i": "insert", b"m": "change"}[command], name, value, index)

    def mail(self, sender, *parameters, **macros):
        return self._ask(b"M", [sender, *parameters], macros)

    def rcpt(self, recipient, *parameters, **macros):
        return self._ask(b"R", [recipient, *parameters], macros)

    def message(self, headers=(), body=b"Good day.\r\n"):
        """The rest of a message; gives the milter's changes of the header."""
        if not self.steps & NO_DATA:
            assert self._ask(b"T", [], {}).do == "continue"
        if not self.steps & NO_HEADERS:
            for name, value in headers:
                assert self._ask(b"L", [name, value], {}).do == "continue"
        if not self.steps & NO_END_OF_HEADERS:
            assert self._ask(b"N", [], {}).do == "continue"
        if not self.steps & NO_BODY:
            self._send(b"B", body)
            assert self._answer().do == "continue"
        self._macros(b"E", {"i": "queued"})
        self._send(b"E")
        changes = []
        assert self._answer(changes).do == "continue"
        return changes

    def abort(self):
        self._send(b"A")


class StsgateMilter:
    """stsgate-milter with a daemon.Stsgated, and its configuration file."""

    def __init__(self, config, listen, log_path):
        self.config, self.listen = config, listen
        self.log_path = pathlib.Path(log_path)
        self.stderr = sanitizer.Reader(self.log_path)
        self.process = None

    def start(self, seconds=30):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [programs.find("stsgate-milter"), "-c", str(self.config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        end = time.monotonic() + pace.patience(seconds)
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                status = self.process.poll()
                self.kill()
                raise daemon.DaemonFailed(f"stsgate-milter is not up, status {status}:\n"
                                          + self.log_text())
            time.sleep(0.02)
        return self

    def _answers(self):
        try:
            with self.session():
                return True
        except (OSError, MilterLost):
            return False

    def session(self, **options):
        return Session(self.listen, **options)

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, seconds=30):
        """SIGTERM and wait; gives the exit status, which should be 0."""
        if self.process is None:
            return 0
        self.signal(signal.SIGTERM)
        status = self.process.wait(pace.patience(seconds))
        self.process = None
        complaint = self.stderr.complaint()
        if complaint:
            raise daemon.DaemonFailed(complaint)
        return status

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait(pace.patience(10))
            self.process = None

    def log_text(self):
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def log(self, event, **fields):
        """The log lines of `event` whose fields are as given, as dicts."""
        wanted = {"event": event,
                  **{key.replace("_", "-"): value for key, value in fields.items()}}
        lines = map(daemon.log_fields, self.log_text().splitlines())
        return [line for line in lines
                if all(line.get(key) == value for key, value in wanted.items())]

    def wait_log(self, event, seconds=30, **fields):
        end = time.monotonic() + pace.patience(seconds)
        while True:
            lines = self.log(event, **fields)
            if lines or time.monotonic() > end:
                return lines
            time.sleep(0.02)


class MapServer:
    """Stands in for stsgated's policy map: answers every question with what `answer` gives.

    `answer(question)` gives octets to send as they are, or None to stay silent.
    """

    def __init__(self, path, answer):
        self.questions = []
        self.connections = 0
        self._answer = answer
        self._open = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        pathlib.Path(path).chmod(0o666)
        self._listener.listen(50)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # stopped
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as stream:
            try:
                while length := self._length(stream):
                    question = stream.read(length + 1)[:-1].decode()
                    self.questions.append(question)
                    octets = self._answer(question)
                    if octets is not None:
                        connection.sendall(octets)
            except OSError:
                return

    @staticmethod
    def _length(stream):
        digits = b""
        while (octet := stream.read(1)) not in (b":", b""):
            digits += octet
        return int(digits or b"0")

    def drop(self):
        """Close every connection; new ones are taken."""
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed already
        self._open = []

    def stop(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()


def netstring(text):
    octets = text.encode()
    return b"%d:%s," % (len(octets), octets)
