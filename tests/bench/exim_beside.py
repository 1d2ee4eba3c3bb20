# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Exim with stsgated beside Exim alone, over verified TLS, in turns.

    integration/lab/private-network /usr/bin/python3 tests/bench/exim_beside.py [ROUNDS [MESSAGES]]

MESSAGES are queued, which is not counted, and delivered by one queue run of one process after the
other.  Exim alone demands TLS and verifies the certificate by the roots that Debian ships and the
lab's, as stsgated does; beside it Exim hands over to stsgated,
which makes a connection for each message (fresh) or keeps them (kept).  Counted is user and system
time of Exim's processes and of stsgated; the mail server's is not.  At the end a host 20 ms away:
messages a second over the one connection that is open at a time, by one queue runner of Exim alone
and by several that hand over to stsgated.  Quote the ratios: the machine's speed drifts between
rounds, and a ratio is of one round.
"""

import os
import pathlib
import resource
import statistics
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "integration" / "lab"))

from stslab.exim import Exim  # noqa: E402
from stslab.internet import Internet  # noqa: E402
from stslab.mx import Behaviour  # noqa: E402

PORTS = {"fresh": 2424, "kept": 2425}
LINE = b"All work and no play makes a dull message, says the bench..\n"
ROWS = ((4, 1), (75, 1), (4, 200))    # KiB, domains
ROUND_TRIP = 0.02
DEBIAN_ROOTS = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
RUNNERS = 4
ALONE = """
begin acl
acl_rcpt:
  accept hosts = :
begin routers
remote:
  driver = dnslookup
  transport = verified
  self = send
begin transports
verified:
  driver = smtp
  tls_sni = $host
  tls_verify_certificates = {ca}
  tls_verify_hosts = *
  tls_verify_cert_hostnames = *
  hosts_require_tls = *
begin retry
begin rewrite
begin authenticators
"""


def roots(net):
    """What a server on the Internet trusts, and the lab's root."""
    path = net.directory / "roots.pem"
    path.write_bytes(DEBIAN_ROOTS.read_bytes() + pathlib.Path(net.authorities.ca_file).read_bytes())
    return str(path)


def alone(net):
    """An Exim that delivers by itself: the same main section, another way out."""
    exim = Exim(net.directory / "alone", PORTS["fresh"])
    example = pathlib.Path(__file__).resolve().parents[2] / "integration" / "exim" / "example.conf"
    main = example.read_text("utf-8").split("begin acl")[0]
    macros = exim.config.read_text("utf-8").split(".include")[0]
    exim.config.write_text(macros + main + ALONE.format(ca=roots(net)), "utf-8")
    return exim


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def process_seconds(daemon):
    """User and system time of stsgated, 0 without one."""
    if daemon is None:
        return 0
    text = pathlib.Path(f"/proc/{daemon.process.pid}/stat").read_text("ascii")
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_queue(exim, runners):
    threads = [threading.Thread(target=exim.run_queue) for _ in range(runners)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def deliver(exim, daemon, domains, size, count, runners=1):
    """(CPU milliseconds a message, messages a second) of a queue run."""
    content = b"Subject: bench\n\n" + LINE * (size * 1024 // len(LINE))
    for number in range(count):
        exim.send("bench@" + domains[number % len(domains)].name, content=content, deliver=False)
    before, shim, began = children_seconds(), process_seconds(daemon), time.monotonic()
    run_queue(exim, runners)
    took = time.monotonic() - began
    left = len(exim.queue())
    if left:
        raise SystemExit(f"{left} messages are still in the queue: no figures")
    spent = children_seconds() - before + process_seconds(daemon) - shim
    return spent * 1000 / count, count / took


def show(what, ratios):
    print(f"{what}: median {statistics.median(ratios):.2f} "
          f"({min(ratios):.2f}-{max(ratios):.2f}), {len(ratios)} rounds", flush=True)


def publish(net, **options):
    domain = net.domain(policy="enforce", **options)
    domain.set_id("20261122", ttl=60)
    return domain


def compare(ways, domains, size, rounds, count):
    """Every way in turn, after a message to each domain to warm it up; the rows of all rounds."""
    for exim, daemon in ways.values():
        deliver(exim, daemon, domains, size, len(domains), 2)
    return [{name: deliver(exim, daemon, domains, size, count)
             for name, (exim, daemon) in ways.items()} for _ in range(rounds)]


def far_ratio(net, native, domain, count):
    """Messages a second over one connection: through stsgated as a multiple of Exim alone."""
    daemon = net.daemons.start({
        "lmtp": {"listen": ["inet:127.0.0.1:2426"]}, "smtp": {"keep-messages": 1000},
        "tls": {"ca-file": roots(net)},
        f'destination "{domain.name}"': {"max-connections": 1}})
    beside = Exim(net.directory / f"far-{time.monotonic_ns()}", 2426)
    deliver(beside, daemon, [domain], 4, 1)
    _, rate = deliver(beside, daemon, [domain], 4, count, RUNNERS)
    daemon.stop()
    return rate / deliver(*native, [domain], 4, count)[1]


def main():
    rounds, count = (int(word) for word in (sys.argv[1:] + ["5", "200"][len(sys.argv) - 1:])[:2])
    with Internet(negative_ttl=60) as net:
        ways = {"alone": (alone(net), None)}
        for kind, idle in (("fresh", "0s"), ("kept", "60s")):
            daemon = net.daemons.start({
                "lmtp": {"listen": [f"inet:127.0.0.1:{PORTS[kind]}"]},
                "tls": {"ca-file": roots(net)},
                "smtp": {"keep-idle": idle, "keep-messages": 1000}})
            ways[kind] = (Exim(net.directory / kind, PORTS[kind]), daemon)
        many = [publish(net) for _ in range(max(domains for _, domains in ROWS))]
        for size, domains in ROWS:
            rows = compare(ways, many[:domains], size, rounds, count)
            for kind in PORTS:
                show(f"CPU, {size} KiB, {domains} domains, {kind} / Exim alone",
                     [row[kind][0] / row["alone"][0] for row in rows])
        far = publish(net, behaviour=Behaviour(round_trip=ROUND_TRIP))
        show("messages a second over one connection at 20 ms, kept / Exim alone",
             [far_ratio(net, ways["alone"], far, min(count, 60)) for _ in range(min(rounds, 3))])


if __name__ == "__main__":
    main()
