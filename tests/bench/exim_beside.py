# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""CPU of Exim with stsgated beside Exim alone, over verified TLS, in turns.

    integration/lab/private-network /usr/bin/python3 tests/bench/exim_beside.py [ROUNDS [MESSAGES]]

Each round sends MESSAGES of 4 KiB to one enforced domain by Exim alone (which demands TLS and
verifies the certificate) and as many by Exim through stsgated.  Counted is user and system time of
Exim's processes and, in the second case, of stsgated; the mail server's is not.  Quote the ratios:
the machine's speed drifts between rounds, and a ratio is of one round.
"""

import os
import pathlib
import resource
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "integration" / "lab"))

from stslab.exim import Exim  # noqa: E402
from stslab.internet import Internet  # noqa: E402

LMTP_PORT = 2424
CONTENT = b"Subject: bench\n\n" + b"All work and no play makes a dull message, says the bench..\n" * 68
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


def alone(net):
    """An Exim that delivers by itself: the same main section, another way out."""
    exim = Exim(net.directory / "alone", LMTP_PORT)
    example = pathlib.Path(__file__).resolve().parents[2] / "integration" / "exim" / "example.conf"
    main = example.read_text("utf-8").split("begin acl")[0]
    macros = exim.config.read_text("utf-8").split(".include")[0]
    exim.config.write_text(macros + main + ALONE.format(ca=net.authorities.ca_file), "utf-8")
    return exim


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def process_seconds(pid):
    """User and system time of one running process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def send(exim, recipient, count, pid=None):
    """CPU milliseconds a message."""
    before = children_seconds() + (process_seconds(pid) if pid else 0)
    for _ in range(count):
        exim.send(recipient, content=CONTENT)
    after = children_seconds() + (process_seconds(pid) if pid else 0)
    return (after - before) * 1000 / count


def main():
    rounds, count = (int(word) for word in (sys.argv[1:] + ["7", "40"][len(sys.argv) - 1:])[:2])
    with Internet(negative_ttl=60) as net:
        domain = net.domain(policy="enforce")
        domain.set_id("20261122", ttl=60)
        recipient = "bench@" + domain.name
        daemon = net.daemons.start({"lmtp": {"listen": [f"inet:127.0.0.1:{LMTP_PORT}"]}})
        native, beside = alone(net), Exim(net.directory / "beside", LMTP_PORT)
        send(native, recipient, 3)
        send(beside, recipient, 3, daemon.process.pid)
        rows = []
        for number in range(rounds):
            first = send(native, recipient, count)
            shim = process_seconds(daemon.process.pid)
            second = send(beside, recipient, count, daemon.process.pid)
            shim = (process_seconds(daemon.process.pid) - shim) * 1000 / count
            rows.append((first, second, shim))
            print(f"round {number + 1}: Exim alone {first:.2f} ms, Exim + stsgated {second:.2f} ms "
                  f"(stsgated {shim:.2f}), ratio {second / first:.2f}", flush=True)
        sent = len(domain.messages())
        expected = 2 * rounds * count + 6
        if sent != expected or not all(message.tls for message in domain.messages()):
            raise SystemExit(f"{sent} of {expected} messages arrived over TLS: no figures")
        ratios = [second / first for first, second, _ in rows]
        print(f"CPU a message, Exim + stsgated / Exim alone: median {statistics.median(ratios):.2f} "
              f"({min(ratios):.2f}-{max(ratios):.2f}), {rounds} rounds of {count}")


if __name__ == "__main__":
    main()
