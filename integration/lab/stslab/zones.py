# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Real signed DNS: Knot with a root, `example.` below it, and two unsigned zones.

  .          signed, its own trust anchor in `trust_anchor`
  example.   signed, DS in the root: answers are secure
  plain.     delegated without DS: answers are insecure
  corp.lan.  not delegated at all: an internal zone behind its own server

  stale.     signed beforehand, DS in the root; valid.stale. and expired.stale. have TLSA records
             that no certificate matches, and the signature of the second has run out

Records are changed at run time by DNS update (RFC 2136), which has effect
when the call returns.  Knot also answers at the addresses of the real root
servers, so that a resolver that recurses from the root ends up here.
"""

import contextlib
import pathlib
import subprocess
import time

import dns.dnssec
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.update
from cryptography.hazmat.primitives.asymmetric import ec

from . import namespace, pace

ADDRESS, PORT = "127.0.0.54", 5300
NAME_SERVER = "11.0.0.53"   # the lab's own, for resolvers that do not ask loopback
ROOT_SERVERS = (
    "198.41.0.4", "199.9.14.201", "170.247.170.2", "192.33.4.12", "199.7.91.13",
    "192.203.230.10", "192.5.5.241", "192.112.36.4", "198.97.190.53", "192.36.148.17",
    "192.58.128.30", "193.0.14.129", "199.7.83.42", "202.12.27.33")
SIGNED = (".", "example.")
UNSIGNED = ("plain.", "corp.lan.")
PRESIGNED = ("stale.",)

SERVER = """
server:
    rundir: {dir}
    listen: [{listen}]
    tcp-workers: 2
    udp-workers: 2
    background-workers: 1
log:
  - target: {dir}/knot.log
    any: info
database:
    storage: {dir}
    journal-db-max-size: 64M
    kasp-db-max-size: 16M
    timer-db-max-size: 4M
acl:
  - id: lab
    address: 127.0.0.0/8
    action: [update, transfer]
policy:
  - id: lab
    manual: on
    single-type-signing: on
    algorithm: ecdsap256sha256
template:
  - id: default
    storage: {dir}
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
    journal-max-usage: 32M
    semantic-checks: off
    acl: lab
zone:
"""

APEX = """$ORIGIN {zone}
$TTL 60
@ SOA ns.example. hostmaster.example. 1 3600 600 86400 {negative_ttl}
@ NS ns.example.
"""


def _stale_zone():
    """The text of the zone `stale.`, and its DS record."""
    origin = dns.name.from_text("stale.")
    key = ec.generate_private_key(ec.SECP256R1())
    dnskey = dns.dnssec.make_dnskey(key.public_key(), dns.dnssec.ECDSAP256SHA256, flags=257)
    now, day = time.time(), 86400
    wrong = "3 1 1 " + "5a" * 32
    lines = []
    for name, kind, data, expiration in (
            ("stale.", "SOA", "ns.example. hostmaster.example. 1 3600 600 86400 0", now + day),
            ("stale.", "NS", "ns.example.", now + day),
            ("stale.", "DNSKEY", dnskey.to_text(), now + day),
            ("valid.stale.", "TLSA", wrong, now + day),
            ("expired.stale.", "TLSA", wrong, now - day)):
        rrset = dns.rrset.from_text(name, 60, "IN", kind, data)
        signature = dns.dnssec.sign(rrset, key, origin, dnskey, inception=now - 2 * day,
                                    expiration=expiration)
        lines += [rrset.to_text(), f"{name} 60 IN RRSIG {signature.to_text()}"]
    ds = dns.dnssec.make_ds(origin, dnskey, "SHA256")
    return "\n".join(lines) + "\n", f"stale. 60 IN DS {ds.to_text()}\n"


class ZoneError(RuntimeError):
    """Knot did not start, or refused a change."""


class Zones:
    """A running knotd and the means to change its zones."""

    def __init__(self, directory, negative_ttl=0):
        self.directory = pathlib.Path(directory)
        self.negative_ttl = negative_ttl
        self.config = self.directory / "knot.conf"
        self.trust_anchor = str(self.directory / "root.key")
        self.process = None
        self._origins = [dns.name.from_text(zone) for zone in SIGNED + UNSIGNED]

    def start(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        self._write_config()
        for zone in SIGNED:
            self._keymgr(zone, "generate", "algorithm=ecdsap256sha256", "ksk=yes", "zsk=yes")
        self._write_zones()
        pathlib.Path(self.trust_anchor).write_text(
            self._keymgr(".", "dnskey"), encoding="ascii")
        with open(self.directory / "stderr", "wb") as errors:
            self.process = subprocess.Popen(["knotd", "-c", self.config],
                                            stdin=subprocess.DEVNULL,
                                            stdout=errors, stderr=errors)
        self._wait_until_signed()

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process = None

    def add(self, name, kind, *data, ttl=60):
        """Add records `data` (presentation form) of type `kind` at `name`."""
        self.change([("add", name, kind, value, ttl) for value in data])

    def replace(self, name, kind, *data, ttl=60):
        """Make `data` the only records of type `kind` at `name`."""
        self.change([("delete", name, kind, None, 0)]
                    + [("add", name, kind, value, ttl) for value in data])

    def remove(self, name, kind=None):
        """Remove the records of type `kind`, or all, at `name`."""
        self.change([("delete", name, kind, None, 0)])

    def change(self, steps):
        """Do many (verb, name, type, data, ttl) at once; all names in one zone."""
        update = None
        for verb, text, kind, data, ttl in steps:
            name = dns.name.from_text(text)
            if update is None:
                update = dns.update.UpdateMessage(self._zone_of(name))
            if verb == "delete":
                update.delete(name, *([kind] if kind else []))
            else:
                update.add(name, ttl, kind, data)
        answer = dns.query.tcp(update, ADDRESS, port=PORT, timeout=10)
        if answer.rcode() != dns.rcode.NOERROR:
            raise ZoneError(f"update of {steps} refused: {dns.rcode.to_text(answer.rcode())}")

    def _zone_of(self, name):
        matches = [origin for origin in self._origins if name.is_subdomain(origin)]
        return max(matches, key=len)

    def _keymgr(self, zone, *words):
        done = subprocess.run(["keymgr", "-c", self.config, zone, *words], text=True,
                              capture_output=True, timeout=20, check=False)
        if done.returncode:
            raise ZoneError(f"keymgr {zone} {words}: {done.stderr}")
        return done.stdout

    def _write_config(self):
        listen = [f"{ADDRESS}@{PORT}"] + [f"{address}@53" for address in self._public()]
        text = SERVER.format(dir=self.directory, listen=", ".join(listen))
        for zone in SIGNED + UNSIGNED + PRESIGNED:
            text += f"  - domain: {zone}\n    file: {self._file(zone)}\n"
            if zone in SIGNED:
                text += "    dnssec-signing: on\n    dnssec-policy: lab\n"
        self.config.write_text(text, encoding="ascii")

    @staticmethod
    def _public():
        """The addresses outside loopback, made ours."""
        for address in (NAME_SERVER, *ROOT_SERVERS):
            namespace.add_address(address + "/32")
        return NAME_SERVER, *ROOT_SERVERS

    @contextlib.contextmanager
    def without_root(self):
        """As where port 53 is closed: nothing answers at the addresses of the root servers."""
        for address in ROOT_SERVERS:
            namespace.drop_address(address + "/32")
        try:
            yield
        finally:
            for address in ROOT_SERVERS:
                namespace.add_address(address + "/32")

    def _file(self, zone):
        return (zone.rstrip(".") or "root") + ".zone"

    def _write_zones(self):
        stale, stale_ds = _stale_zone()
        (self.directory / self._file("stale.")).write_text(stale, encoding="ascii")
        extra = {
            ".": f"example. NS ns.example.\nns.example. A {NAME_SERVER}\nplain. NS ns.example.\n"
                 + "stale. NS ns.example.\n" + stale_ds + self._keymgr("example.", "ds"),
            "example.": f"ns A {NAME_SERVER}\n",
        }
        for zone in SIGNED + UNSIGNED:
            (self.directory / self._file(zone)).write_text(
                APEX.format(zone=zone, negative_ttl=self.negative_ttl) + extra.get(zone, ""),
                encoding="ascii")

    def _wait_until_signed(self, seconds=15):
        end = time.monotonic() + pace.patience(seconds)
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            if all(self._signed(zone) for zone in SIGNED):
                return
            time.sleep(0.05)
        log = (self.directory / "knot.log")
        self.stop()
        raise ZoneError("knotd did not come up: "
                        + (log.read_text() if log.exists() else "no log"))

    @staticmethod
    def _signed(zone):
        question = dns.message.make_query(zone, "DNSKEY", want_dnssec=True)
        try:
            answer = dns.query.udp(question, ADDRESS, port=PORT, timeout=1)
        except (OSError, dns.exception.DNSException):
            return False
        return any(rrset.rdtype == dns.rdatatype.RRSIG for rrset in answer.answer)
