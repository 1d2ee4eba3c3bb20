# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Connections to MX hosts: kept, lost, limited, from where and by which family."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import address, assert_arrived, assert_nothing_leaked, assert_reply, wait_until
from stslab.internet import Mx
from stslab.mx import Behaviour, Silence, Slow


def send(mta, domain, count):
    for number in range(count):
        assert mta.deliver(address(domain, f"u{number}")).only.short == "250 2.0.0"


def test_a_connection_is_kept_for_the_next_message(net, mta):
    domain = net.domain(policy="enforce")
    send(mta, domain, 4)
    assert len(domain.host.connections) == 1
    assert_arrived(domain, times=4, tls=True)


def test_keep_idle_zero_turns_it_off(net, start):
    mta = start({"smtp": {"keep-idle": "0s"}})
    domain = net.domain()
    send(mta, domain, 3)
    assert len(domain.host.connections) == 3
    wait_until(lambda: all(connection.ended == "quit" for connection in domain.host.connections),
               2, "QUIT")


def test_keep_messages(net, start):
    mta = start({"smtp": {"keep-messages": 2}})
    domain = net.domain()
    send(mta, domain, 5)
    assert [len(connection.messages) for connection in domain.host.connections] == [2, 2, 1]


def test_keep_idle_and_keep_time_are_over(net, start):
    mta = start({"smtp": {"keep-idle": "1s"}})
    domain = net.domain()
    send(mta, domain, 1)
    wait_until(lambda: domain.host.connections[0].ended == "quit", 4, "QUIT after keep-idle")
    mta = start({"smtp": {"keep-time": "1s"}})
    domain = net.domain()
    send(mta, domain, 1)
    time.sleep(1.2)
    send(mta, domain, 1)
    assert len(domain.host.connections) == 2


def test_a_kept_connection_that_was_lost(net, mta):
    """One fresh connection to the same host, and nobody notices."""
    domain = net.domain(policy="enforce", mx=[Mx(10), Mx(20)])
    send(mta, domain, 1)
    domain.host.cut_connections()
    send(mta, domain, 1)
    assert len(domain.host.messages) == 2
    assert domain.hosts[1].connections == []


def test_a_kept_connection_after_a_refused_recipient(net, mta):
    """The next message begins with a clean transaction."""
    domain = net.domain(behaviour=Behaviour(rcpt={"nobody": "550 5.1.1 No"}))
    assert mta.deliver(address(domain, "nobody")).only.short == "550 5.1.1"
    assert mta.deliver(address(domain, "yes")).only.short == "250 2.0.0"
    (message,) = domain.messages()
    assert message.recipients == [address(domain, "yes")]


def test_reused_in_the_log(net, mta):
    domain = net.domain(policy="enforce")
    send(mta, domain, 2)
    lines = [line for line in mta.log() if line.get("domain") == domain.name and "reused" in line]
    assert [line["reused"] for line in lines] == ["no", "no", "yes", "yes"]
    assert {line["tls"] for line in lines} == {"verified"}


def test_idle_connections_keep_nobody_waiting(net, start):
    """At the limit the idle one is closed, and the next destination connects."""
    mta = start({"smtp": {"max-deliveries": 1}})
    first, second = net.domain(), net.domain()
    send(mta, first, 1)
    began = time.monotonic()
    send(mta, second, 1)
    assert time.monotonic() - began < 2
    wait_until(lambda: first.host.connections[0].ended == "quit", 2, "QUIT")


def test_a_host_that_says_421_to_a_kept_connection(net, mta):
    behaviour = Behaviour()
    domain = net.domain(policy="enforce", mx=[Mx(10, behaviour=behaviour), Mx(20)])
    send(mta, domain, 1)
    behaviour.mail = "421 4.3.2 Too long here"
    result = mta.deliver(address(domain)).only
    assert len(domain.host.connections) == 2
    assert_reply(result, "250 2.0.0", domain.hosts[1].name)


def test_idle_connections_end_with_the_daemon(net, start):
    mta = start()
    domain = net.domain(policy="enforce")
    send(mta, domain, 1)
    assert domain.host.connections[0].ended == ""
    mta.stop()
    wait_until(lambda: domain.host.connections[0].ended == "quit", 2, "QUIT")


def test_demands_never_share_a_connection(net, mta):
    """Two domains on one host whose certificate is wrong: the one that enforces gets nothing."""
    free = net.domain(behaviour=Behaviour(certificate="wrong-name"))
    strict = net.domain(policy="enforce", mx=[], patterns=[free.host.name])
    net.zones.add(strict.name, "MX", f"10 {free.host.name}.")
    send(mta, free, 1)
    assert_reply(mta.deliver(address(strict, "late")).only, "451 4.7.5")
    send(mta, free, 1)
    assert not any("late" in line.text for line in free.host.lines)


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_sessions_are_resumed(net, start, version):
    """D15: and the certificate is judged each time."""
    mta = start({"smtp": {"keep-idle": "0s"}})
    domain = net.domain(policy="enforce", behaviour=Behaviour(maximum_tls=version))
    send(mta, domain, 3)
    assert [connection.resumed for connection in domain.host.connections] == [False, True, True]
    lines = mta.log("attempt", domain=domain.name)
    assert {(line["tls"], line["reused"]) for line in lines} == {("verified", "no")}


def test_sessions_are_not_shared_between_demands(net, start):
    mta = start({"smtp": {"keep-idle": "0s"}})
    free = net.domain()
    strict = net.domain(policy="enforce", mx=[], patterns=[free.host.name])
    net.zones.add(strict.name, "MX", f"10 {free.host.name}.")
    send(mta, free, 1)
    send(mta, strict, 1)
    send(mta, free, 1)
    assert [connection.resumed for connection in free.host.connections] == [False, False, True]


def test_a_stricter_policy_does_not_ride_on_a_looser_connection(net, start):
    """The domain turns to enforce while a plaintext connection is kept."""
    mta = start({"sts": {"retry-interval": "1s"}})
    domain = net.domain(policy="none", behaviour=Behaviour(offer_starttls=False, starttls=None))
    send(mta, domain, 1)
    domain.set_policy("enforce")
    domain.set_id("strict")
    time.sleep(2.1)
    assert_reply(mta.deliver(address(domain, "late")).only, "451 4.7.4")
    assert not any("late" in line.text for line in domain.host.lines)


def test_max_per_host(net, start):
    mta = start({"smtp": {"max-per-host": 2}})
    domain = net.domain(behaviour=Behaviour(dot=Slow(0.3, "250 2.0.0 Ok")))
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda n: mta.deliver(address(domain, f"u{n}")).only.code, range(8)))
    assert codes == [250] * 8
    assert domain.host.most_at_once() <= 2


def test_fifty_messages_at_once(net, start):
    mta = start({"smtp": {"max-per-host": 50}})
    domains = [net.domain(policy="enforce") for _ in range(10)]
    with ThreadPoolExecutor(50) as pool:
        codes = list(pool.map(
            lambda n: mta.deliver(address(domains[n % 10], f"u{n}")).only.code, range(50)))
    assert codes == [250] * 50
    for domain in domains:
        assert_arrived(domain, times=5, tls=True)
        assert len(domain.fetches()) == 1


def test_address_families(net, start):
    mta = start({"smtp": {"address-families": ["ipv4"]}})
    domain = net.domain(mx=[Mx(family=("ipv6", "loopback"))])
    send(mta, domain, 2)
    assert domain.hosts[0].connections == [] and len(domain.hosts[1].messages) == 2


def test_families_in_the_given_order(net, start):
    mta = start({"smtp": {"address-families": ["ipv4", "ipv6"]}})
    domain = net.domain(mx=[Mx(family=("ipv6", "loopback"))])
    send(mta, domain, 1)
    assert len(domain.hosts[1].messages) == 1
    domain.hosts[1].stop()
    send(mta, domain, 1)
    assert len(domain.hosts[0].messages) == 1


def test_source_addresses_and_hostname(net, start):
    six = net.addresses.ipv6()
    mta = start({"hostname": "gate.example", "smtp": {"source-ipv4": "127.8.8.8",
                                                      "source-ipv6": six}})
    four, other = net.domain(), net.domain(mx=[Mx(family="ipv6")])
    send(mta, four, 1)
    send(mta, other, 1)
    assert four.host.connections[0].peer == "127.8.8.8"
    assert other.host.connections[0].peer == six
    assert {line.text for line in four.host.lines if line.verb == "EHLO"} == {"EHLO gate.example"}


def test_another_port(net, start):
    mta = start({"smtp": {"port": 2525}})
    domain = net.domain(mx=[Mx(down=True)])
    host = net.mx_host(domain.host.name, address=domain.host.address, port=2525)
    send(mta, domain, 1)
    assert len(host.messages) == 1


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_tls_versions_that_enforce_takes(net, mta, version):
    domain = net.domain(policy="enforce",
                        behaviour=Behaviour(minimum_tls=version, maximum_tls=version))
    send(mta, domain, 1)
    assert domain.host.connections[0].tls_version == version


def test_min_protocol(net, start):
    mta = start({"tls": {"min-protocol": "TLSv1.3"}})
    domain = net.domain(policy="enforce", behaviour=Behaviour(maximum_tls="TLSv1.2"))
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5")
    assert_nothing_leaked(domain)
    free = net.domain(behaviour=Behaviour(maximum_tls="TLSv1.2"))
    send(mta, free, 1)
    assert_arrived(free, tls=True)


def test_sni_is_the_mx_name_always(net, mta):
    """D10, for opportunistic TLS too."""
    domain = net.domain()
    send(mta, domain, 1)
    assert domain.host.connections[0].sni == domain.host.name


def test_the_share_of_each_address(net, start):
    """A silent first address does not eat the time of the second."""
    mta = start({"lmtp": {"transaction-time": "8s"},
                 "smtp": {"command-timeout": "60s", "final-timeout": "1s"}})
    domain = net.domain(mx=[Mx(10, behaviour=Behaviour(greeting=Silence())), Mx(20)])
    began = time.monotonic()
    assert_reply(mta.deliver(address(domain)).only, "250 2.0.0", domain.hosts[1].name)
    assert time.monotonic() - began < 7.5
