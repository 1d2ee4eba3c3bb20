# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The HTTPS policy host: one listener for many domains, each with its own manners.

A Site says how `mta-sts.DOMAIN` behaves; it may be changed while the server
runs.  Every connection and request is logged with its SNI.
"""

import socket
import threading
import time
from dataclasses import dataclass, field

from . import tls

PATH = "/.well-known/mta-sts.txt"


def policy_text(mode="enforce", mx=(), max_age=86400):
    """The policy file of RFC 8461 3.2."""
    lines = ["version: STSv1", f"mode: {mode}"]
    lines += [f"mx: {pattern}" for pattern in mx]
    lines.append(f"max_age: {max_age}")
    return "\r\n".join(lines) + "\r\n"


@dataclass
class Site:
    """How one policy host answers.

    `manner` is what it does instead of answering properly: "reset" (before
    the handshake), "hang-handshake", "hang" (after the request), "cut" (half
    of the body), "drip" (an octet each 0.2 s), "endless" (chunks for ever),
    "http10" (no length, closed at the end), "http10-cut" (closed without
    close_notify: a truncation for all the client knows).
    """

    body: bytes = b""
    status: int = 200
    content_type: str = "text/plain"
    headers: list = field(default_factory=list)
    manner: str = ""
    certificate: str = "good"
    maximum_tls: str = "TLSv1.3"
    offered: bytes = None       # answers a hello that offers a session so, and closes


@dataclass(frozen=True)
class Request:
    """One request as it came in."""

    host: str
    path: str
    sni: str
    agent: str
    head: str
    tls_version: str
    at: float
    body: bytes = b""


class PolicyHost:
    """The listener; `sites` maps host names to Site values."""

    def __init__(self, authorities, address="127.0.0.80", port=443):
        self.authorities = authorities
        self.address, self.port = address, port
        self.sites = {}
        self.accept = True
        self._requests = []
        self._connections = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def start(self):
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((self.address, self.port))
        self._listener.listen(256)
        self._listener.settimeout(0.5)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self):
        self._stopping.set()
        self._thread.join(5)
        self._listener.close()

    def requests(self, host=None):
        """Requests so far, oldest first."""
        with self._lock:
            return [request for request in self._requests if host in (None, request.host)]

    def connections(self, sni=None):
        """SNIs of the connections so far, with or without a request."""
        with self._lock:
            return [seen for seen in self._connections if sni in (None, seen)]

    def _serve(self):
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            threading.Thread(target=self._connection, args=(sock,), daemon=True).start()

    def _connection(self, sock):
        try:
            hello = tls.client_hello(sock)
            name = (hello.sni or "") if hello else ""
            with self._lock:
                self._connections.append(name)
            site = self.sites.get(name)
            if site is None or not self.accept or site.manner == "reset":
                tls.reset(sock)
                return
            if hello.offers_session and site.offered is not None:
                self._end(sock, site.offered)
                return
            if site.manner == "hang-handshake":
                self._hang(sock)
                return
            path = self.authorities.kind(site.certificate, name).path
            context = tls.server_context(path, maximum=site.maximum_tls)
            sock.settimeout(10)
            with context.wrap_socket(sock, server_side=True) as secure:
                self._request(secure, name)
        except (OSError, ValueError):
            pass
        finally:
            sock.close()

    @staticmethod
    def _end(sock, octets):
        """Say so and close: with the hello still unread that would be an RST."""
        sock.sendall(octets)
        sock.recv(65536)

    def _request(self, secure, sni):
        head = b""
        while b"\r\n\r\n" not in head:
            more = secure.recv(4096)
            if not more:
                return
            head += more
        head, _, body = head.partition(b"\r\n\r\n")
        text = head.decode("latin-1")
        fields = dict(line.lower().split(": ", 1) for line in text.split("\r\n") if ": " in line)
        while len(body) < int(fields.get("content-length", "0")):
            body += secure.recv(65536) or b"\0" * (1 << 20)
        with self._lock:
            self._requests.append(Request(
                fields.get("host", "").partition(":")[0], text.split(" ")[1], sni,
                fields.get("user-agent", ""), text, secure.version(), time.monotonic(), body))
        self._respond(secure, self.sites[sni])

    def _respond(self, secure, site):
        if site.manner == "hang":
            self._hang(secure)
        elif site.manner == "endless":
            self._endless(secure, site)
        elif site.manner == "drip":
            secure.sendall(self._head(site, len(site.body)))
            for octet in site.body:
                secure.sendall(bytes([octet]))
                if self._stopping.wait(0.2):
                    return
        elif site.manner == "cut":
            secure.sendall(self._head(site, len(site.body)) + site.body[:len(site.body) // 2])
        elif site.manner.startswith("http10"):
            secure.sendall(self._head(site, None, "HTTP/1.0") + site.body)
            if site.manner == "http10":
                secure.unwrap()
        else:
            secure.sendall(self._head(site, len(site.body)) + site.body)

    @staticmethod
    def _head(site, length, version="HTTP/1.1"):
        lines = [f"{version} {site.status} Status"]
        if site.content_type:
            lines.append(f"Content-Type: {site.content_type}")
        if length is not None:
            lines.append(f"Content-Length: {length}")
        lines += list(site.headers) + ["Connection: close", "", ""]
        return "\r\n".join(lines).encode("latin-1")

    def _endless(self, secure, site):
        head = self._head(site, None).replace(b"Connection: close",
                                              b"Transfer-Encoding: chunked\r\nConnection: close")
        secure.sendall(head)
        chunk = b"400\r\n" + b"x: " + b"y" * 1019 + b"\r\n" + b"\r\n"
        while not self._stopping.is_set():
            secure.sendall(chunk)

    def _hang(self, sock):
        """Hold the connection until the client leaves or the lab stops."""
        sock.settimeout(0.5)
        while not self._stopping.is_set():
            try:
                if not sock.recv(4096):
                    return
            except TimeoutError:
                continue
