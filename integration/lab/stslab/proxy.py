# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""An HTTP proxy that knows CONNECT alone, takes everybody to one address, and logs."""

import contextlib
import socket
import threading


class Proxy:
    """A context manager; `asked` lists the CONNECT targets."""

    def __init__(self, target, address="127.0.0.82", port=3128):
        self.target, self.address, self.port = target, address, port
        self.asked = []

    @property
    def url(self):
        return f"http://{self.address}:{self.port}"

    def __enter__(self):
        self._listener = socket.create_server((self.address, self.port))
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._tunnel, args=(client,), daemon=True).start()

    def _tunnel(self, client):
        with client, contextlib.suppress(OSError):
            client.settimeout(20)
            head = b""
            while b"\r\n\r\n" not in head:
                more = client.recv(4096)
                if not more:
                    return
                head += more
            self.asked.append(head.split(b" ")[1].decode("latin-1"))
            with socket.create_connection(self.target, 5) as server:
                client.sendall(b"HTTP/1.1 200 Go on\r\n\r\n")
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
                back.join(20)


def _pump(source, sink):
    """Octets from one to the other until the end."""
    with contextlib.suppress(OSError):
        while octets := source.recv(65536):
            sink.sendall(octets)
        sink.shutdown(socket.SHUT_WR)
