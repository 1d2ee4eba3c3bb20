# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Which way a message went: from whom to whom, how covered, and where it stopped.

Pure: from a Run to hops, for the terminal and for the diagram.
"""

from dataclasses import dataclass

from .places import EVIL
from .world import FORGED, HARMLESS, HELD, STOLEN

# What a hop was: handed over inside the machine; in the clear; in TLS that ended with the
# attacker; in TLS to the real receiver; no more than a greeting; not at all.
LOCAL, CLEAR, READ, TLS, GREETED, NOTHING = "local", "clear", "read", "tls", "greeted", "nothing"
WORDS = {LOCAL: "LMTP", CLEAR: "in clear", READ: "TLS", TLS: "TLS", GREETED: "no mail",
         NOTHING: ""}


@dataclass(frozen=True)
class Hop:
    """From the node before to `node`."""

    state: str
    node: str
    role: str = ""      # "attacker", "listener", "receiver", "stsgated"


@dataclass(frozen=True)
class Way:
    """`stop` is the index of the hop that was refused, or None."""

    start: str
    hops: tuple
    stop: int = None


def way(scenario, run):
    """The Way of one run."""
    hops = [Hop(LOCAL, "stsgated", "stsgated")] if run.guarded else []
    if run.verdict in (FORGED, HARMLESS) or scenario.behind is not None:
        return Way(run.sender, (*hops, Hop(TLS, "gateway", "receiver")))
    met = bool(run.exchanges)
    node, role = _between(scenario, run)
    receiver = Hop(NOTHING, "real MX host", "receiver")
    if run.verdict == STOLEN:
        state = READ if run.stolen_over_tls else CLEAR
        hops += [Hop(state, node, role), Hop(state, receiver.node, receiver.role)]
        return Way(run.sender, tuple(hops))
    if run.verdict == HELD:
        hops += [Hop(GREETED if met else NOTHING, node, role), receiver]
        return Way(run.sender, tuple(hops), stop=len(hops) - 2)
    hops += [Hop(TLS, node, role), Hop(TLS, receiver.node, receiver.role)]
    return Way(run.sender, tuple(hops))


def _between(scenario, run):
    if scenario.kind == "honest":
        return "a listener", "listener"
    if any(exchange.host == EVIL for exchange in run.exchanges) or scenario.forges_mx:
        return "attacker's host", "attacker"
    return "attacker", "attacker"
