# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""What the history costs, as a share of a delivery.

    integration/lab/private-network /usr/bin/python3 tests/bench/history_cost.py [ROUNDS [MESSAGES]]

Each round sends MESSAGES to an enforced domain, each on a TLS connection of its own: by a stsgated
with `history { keep = "0s" }`, and by one with the default.  Counted is user and system time of
stsgated with everything it does for a message.  Quote the ratio: the machine's speed drifts.
"""

import pathlib
import statistics
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent),
                str(pathlib.Path(__file__).resolve().parents[2] / "integration" / "lab")]

from connections import send  # noqa: E402
from stslab.internet import Internet  # noqa: E402


def main():
    rounds, count = (int(word) for word in (sys.argv[1:] + ["9", "300"][len(sys.argv) - 1:])[:2])
    with Internet(negative_ttl=60) as net:
        smtp = {"smtp": {"keep-idle": "0s"}}
        daemons = {"off": net.daemons.start({**smtp, "history": {"keep": "0s"}}),
                   "on": net.daemons.start(smtp)}
        domain = net.domain(policy="enforce")
        domain.set_id("20261122", ttl=60)
        for daemon in daemons.values():
            send(daemon, domain, 5)
        ratios = []
        for number in range(rounds):
            # neither is always the first
            order = list(daemons) if number % 2 else list(reversed(daemons))
            took = {name: send(daemons[name], domain, count)[0] for name in order}
            ratios.append(took["on"] / took["off"])
            print(f"round {number + 1}: off {took['off']:.2f} ms, on {took['on']:.2f} ms",
                  flush=True)
        print(f"CPU, on / off: median {statistics.median(ratios):.3f} "
              f"({min(ratios):.3f}-{max(ratios):.3f}), {rounds} rounds of {count}")


if __name__ == "__main__":
    main()
