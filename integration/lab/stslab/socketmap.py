# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Asks a policy map as Postfix and Sendmail do (socketmap), and as Exim does (one line)."""

import socket


class Hangup(ConnectionError):
    """The map closed the connection."""


def netstring(payload):
    octets = payload if isinstance(payload, bytes) else payload.encode()
    return b"%d:%s," % (len(octets), octets)


def connected(endpoint, seconds=30):
    """A socket to `endpoint`, written as in stsgate.conf."""
    kind, _, where = endpoint.partition(":")
    if kind == "unix":
        sock = socket.socket(socket.AF_UNIX)
        target = where
    else:
        sock = socket.socket(socket.AF_INET6 if kind == "inet6" else socket.AF_INET)
        host, _, port = where.rpartition(":")
        target = (host.strip("[]"), int(port))
    sock.settimeout(seconds)
    sock.connect(target)
    return sock


class Client:
    """One connection; a context manager."""

    def __init__(self, endpoint, seconds=30):
        self.sock = connected(endpoint, seconds)
        self._in = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, octets):
        self.sock.sendall(octets)

    def _more(self):
        octets = self.sock.recv(65536)
        if not octets:
            raise Hangup(self._in)
        self._in += octets

    def answer(self):
        """The next answer's payload, as text."""
        while b":" not in self._in:
            self._more()
        length, _, _ = self._in.partition(b":")
        start, size = len(length) + 1, int(length)
        while len(self._in) < start + size + 1:
            self._more()
        payload, end = self._in[start:start + size], self._in[start + size:start + size + 1]
        assert end == b",", self._in
        self._in = self._in[start + size + 1:]
        return payload.decode()

    def ask(self, name, key):
        self.send(netstring(f"{name} {key}"))
        return self.answer()

    def closed(self):
        """Is this the end of the connection, with nothing before it?"""
        try:
            return self._in == b"" and self.sock.recv(1) == b""
        except ConnectionError:
            return self._in == b""


def ask(endpoint, name, key, seconds=30):
    with Client(endpoint, seconds) as client:
        return client.ask(name, key)


def ask_line(endpoint, line, half_close=True, seconds=30):
    """What Exim's ${readsocket} gets: everything up to the end of the connection."""
    with connected(endpoint, seconds) as sock:
        sock.sendall(line.encode())
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        answer = b""
        while more := sock.recv(65536):
            answer += more
        return answer.decode()
