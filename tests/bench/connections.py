# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""CPU of stsgated a message over fresh, resumed and kept TLS connections, beside a bare client.

    make -C "$STSGATE_BUILD" tests/bench/bare_client
    integration/lab/private-network /usr/bin/python3 tests/bench/connections.py [ROUNDS [MESSAGES]]

Each round sends MESSAGES of 4 KiB to an enforced domain of each kind, one after the other over one
LMTP session: to a host that lets no session be resumed, by a stsgated that keeps no connection; to
one that does, by the same; and by one that keeps connections.  The bare client, which knows of no
policy and no queue, then sends as many to the same host.  Counted is user and system time of
stsgated with everything it does for a message, and of the client.  The rate is mostly that of the
lab's mail server, which is written in Python.  Quote the ratios: the machine's speed drifts between
rounds, and a ratio is of one round.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "integration" / "lab"))

from stslab import lmtp, tls  # noqa: E402
from stslab.internet import Internet  # noqa: E402
from stslab.mx import Behaviour  # noqa: E402

CONTENT = (b"Subject: bench\r\n\r\n"
           + b"All work and no play makes a dull message, says the bench..\r\n" * 67)
KINDS = ("fresh", "resumed", "kept")
BARE = pathlib.Path(os.environ["STSGATE_BUILD"]) / "tests" / "bench" / "bare_client"


def process_seconds(pid):
    """User and system time of one running process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def publish(net, kind):
    """A domain whose host has a certificate, and so a TLS context, of its own."""
    domain = net.domain(policy="enforce", behaviour=Behaviour(minimum_tls="TLSv1.3"))
    domain.set_id("20261122", ttl=60)
    path = net.authorities.kind("good", domain.host.name).path
    if kind == "fresh":
        tls.server_context(path, "TLSv1.3", "TLSv1.3").num_tickets = 0
    return domain


def send(daemon, domain, count):
    """(CPU milliseconds, messages a second)."""
    pid, began = daemon.process.pid, time.monotonic()
    before = process_seconds(pid)
    with lmtp.Client(daemon.lmtp) as client:
        client.hello()
        for _ in range(count):
            reply = client.transaction("sender@out.example", ["bench@" + domain.name], CONTENT).only
            if reply.code != 250:
                raise SystemExit(f"{domain.name}: {reply}")
    took = time.monotonic() - began
    return (process_seconds(pid) - before) * 1000 / count, count / took


def send_bare(net, domain, kind, count):
    """CPU milliseconds a message of the bare client."""
    done = subprocess.run(
        [BARE, kind, domain.host.address, "25", domain.host.name, net.authorities.ca_file,
         "bench@" + domain.name, str(len(CONTENT)), str(count)],
        capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise SystemExit(f"bare client, {kind}: {done.stderr}")
    return float(done.stdout)


def check(domains, rounds):
    """Was each kind what its name says?"""
    fresh, resumed, kept = (domains[kind].host.connections for kind in KINDS)
    if any(connection.resumed for connection in fresh):
        raise SystemExit("a session of the fresh kind was resumed: no figures")
    if sum(not connection.resumed for connection in resumed) > 1 + rounds:  # one each of the client
        raise SystemExit("a session of the resumed kind was not: no figures")
    messages = len(domains["kept"].host.messages)
    if len(kept) > messages / 50:
        raise SystemExit(f"{len(kept)} connections were made for {messages}: no figures")


def show(what, ratios, count):
    print(f"{what}: median {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f}), "
          f"{len(ratios)} rounds of {count}")


def main():
    rounds, count = (int(word) for word in (sys.argv[1:] + ["5", "300"][len(sys.argv) - 1:])[:2])
    with Internet(negative_ttl=60) as net:
        single = net.daemons.start({"smtp": {"keep-idle": "0s"}})
        keeping = net.daemons.start({"smtp": {"keep-idle": "60s"}})
        domains = {kind: publish(net, kind) for kind in KINDS}
        daemons = {"fresh": single, "resumed": single, "kept": keeping}
        for kind in KINDS:
            send(daemons[kind], domains[kind], 5)
        rows = []
        for number in range(rounds):
            row = {kind: (*send(daemons[kind], domains[kind], count),
                          send_bare(net, domains[kind], kind, count)) for kind in KINDS}
            rows.append(row)
            print(f"round {number + 1}: " + ", ".join(
                f"{kind} {row[kind][0]:.2f} ms, {row[kind][1]:.0f}/s, bare {row[kind][2]:.2f} ms"
                for kind in KINDS), flush=True)
        check(domains, rounds)
        for kind in KINDS:
            show(f"CPU, {kind}: stsgated / bare client",
                 [row[kind][0] / row[kind][2] for row in rows], count)
        for kind in KINDS[1:]:
            for what, at in (("CPU", 0), ("rate", 1)):
                show(f"{what}, {kind} / fresh", [row[kind][at] / row["fresh"][at] for row in rows],
                     count)


if __name__ == "__main__":
    main()
