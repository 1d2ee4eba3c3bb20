# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""What DANE adds to a delivery: questions to the DNS, round trips, and milliseconds.

    integration/lab/private-network /usr/bin/python3 tests/bench/dane.py [ROUNDS [DELAY_MS]]

In each round a domain with two MX hosts under DANE, and one just like it without TLSA records, get
two messages each from a stsgated with `dane { enforce = "on" }` and from one with "off": the first
while nothing about the domain is in any cache, the second right after it.  Every answer of the
DNS comes DELAY_MS late, so that round trips one after the other show.  A question counts when it
arrives at the resolver that stsgated is given; DNSKEY and DS questions are counted, too.
"""

import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "integration" / "lab"))

from stslab import tlsa  # noqa: E402
from stslab.forwarder import Delay  # noqa: E402
from stslab.internet import Internet, Mx  # noqa: E402
from stslab.mx import Behaviour  # noqa: E402

KINDS = ("on, TLSA records", "on, none", "off, TLSA records")


def publish(net, kind):
    """A domain with two hosts, which nobody has asked for yet."""
    domain = net.domain(mx=[Mx(10, Behaviour(certificate="self-signed")), Mx(20)])
    if "none" not in kind:
        for host in domain.hosts:
            net.zones.add(tlsa.at(host.name), "TLSA", tlsa.of(host, "3 1 1"))
    return domain


def deliver(net, daemon, domain):
    """(milliseconds, questions, those for TLSA records)."""
    before = len(net.dns.queries())
    began = time.monotonic()
    reply = daemon.deliver("bench@" + domain.name).only
    took = (time.monotonic() - began) * 1000
    if reply.code != 250:
        raise SystemExit(f"{domain.name}: {reply}")
    asked = net.dns.queries()[before:]
    return took, len(asked), sum(query.kind == "TLSA" for query in asked)


def main():
    rounds, delay = (int(word) for word in (sys.argv[1:] + ["20", "20"][len(sys.argv) - 1:])[:2])
    with Internet(negative_ttl=60) as net:
        # Without kept connections, so that the second message is a delivery like the first.
        daemons = {word: net.daemons.start({"dane": {"enforce": word},
                                            "smtp": {"keep-idle": "0s"}}) for word in ("on", "off")}
        for daemon in daemons.values():   # the keys of the zones
            deliver(net, daemon, publish(net, "on, none"))
        net.dns.fault("*", "*", Delay(delay / 1000))
        rows = {(kind, warm): [] for kind in KINDS for warm in (False, True)}
        for _ in range(rounds):
            for kind in KINDS:
                domain = publish(net, kind)
                daemon = daemons[kind.split(",")[0]]
                for warm in (False, True):
                    rows[kind, warm].append(deliver(net, daemon, domain))
    print(f"{rounds} rounds, each answer {delay} ms late; medians, and in brackets the extremes")
    for (kind, warm), found in rows.items():
        took, asked, tlsas = zip(*found)
        print(f"dane {kind:18} {'warm' if warm else 'cold'}: {statistics.median(took):6.1f} ms "
              f"({min(took):.1f}-{max(took):.1f}), {statistics.median(asked):.0f} questions, "
              f"{statistics.median(tlsas):.0f} of them for TLSA")


if __name__ == "__main__":
    main()
