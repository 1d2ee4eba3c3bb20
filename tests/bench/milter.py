# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Milliseconds that stsgate-milter adds to a recipient whose domain is warm.

    integration/lab/private-network /usr/bin/python3 tests/bench/milter.py [ROUNDS [RECIPIENTS]]

Each round gives RECIPIENTS of enforced domains to the milter over one session, one a message, and
as many whose mailer is local, about which it asks nobody.  An MTA without the milter has neither
round trip: the first figure is all that is added, with what the lab's client in Python takes, the
second is what the milter protocol costs of it, and the third is the difference round by round.
"""

import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "integration" / "lab"))

from stslab.internet import Internet  # noqa: E402
from stslab.milter import StsgateMilter  # noqa: E402

SENDER = "<bench@out.stslab.example>"
DOMAINS = 20
ASKED, LOCAL = {"rcpt_mailer": "esmtp"}, {"rcpt_mailer": "local"}


def recipients(session, names, count, macros):
    """Milliseconds of each of `count` recipients, sorted."""
    took = []
    for number in range(count):
        session.mail(SENDER)
        name = names[number % len(names)]
        began = time.perf_counter()
        answer = session.rcpt(f"<bench@{name}>", **macros)
        took.append((time.perf_counter() - began) * 1000)
        if answer.do != "continue":
            raise SystemExit(f"{name} is refused, {answer.text}: no figures")
    return sorted(took)


def show(what, rows):
    """Median and 99 of 100, each the median of its rounds."""
    p50, p99 = (statistics.median(row[int(len(row) * part)] for row in rows)
                for part in (0.5, 0.99))
    print(f"{what}: {p50:.3f} ms at the median, {p99:.3f} ms at 99 of 100", flush=True)


def main():
    rounds, count = (int(word) for word in (sys.argv[1:] + ["5", "2000"][len(sys.argv) - 1:])[:2])
    with Internet(negative_ttl=60) as net:
        daemon = net.daemons.start()
        listen = f"unix:{daemon.directory}/run/milter.sock"
        daemon.reconfigure({"milter": {"listen": listen, "refuse": "reject"}})
        milter = StsgateMilter(daemon.config, listen, daemon.directory / "milter.log").start()
        domains = [net.domain(policy="enforce") for _ in range(DOMAINS)]
        for domain in domains:
            domain.set_id("20261122", ttl=300)
        names = [domain.name for domain in domains]
        asked, passed = [], []
        try:
            with milter.session() as session:
                recipients(session, names, 2 * DOMAINS, ASKED)
                for _ in range(rounds):
                    asked.append(recipients(session, names, count, ASKED))
                    passed.append(recipients(session, names, count, LOCAL))
        finally:
            milter.stop()
        verdicts = milter.log("recipient", verdict="use", mode="enforce")
        if len(verdicts) != 2 * DOMAINS + rounds * count:
            raise SystemExit(f"{len(verdicts)} recipients were asked about: no figures")
        show(f"a warm recipient, {rounds} rounds of {count}", asked)
        show("of it a recipient that is passed over", passed)
        more = [statistics.median(a) - statistics.median(b) for a, b in zip(asked, passed)]
        print(f"so asking stsgated: {statistics.median(more):.3f} ms "
              f"({min(more):.3f}-{max(more):.3f})")


if __name__ == "__main__":
    main()
