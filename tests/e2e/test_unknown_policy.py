# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""A policy is announced, none is cached, and it is not learned: whose fault is it?

Only the domain's own fault lets a message go without a policy.  The MX host offers no TLS, so that
a message that goes, goes in plaintext.
"""

import itertools
import pathlib
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import address, assert_arrived, assert_nothing_leaked, assert_reply, wait_until
from stslab import namespace
from stslab.forwarder import Forged
from stslab.mx import Behaviour
from stslab.policyhost import PolicyHost

STRIPPED = Behaviour(offer_starttls=False, starttls=None)


def announced(net, **more):
    return net.domain(policy="enforce", behaviour=STRIPPED, **more)


def in_force(mta, domain):
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.4")


FORGED = {"no signatures": ("A", "stripped"), "broken signatures": ("A", "broken"),
          "another address": ("A", Forged("127.0.0.81")),
          "denied without proof": ("*", "nxdomain"), "no data without proof": ("*", "empty")}


@pytest.mark.parametrize("kind,fault", FORGED.values(), ids=FORGED.keys())
def test_forged_addresses_of_the_policy_host_stop_the_mail(net, start, kind, fault):
    """Also once the grace is over: it is for answers that fail."""
    mta = start({"sts": {"cold-failure-grace": "1s", "retry-interval": "1s"}})
    domain = announced(net)
    net.dns.fault(domain.sts_host, kind, fault)
    for _ in range(3):
        assert_reply(mta.deliver(address(domain)).only, "451 4.7.5", domain.sts_host)
    assert_nothing_leaked(domain)
    assert domain.fetches() == []


def test_a_forged_family_of_the_policy_host_leaves_the_other(net, mta):
    domain = announced(net)
    net.dns.fault(domain.sts_host, "AAAA", "broken")
    in_force(mta, domain)


def test_the_same_forgery_in_an_unsigned_zone_is_no_policy(net, mta):
    """That the stories above can fail."""
    domain = announced(net, zone="plain")
    net.dns.fault(domain.sts_host, "*", "nxdomain")
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain, tls=False)


@pytest.mark.parametrize("zone", ["example", "plain"])
@pytest.mark.parametrize("fault", ["servfail", "silence", "refused"])
def test_addresses_of_the_policy_host_that_are_not_answered(net, start, zone, fault):
    """451 for the grace, also over a restart, and asked again at once when they are."""
    mta = start({"dns": {"timeout": "2s"}, "sts": {"retry-interval": "5m"}})
    domain = announced(net, zone=zone)
    net.dns.fault(domain.sts_host, "*", fault)
    assert_reply(mta.deliver(address(domain)).only, "451 4.4.3", domain.sts_host)
    mta.restart()
    assert_reply(mta.deliver(address(domain)).only, "451 4.4.3", domain.sts_host)
    assert_nothing_leaked(domain)
    net.dns.heal()
    mta.restart()  # for libunbound, which repeats a failure for seconds
    in_force(mta, domain)


def test_addresses_of_the_policy_host_that_fail_for_longer_than_the_grace(net, start):
    """Then it goes, with a warning each time; an answer for TXT alone does not begin it again."""
    mta = start({"sts": {"cold-failure-grace": "3s", "retry-interval": "1s"}})
    domain = announced(net)
    net.dns.fault(domain.sts_host, "*", "servfail")
    assert_reply(mta.deliver(address(domain)).only, "451 4.4.3")
    assert_nothing_leaked(domain)
    replies = []
    while not replies or replies[-1].code == 451:
        replies.append(mta.deliver(address(domain)).only)
        assert len(replies) < 2000, replies[-1]
    assert {reply.short for reply in replies} <= {"451 4.4.3", "250 2.0.0"}
    said = [line for line in mta.log("policy", level="warning", domain=domain.name)
            if "cold-failure-grace" in line["msg"]]
    assert len(said) == 1, said


def test_a_proxy_that_is_away_is_no_policy_host_that_is(net, start):
    domain = announced(net)
    mta = start({"sts": {"http-proxy": "127.0.0.1:9"}})
    for _ in range(2):
        assert_reply(mta.deliver(address(domain)).only, "451 4.4.3")
    assert_nothing_leaked(domain)


@pytest.mark.timeout(180)
def test_a_flood_of_names_of_a_silent_zone(net, start):
    """70 sessions with 20 such names each: all other domains are still looked up, none of them
    loses its policy, and nothing is stored about questions that could not be asked."""
    mta = start({"smtp": {"keep-idle": "0s"}, "dns": {"timeout": "10s"},
                 "sts": {"fetch-timeout": "30s"}})
    silent = net.fresh_name()
    net.dns.fault("*." + silent, "*", "silence")
    domains = [announced(net) for _ in range(40)]
    over = threading.Event()

    def flood(session):
        codes = set()
        for turn in itertools.count():
            names = [f"a@n{session}-{turn}-{number}.{silent}" for number in range(20)]
            codes |= {reply.code for reply in mta.deliver(names, seconds=120).final}
            if over.is_set():
                return codes

    with ThreadPoolExecutor(70) as sessions, ThreadPoolExecutor(8) as others:
        flooding = [sessions.submit(flood, session) for session in range(70)]
        wait_until(lambda: len({query.name for query in net.dns.queries()
                                if query.name.endswith(silent)}) > 200, 60, "the flood")
        replies = list(others.map(lambda domain: mta.deliver(address(domain)).only, domains))
        over.set()
        codes = set().union(*(future.result() for future in flooding))
    for domain in domains:
        assert_nothing_leaked(domain)
    assert [reply.short for reply in replies] == ["451 4.7.4"] * len(domains)
    assert codes == {451}
    net.dns.heal()
    assert_reply(mta.deliver(address(announced(net))).only, "451 4.7.4")


@pytest.fixture
def short_of_memory(net, tmp_path):
    """A daemon whose TLS handshakes lack memory, and what ends that."""
    daemon = net.daemons.make({"smtp": {"keep-idle": "0s"}})
    library, lacks = daemon.directory / "no_memory.so", daemon.directory / "no-memory"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library,
                    pathlib.Path(__file__).with_name("no_memory.c")], check=True)
    lacks.touch()
    daemon.start(prefix=["env", f"LD_PRELOAD={library}", f"NO_MEMORY={lacks}"])
    yield daemon, lacks
    assert net.daemons.discard(daemon) == 0


@pytest.mark.no_sanitizer   # which has a malloc() of its own
def test_a_fetch_that_lacked_memory_is_no_failed_fetch(net, short_of_memory):
    """OpenSSL's words for it are those for a broken peer."""
    mta, lacks = short_of_memory
    domains = [announced(net) for _ in range(40)]
    replies = {mta.deliver(address(domain)).only.short for domain in domains}
    assert replies == {"451 4.4.3", "451 4.7.4"}
    lacks.unlink()
    for domain in domains:
        in_force(mta, domain)
        assert_nothing_leaked(domain)


@pytest.mark.no_sanitizer
def test_a_handshake_that_lacked_memory_is_no_reason_for_plaintext(net, short_of_memory):
    mta, lacks = short_of_memory
    domains = [net.domain() for _ in range(40)]
    replies = {mta.deliver(address(domain)).only.short for domain in domains}
    # How many handshakes get as far as a request that is not refused depends on OpenSSL.
    assert "451 4.4.2" in replies and replies <= {"451 4.4.2", "250 2.0.0"}
    lacks.unlink()
    for domain in domains:
        assert {line.tls for line in domain.host.lines if line.verb == "MAIL"} <= {True}


ELSEWHERE = "198.51.100.80"
FAR = "9.9.9.9"


def at_unrouted_host(net):
    domain = announced(net)
    net.zones.replace(domain.sts_host, "A", ELSEWHERE)
    return domain


def test_a_machine_without_a_route_has_not_asked_the_policy_host(net, mta):
    """And asks as soon as there is one."""
    domain = at_unrouted_host(net)
    assert_reply(mta.deliver(address(domain)).only, "451 4.4.3", "unreachable")
    host = PolicyHost(net.authorities, ELSEWHERE)
    host.sites = net.policy_host.sites
    namespace.add_address(ELSEWHERE + "/32")
    try:
        host.start()
        in_force(mta, domain)
        host.stop()
    finally:
        namespace.drop_address(ELSEWHERE + "/32")
    assert_nothing_leaked(domain)


def test_a_policy_host_without_a_route_is_no_policy_where_others_have_one(net, mta):
    """Routers answer so for a network that is gone."""
    domain = at_unrouted_host(net)
    namespace.add_address(FAR + "/32")
    try:
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    finally:
        namespace.drop_address(FAR + "/32")
    assert_arrived(domain, tls=False)
