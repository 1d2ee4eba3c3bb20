# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""What stsgated grows by: memory a session and a kept connection, CPU a message by domains.

    export STSGATE_BUILD=/path
    integration/lab/private-network /usr/bin/python3 tests/bench/sessions.py [SESSIONS [DOMAINS]]

Resident memory of a stsgated just started and warmed up, then with 10, 100 ... SESSIONS idle LMTP
sessions after LHLO; in another that has as many TLS connections to one MX host kept open, all of
them first busy at once, each with an LMTP session of its own that has ended by then.  The aims are
40 KiB a session and 128 KiB a connection; with few connections the stacks of ended threads, which
the C library keeps, weigh as much as they do.  Last, CPU of stsgated for a message to 1, 10, 100
... DOMAINS enforced domains on one MX host in turns, when every policy, DNS answer and connection
is warm, and its resident memory then.
"""

import itertools
import pathlib
import resource
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "integration" / "lab"))

from connections import CONTENT, process_seconds  # noqa: E402
from stslab import lmtp, policyhost  # noqa: E402
from stslab.internet import Internet  # noqa: E402
from stslab.mx import Behaviour, Slow  # noqa: E402

MESSAGES = 600
BATCH = 50      # domains published by one DNS update


def steps(most):
    """1, 10, 100 ... up to and with `most`."""
    return [10 ** power for power in range(len(str(most))) if 10 ** power < most] + [most]


def memory(daemon):
    """Resident memory, once it has come to rest."""
    before = -1
    while before != daemon.memory_kib():
        before = daemon.memory_kib()
        time.sleep(0.5)
    return before


def hand_over(daemon, rcpt, content=lmtp.MESSAGE):
    client = daemon.client(seconds=600)
    client.hello()
    client.envelope("bench@out.example", [rcpt])
    client.command("DATA")
    client.send(lmtp.stuffed(content))
    return client


def send(daemon, rcpts):
    """All of them, one after the other over one session."""
    with daemon.client(seconds=60) as client:
        client.hello()
        for rcpt in rcpts:
            reply = client.transaction("bench@out.example", [rcpt], CONTENT).only
            if reply.code != 250:
                raise SystemExit(f"{rcpt}: {reply}: no figures")


def idle_sessions(net, most):
    daemon = net.daemons.start({"lmtp": {"max-sessions": most + 10}})
    domain = net.domain(policy="enforce")
    send(daemon, ["bench@" + domain.name] * 20)
    empty = memory(daemon)
    print(f"memory, warmed up: {empty} KiB")
    clients = []
    for count in steps(most)[1:]:
        while len(clients) < count:
            clients.append(daemon.client())
            clients[-1].hello()
        print(f"memory, {count} idle sessions: {memory(daemon)} KiB, "
              f"{(memory(daemon) - empty) / count:.1f} KiB each", flush=True)
    for client in clients:
        client.close()
    daemon.stop()


def kept_connections(net, most):
    for count in steps(most)[1:]:
        daemon = net.daemons.start({
            "lmtp": {"max-sessions": count + 10},
            "smtp": {"max-per-host": count, "max-deliveries": max(count, 10),
                     "keep-idle": "1h", "keep-time": "1h", "command-timeout": "10m",
                     "final-timeout": "10m"}})
        domain = net.domain(policy="enforce")
        send(daemon, ["bench@" + domain.name] * 20)
        empty = memory(daemon)
        domain.host.cut_connections()
        domain.host.behaviour = Behaviour(dot=Slow(3 + count / 40, "250 2.0.0 Ok"))
        clients = [hand_over(daemon, "bench@" + domain.name) for _ in range(count)]
        if {client.reply().code for client in clients} != {250}:
            raise SystemExit("not all were delivered: no figures")
        for client in clients:
            client.close()
        open_now = sum(not connection.ended for connection in domain.host.connections)
        grown = memory(daemon) - empty
        print(f"memory, {open_now} TLS connections kept of {count}: {empty + grown} KiB, "
              f"{grown / max(open_now, 1):.1f} KiB each", flush=True)
        daemon.stop()


def publish(net, count):
    """Enforced domains that share one MX host."""
    host = net.mx_host("mx.shared.example")
    net.zones.add(host.name, "A", host.address)
    text = policyhost.policy_text("enforce", [host.name], 86400).encode()
    names = [net.fresh_name() for _ in range(count)]
    for first in range(0, count, BATCH):
        changes = []
        for name in names[first:first + BATCH]:
            net.policy_host.sites["mta-sts." + name] = policyhost.Site(body=text)
            changes += [("add", name, "MX", f"10 {host.name}.", 86400),
                        ("add", "_mta-sts." + name, "TXT", '"v=STSv1; id=1;"', 86400),
                        ("add", "mta-sts." + name, "A", net.policy_host.address, 86400)]
        net.zones.change(changes)
    return names


def many_domains(net, most):
    daemon = net.daemons.start({"smtp": {"keep-idle": "10m", "keep-time": "10m",
                                         "keep-messages": 100000}})
    names = publish(net, most)
    for count in steps(most):
        rcpts = ["bench@" + name for name in names[:count]]
        send(daemon, rcpts)
        before, began = process_seconds(daemon.process.pid), time.monotonic()
        send(daemon, itertools.islice(itertools.cycle(rcpts), MESSAGES))
        spent, took = process_seconds(daemon.process.pid) - before, time.monotonic() - began
        print(f"CPU, {count} domains: {spent * 1000 / MESSAGES:.2f} ms a message, "
              f"{MESSAGES / took:.0f} messages a second, memory {memory(daemon)} KiB", flush=True)
    daemon.stop()


def main():
    words = sys.argv[1:] + ["1000", "1000"][len(sys.argv) - 1:]
    sessions, domains = (int(word) for word in words[:2])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Internet(negative_ttl=600) as net:
        idle_sessions(net, sessions)
        kept_connections(net, sessions)
        many_domains(net, domains)


if __name__ == "__main__":
    main()
