# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Few descriptors: mail waits, nothing goes without its policy, and nothing ends."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import address, assert_nothing_leaked, wait_until
from stslab import lmtp
from stslab.mx import Behaviour

STRIPPED = Behaviour(offer_starttls=False, starttls=None)
FRESH = {"smtp": {"keep-idle": "0s"}}


@pytest.fixture
def limited(net):
    """A daemon that may have so many descriptors; it must still be there at the end."""
    made = []

    def start(limit, settings=None):
        made.append(net.daemons.make(settings or FRESH))
        return made[-1].start(prefix=["prlimit", f"--nofile={limit}"])

    yield start
    for daemon in made:
        assert daemon.process.poll() is None, daemon.log_text()[-2000:]
        assert net.daemons.discard(daemon) == 0, daemon.log_text()[-2000:]


def in_plaintext(domain):
    return [line.text for host in domain.hosts for line in host.lines
            if line.verb == "MAIL" and not line.tls]


def test_the_soft_limit_becomes_the_hard_one(limited):
    mta = limited("100:9000")
    with open(f"/proc/{mta.process.pid}/limits", encoding="ascii") as limits:
        assert re.search(r"Max open files\s+9000\s+9000", limits.read())
    assert not [line for line in mta.log("start", level="warning") if "files" in line["msg"]]


def test_a_limit_that_is_too_low_is_said_with_numbers(limited):
    mta = limited("100:3999")
    (line,) = [line for line in mta.log("start", level="warning") if "files" in line["msg"]]
    assert {"3999", "4000", "(1000)"} <= set(re.findall(r"\(?\d+\)?", line["msg"])), line


def test_many_messages_for_cold_domains_and_few_descriptors(net, limited):
    """Each needs a policy that was never fetched, and there is not enough for all of them."""
    mta = limited("80:80")
    domains = [net.domain(policy="enforce", behaviour=STRIPPED) for _ in range(60)]
    with ThreadPoolExecutor(60) as pool:
        replies = list(pool.map(lambda domain: mta.deliver(address(domain), seconds=60).only,
                                domains))
    for domain, reply in zip(domains, replies):
        assert reply.code == 451, f"{domain.name}: {reply}"
        assert in_plaintext(domain) == []
        assert_nothing_leaked(domain)
    short = {reply.short for reply in replies}
    assert "451 4.7.4" in short, f"some were judged: {short}"
    again = [mta.deliver(address(domain)).only.short for domain in domains[:5]]
    assert set(again) == {"451 4.7.4"}, "what could not be had is not remembered"


def test_idle_sessions_take_all_but_the_reserve(net, limited):
    """Refusals ask the policy again past all caches, which takes a dozen descriptors at once."""
    mta = limited("256:256", {"smtp": {"keep-idle": "0s"}, "sts": {"retry-interval": "1s"}})
    known = net.domain(policy="enforce")
    assert mta.deliver(address(known)).only.short == "250 2.0.0"
    idle = []
    try:
        while len(idle) < 256:
            idle.append(lmtp.Client(mta.lmtp, 1))
    except (OSError, lmtp.Hangup):
        pass
    assert 60 < len(idle) < 200, len(idle)
    known.host.behaviour = STRIPPED
    idle[0].hello()
    idle[0].transaction("a@b.example", [address(known)])
    assert mta.ask("stats").returncode == 0, "the control socket is served"
    while len(idle) > 40:
        client = idle.pop()
        client.hello()
        domain = net.domain(policy="enforce", behaviour=STRIPPED)
        for rcpt in (domain, known):
            result = client.transaction("a@b.example", [address(rcpt)])
            assert result.only.code == 451, result
            assert in_plaintext(rcpt) == []
        client.close()
    known.host.behaviour = Behaviour()
    for client in idle:
        client.close()
    wait_until(lambda: mta.deliver(address(known)).only.short == "250 2.0.0", 30, "as before")
    assert mta.log("session", level="error"), "it is said"
