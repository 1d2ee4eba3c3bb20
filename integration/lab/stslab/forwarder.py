# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The resolver that stsgated is given: passes on to Knot, or misbehaves on command.

It listens on 127.0.0.53, UDP and TCP, logs every query, and for a name and
type that has a fault does what the fault says.  Faults:

  "servfail" "refused"   that rcode
  "silence"              no answer at all
  "nxdomain"             a forged, unsigned NXDOMAIN
  "empty"                a forged, unsigned NODATA
  "stripped"             the true answer without its signatures: bogus where signed
  "broken"               the true answer, denials too, with signatures that do not hold
  "stripped-without-cd"  the same, unless the query has CD set
  "truncate"             TC over UDP, the true answer over TCP
  "truncate-udp-only"    TC over UDP, nothing over TCP
  Delay(seconds)         the true answer, late
  Forged(data...)        these records, unsigned
"""

import concurrent.futures
import socket
import threading
import time
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset

from . import zones

ADDRESS, PORT = "127.0.0.53", 53
VALIDATOR = "127.0.0.52"


@dataclass(frozen=True)
class Query:
    """One question as it came in."""

    name: str
    kind: str
    transport: str
    at: float


@dataclass(frozen=True)
class Delay:
    """Answer truthfully after `seconds`."""

    seconds: float


class Forged:
    """Answer with `data` (presentation form) of the asked type, without signatures."""

    def __init__(self, *data, ttl=5):
        self.data, self.ttl = data, ttl


def _plain(name):
    return str(name).rstrip(".").lower()


class Forwarder:
    """The DNS server in front of Knot."""

    def __init__(self, address=ADDRESS, port=PORT):
        self.address, self.port = address, port
        self._faults = {}
        self._queries = []
        self._lock = threading.Lock()
        self._pool = concurrent.futures.ThreadPoolExecutor(64, "dns")
        self._stopping = threading.Event()
        self._threads = []

    def start(self):
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._udp.bind((self.address, self.port))
        self._tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._tcp.bind((self.address, self.port))
        self._tcp.listen(64)
        for sock, serve in ((self._udp, self._serve_udp), (self._tcp, self._serve_tcp)):
            sock.settimeout(0.5)
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self):
        self._stopping.set()
        for thread in self._threads:
            thread.join(5)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._udp.close()
        self._tcp.close()

    def fault(self, name, kind, fault):
        """Misbehave for `name` (or "*.name": it and all below; "*": all) and `kind` (or "*")."""
        with self._lock:
            self._faults[(_plain(name), kind)] = fault

    def heal(self, name=None, kind=None):
        """Forget the faults of `name` (all names) and `kind` (all types)."""
        with self._lock:
            self._faults = {key: fault for key, fault in self._faults.items()
                            if (name and key[0] != _plain(name)) or (kind and key[1] != kind)}

    def queries(self, name=None, kind=None):
        """The questions, oldest first."""
        with self._lock:
            return [query for query in self._queries
                    if (name is None or query.name == _plain(name))
                    and (kind is None or query.kind == kind)]

    def _fault_for(self, name, kind):
        labels = name.split(".")
        names = [name, *("*." + ".".join(labels[at:]) for at in range(len(labels))), "*"]
        with self._lock:
            for candidate in names:
                for asked in (kind, "*"):
                    if (candidate, asked) in self._faults:
                        return self._faults[(candidate, asked)]
        return None

    def _serve_udp(self):
        while not self._stopping.is_set():
            try:
                wire, peer = self._udp.recvfrom(65535)
            except TimeoutError:
                continue
            except OSError:
                return
            self._pool.submit(self._answer_udp, wire, peer)

    def _answer_udp(self, wire, peer):
        answer = self._answer(wire, "udp")
        if answer is not None and not self._stopping.is_set():
            self._udp.sendto(answer, peer)

    def _serve_tcp(self):
        while not self._stopping.is_set():
            try:
                sock, _ = self._tcp.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            threading.Thread(target=self._serve_stream, args=(sock,), daemon=True).start()

    def _serve_stream(self, sock):
        with sock:
            sock.settimeout(20)
            try:
                while not self._stopping.is_set():
                    size = _exactly(sock, 2)
                    wire = _exactly(sock, int.from_bytes(size, "big"))
                    answer = self._answer(wire, "tcp")
                    if answer is None:
                        self._stopping.wait(20)
                        return
                    sock.sendall(len(answer).to_bytes(2, "big") + answer)
            except (OSError, EOFError):
                return

    def _answer(self, wire, transport):
        """The octets to send back, or None for silence."""
        try:
            query = dns.message.from_wire(wire)
            question = query.question[0]
        except (dns.exception.DNSException, IndexError):
            return None
        name, kind = _plain(question.name), dns.rdatatype.to_text(question.rdtype)
        with self._lock:
            self._queries.append(Query(name, kind, transport, time.monotonic()))
        fault = self._fault_for(name, kind)
        if fault is None:
            return self._pass_on(wire, transport)
        return self._misbehave(fault, query, wire, transport)

    def _misbehave(self, fault, query, wire, transport):
        if fault == "silence":
            return None
        if isinstance(fault, Delay):
            self._stopping.wait(fault.seconds)
            return self._pass_on(wire, transport)
        if fault == "truncate" and transport == "tcp":
            return self._pass_on(wire, transport)
        if fault == "truncate-udp-only" and transport == "tcp":
            return None
        if fault == "stripped-without-cd" and query.flags & dns.flags.CD:
            return self._pass_on(wire, transport)
        if fault in ("stripped", "stripped-without-cd"):
            return self._stripped(wire, transport)
        if fault == "broken":
            return self._broken(wire, transport)
        return self._made_up(fault, query)

    @staticmethod
    def _made_up(fault, query):
        answer = dns.message.make_response(query, recursion_available=True)
        if isinstance(fault, Forged):
            asked = query.question[0]
            answer.answer.append(dns.rrset.from_text_list(
                asked.name, fault.ttl, "IN", asked.rdtype, list(fault.data)))
        elif fault.startswith("truncate"):
            answer.flags |= dns.flags.TC
        elif fault != "empty":
            answer.set_rcode(dns.rcode.from_text(fault))
        return answer.to_wire()

    def _stripped(self, wire, transport):
        octets = self._pass_on(wire, transport)
        if octets is None:
            return None
        answer = dns.message.from_wire(octets)
        for section in (answer.answer, answer.authority):
            section[:] = [rrset for rrset in section
                          if rrset.rdtype not in (dns.rdatatype.RRSIG, dns.rdatatype.NSEC)]
        return answer.to_wire(max_size=65535)

    def _broken(self, wire, transport):
        octets = self._pass_on(wire, transport)
        if octets is None:
            return None
        answer = dns.message.from_wire(octets)
        for section in (answer.answer, answer.authority):
            for rrset in section:
                if rrset.rdtype == dns.rdatatype.RRSIG:
                    spoilt = [rdata.replace(signature=bytes(octet ^ 0x55 for octet in
                                                            rdata.signature)) for rdata in rrset]
                    rrset.clear()
                    for rdata in spoilt:
                        rrset.add(rdata)
        return answer.to_wire(max_size=65535)

    def _pass_on(self, wire, transport):
        """Ask Knot the same, and answer as a resolver would: RA set, AA clear."""
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        try:
            with socket.socket(socket.AF_INET, kind) as upstream:
                upstream.settimeout(5)
                upstream.connect((zones.ADDRESS, zones.PORT))
                if transport == "udp":
                    upstream.send(wire)
                    answer = upstream.recv(65535)
                else:
                    upstream.sendall(len(wire).to_bytes(2, "big") + wire)
                    answer = _exactly(upstream, int.from_bytes(_exactly(upstream, 2), "big"))
        except (OSError, EOFError):
            return None
        return bytes((answer[0], answer[1], answer[2] & ~0x04, answer[3] | 0x80)) + answer[4:]


class Validator(Forwarder):
    """The resolver of an MTA that does DANE by itself: sets AD, as a validating resolver does,
    when all records of the answer are from signed zones.  Its own faults come without AD."""

    def __init__(self, address=VALIDATOR, port=PORT):
        super().__init__(address, port)

    def _pass_on(self, wire, transport):
        octets = super()._pass_on(wire, transport)
        if octets is None:
            return None
        answer = dns.message.from_wire(octets)
        names = [answer.question[0].name, *(rrset.name for rrset in answer.answer)]
        if all(_plain(name).endswith(".example") for name in names):
            octets = octets[:3] + bytes((octets[3] | 0x20,)) + octets[4:]
        return octets


def _exactly(sock, size):
    """Read just `size` octets or raise EOFError."""
    octets = b""
    while len(octets) < size:
        more = sock.recv(size - len(octets))
        if not more:
            raise EOFError
        octets += more
    return octets
