# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Many LMTP sessions, random messages by DATA or BDAT, and hosts that misbehave at random.

If the MTA was told 250 for a recipient, a host took the message for it exactly once, whole; after any
other reply no host took it.  A 5xx is what a host said about that recipient.  No message goes in plaintext
in spite of a policy, and no host takes a message after the MTA hung up.  Afterwards descriptors, threads
and memory have not grown, and mail to each domain is delivered again.

The test runs undisturbed, with a reload every 0.7 s, and with SIGTERM or SIGKILL every few seconds:

    tests/e2e/run -s tests/long/test_chaos.py -k KILL
    STSGATE_CHAOS_SEED=4711 STSGATE_BUILD=$PWD/build/threads tests/e2e/run -s tests/long/test_chaos.py

    STSGATE_CHAOS_SEED      determines messages and misbehaviours (tests/e2e/chaos.py); a new one
                            each time by default.  It is printed, and part of a failure's message.
    STSGATE_CHAOS_MESSAGES  600
    STSGATE_CHAOS_SESSIONS  50; LMTP sessions at the same time
    STSGATE_CHAOS_SHARE     0.06; the probability of a misbehaviour at each stage of the dialogue

For `./runtests long`.  tests/e2e/test_chaos.py is the short form.
"""

import os
import random

import chaos
import pytest
from checks import address, wait_until
from stslab import pace

SEED = int(os.environ.get("STSGATE_CHAOS_SEED", random.randrange(1000000)))
MESSAGES = int(os.environ.get("STSGATE_CHAOS_MESSAGES", "600"))
SESSIONS = int(os.environ.get("STSGATE_CHAOS_SESSIONS", "50"))
SHARE = float(os.environ.get("STSGATE_CHAOS_SHARE", "0.06"))
ORDINARY = {"descriptors": 16, "threads": 4, "KiB": 65536}   # differences between two times at rest


def grown(mta, before):
    """Which resources have grown by more than ORDINARY; a sanitizer keeps freed memory."""
    now = chaos.resources(mta)
    return [f"{name}: {now[name]} instead of {before[name]}" for name in now
            if now[name] > before[name] + ORDINARY[name] and not (name == "KiB" and pace.factor() > 1)]


@pytest.mark.timeout(300 + MESSAGES)
@pytest.mark.parametrize("how", [None, "reload", "TERM", "KILL"])
def test_each_reply_is_true(net, start, how):
    print(f"\nSTSGATE_CHAOS_SEED={SEED}")
    mta = start(chaos.SETTINGS)
    domains = chaos.publish(net, SEED, SHARE)
    traffic = chaos.Traffic(mta, domains, SEED)
    traffic.run(MESSAGES // 10, SESSIONS)
    wait_until(traffic.at_rest, 30, "the end of all connections")
    before = chaos.resources(mta)
    with chaos.disturbed(traffic, how):
        traffic.run(MESSAGES, SESSIONS)
    assert traffic.disturbances or how is None
    wait_until(traffic.at_rest, 30, "the end of all connections")
    print(traffic.summary(), before, chaos.resources(mta), sep="\n")
    wait_until(lambda: not grown(mta, before), 20, f"a release of resources, {before} before,")
    chaos.calm(domains)
    for domain in domains:
        wait_until(lambda domain=domain: mta.deliver(address(domain, "calm")).only.code == 250, 60,
                   f"a delivery to {domain.name}")
    traffic.check()
