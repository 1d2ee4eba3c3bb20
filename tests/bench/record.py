# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""What recording a session for TLS-RPT costs, as a share of a delivery.

    integration/lab/private-network /usr/bin/python3 tests/bench/record.py [ROUNDS [MESSAGES]]

Each round sends MESSAGES of 4 KiB to an enforced domain that wants reports, one after the other over
one LMTP session, each on a TLS connection of its own: by a stsgated with `tlsrpt { enable = "off" }`,
by one that counts, and by one that counts and tells a collector as well.  Counted is user and system
time of stsgated with everything it does for a message.  A session counts once a connection, so that
this is the dearest case.  Quote the ratios: the machine's speed drifts between rounds.
"""

import json
import os
import pathlib
import socket
import statistics
import sys
import threading

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent),
                str(pathlib.Path(__file__).resolve().parents[2] / "integration" / "lab")]

from connections import send  # noqa: E402
from stslab.internet import Internet  # noqa: E402


def listen(path):
    """Empties the collector's socket; the count of what came is in the list."""
    inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    inbox.bind(path)
    os.chmod(path, 0o666)
    seen = [0]

    def run():
        while inbox.recv(1 << 18):
            seen[0] += 1
    threading.Thread(target=run, daemon=True).start()
    return seen


def counted(daemon):
    stats = json.loads(daemon.ask("stats", "--json").stdout)
    return stats["tlsrpt_sessions_total.sts.success"]


def main():
    rounds, count = (int(word) for word in (sys.argv[1:] + ["5", "300"][len(sys.argv) - 1:])[:2])
    with Internet(negative_ttl=60) as net:
        socket_path = str(net.directory / "collectd.sock")
        seen = listen(socket_path)
        smtp = {"smtp": {"keep-idle": "0s"}}
        daemons = {
            "off": net.daemons.start({**smtp, "tlsrpt": {"enable": "off"}}),
            "collect": net.daemons.start(smtp),
            "forward": net.daemons.start({**smtp, "tlsrpt": {"forward": "unix:" + socket_path}})}
        domain = net.domain(policy="enforce")
        domain.set_id("20261122", ttl=60)
        net.zones.add("_smtp._tls." + domain.name, "TXT",
                      '"v=TLSRPTv1;rua=mailto:r@reports.example"', ttl=3600)
        for daemon in daemons.values():
            send(daemon, domain, 5)
        rows = []
        for number in range(rounds):
            rows.append({name: send(daemon, domain, count)[0] for name, daemon in daemons.items()})
            print(f"round {number + 1}: " + ", ".join(
                f"{name} {ms:.2f} ms" for name, ms in rows[-1].items()), flush=True)
        expected = rounds * count + 5
        if counted(daemons["collect"]) != expected or counted(daemons["forward"]) != expected:
            raise SystemExit("not every session was counted: no figures")
        if seen[0] < expected * 0.99:
            raise SystemExit(f"the collector saw {seen[0]} of {expected}: no figures")
        for name in ("collect", "forward"):
            ratios = [row[name] / row["off"] for row in rows]
            print(f"CPU, {name} / off: median {statistics.median(ratios):.2f} "
                  f"({min(ratios):.2f}-{max(ratios):.2f}), {rounds} rounds of {count}")


if __name__ == "__main__":
    main()
