# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Server side TLS for the lab's hosts: what the client's hello said, and contexts.

client_hello() looks at the hello without taking it from the socket, so that
the certificate, the versions or the misbehaviour can be chosen by SNI before
the handshake begins.
"""

import functools
import socket
import ssl
import subprocess
import tempfile
import time
from dataclasses import dataclass

VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}

SERVER_NAME, SESSION_TICKET, PRE_SHARED_KEY = 0, 35, 41     # extensions


def alert(number):
    """A record with a fatal alert (RFC 8446 6)."""
    return b"\x15\x03\x03\x00\x02\x02" + bytes([number])


@dataclass
class ClientHello:
    """The parts of a client's hello that matter here."""

    sni: str = None
    offers_session: bool = False    # pre_shared_key, or a session ticket


def client_hello(sock, seconds=10):
    """Peek at the hello on `sock`; None when none came in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sock.settimeout(max(0.01, end - time.monotonic()))
        try:
            octets = sock.recv(16384, socket.MSG_PEEK)
        except (TimeoutError, OSError):
            return None
        if not octets:
            return None
        if octets[0] != 22:
            return None
        if len(octets) >= 5 and len(octets) >= 5 + int.from_bytes(octets[3:5], "big"):
            return _parse(octets)
        time.sleep(0.005)
    return None


def _parse(octets):
    """Walk over the extensions of a hello in one record."""
    hello = ClientHello()
    at = 5 + 4 + 2 + 32
    at += 1 + octets[at]
    at += 2 + int.from_bytes(octets[at:at + 2], "big")
    at += 1 + octets[at]
    end = at + 2 + int.from_bytes(octets[at:at + 2], "big")
    at += 2
    while at + 4 <= end:
        kind = int.from_bytes(octets[at:at + 2], "big")
        size = int.from_bytes(octets[at + 2:at + 4], "big")
        if kind == SERVER_NAME:
            hello.sni = octets[at + 9:at + 4 + size].decode("ascii", "replace")
        elif kind == PRE_SHARED_KEY or (kind == SESSION_TICKET and size > 0):
            hello.offers_session = True
        at += 4 + size
    return hello


@functools.lru_cache(maxsize=None)
def server_context(path, minimum="TLSv1", maximum="TLSv1.3", tickets=2, dh_group=None):
    """A context with the certificate in `path`, weak parameters allowed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = VERSIONS[minimum]
    context.maximum_version = VERSIONS[maximum]
    context.num_tickets = tickets
    if dh_group is not None:
        context.set_ciphers("DHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:@SECLEVEL=0")
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        with tempfile.NamedTemporaryFile() as file:
            subprocess.run(["openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt",
                            f"group:{dh_group}", "-out", file.name], check=True,
                           capture_output=True)
            context.load_dh_params(file.name)
    context.load_cert_chain(path)
    return context


def reset(sock):
    """Close with RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    sock.close()
