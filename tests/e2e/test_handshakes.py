# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Handshakes that fail for something in our ClientHello, and are done without it.

Hosts and devices before them that close the connection, or send an alert, at a
session to be resumed or at a server name.
"""

import pytest
from checks import address, assert_arrived, assert_nothing_leaked, assert_reply
from stslab import middle, tls
from stslab.internet import Mx
from stslab.mx import Behaviour, Drop, Reset, Silence
from test_tlsrpt import Collector, verdict, wish

REJECTIONS = {"close": Drop(), "reset": Reset(), "alert 40": tls.alert(40),
              "alert 51": tls.alert(51), "silence": Silence()}
each_rejection = pytest.mark.parametrize("rejection", REJECTIONS.values(), ids=REJECTIONS.keys())


@pytest.fixture(scope="module")
def collector(net):
    made = Collector(net.directory / "handshakes.sock")
    yield made
    made.close()


@pytest.fixture(scope="module")
def fresh(net, collector):
    """A daemon that keeps no connection, so that each message has a handshake."""
    daemon = net.daemons.start({"smtp": {"keep-idle": "0s"},
                                "tlsrpt": {"forward": "unix:" + collector.path}})
    yield daemon
    assert daemon.stop() == 0, daemon.log_text()


def hellos(host):
    """For each connection: did it offer a session?"""
    return [connection.offers_session for connection in host.connections]


@each_rejection
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("policy", [None, "enforce"])
def test_a_host_that_rejects_sessions_gets_every_message_in_tls(net, fresh, collector, policy,
                                                                version, rejection):
    domain = wish(net, net.domain(policy=policy, behaviour=Behaviour(
        offered=rejection, maximum_tls=version)))
    for number in range(4):
        assert fresh.deliver(address(domain, f"u{number}")).only.short == "250 2.0.0"
    assert_arrived(domain, times=4, tls=True)
    assert hellos(domain.host) == [False, True, False, False, False]
    sessions = collector.wait(domain.name, 4)
    assert {verdict(policy)[1:] for session in sessions for policy in session["policies"]} == {
        (0, None)}


def test_testing_is_told_of_the_first_handshake(net, fresh, collector):
    domain = wish(net, net.domain(policy="testing", behaviour=Behaviour(offered=Drop())))
    for number in range(2):
        assert fresh.deliver(address(domain, f"u{number}")).only.short == "250 2.0.0"
    assert_arrived(domain, times=2, tls=True)
    sessions = collector.wait(domain.name, 2)
    assert [verdict(policy) for session in sessions for policy in session["policies"]] == [
        ("sts", 0, None), ("sts", 1, 205)]


MANNERS = {"session, alert 40": middle.Manner(offered=tls.alert(40)),
           "session, closed": middle.Manner(offered=b""),
           "server name": middle.Manner(named=tls.alert(112))}


@pytest.mark.parametrize("manner", MANNERS.values(), ids=MANNERS.keys())
def test_a_middle_that_rejects_sessions_or_names_wins_no_plaintext(net, fresh, manner):
    """The real host accepts both; a middlebox ends every connection that has them."""
    domain = net.domain(mx=[Mx(down=True)])
    real = net.mx_host(domain.host.name)
    thief = middle.Middle(net.authorities, domain.host.name, domain.host.address,
                          (real.address, 25), manner).start()
    try:
        for number in range(3):
            assert fresh.deliver(address(domain, f"u{number}")).only.short == "250 2.0.0"
    finally:
        thief.stop()
    assert [message.tls for message in real.messages] == [True, True, True]
    assert not any(exchange.content for exchange in thief.exchanges)


@pytest.mark.parametrize("policy", [None, "testing"])
def test_a_host_that_takes_no_server_name_gets_tls_without(net, fresh, policy):
    domain = net.domain(policy=policy, behaviour=Behaviour(named=tls.alert(112)))
    for number in range(2):
        assert fresh.deliver(address(domain, f"u{number}")).only.short == "250 2.0.0"
    assert_arrived(domain, times=2, tls=True)
    assert [connection.sni for connection in domain.host.connections] == [
        domain.host.name, None] * 2


def test_the_server_name_stays_where_something_is_demanded(net, fresh):
    domain = net.domain(policy="enforce", behaviour=Behaviour(named=tls.alert(112)))
    assert_reply(fresh.deliver(address(domain)).only, "451 4.7.5")
    assert_nothing_leaked(domain)
    assert [connection.sni for connection in domain.host.connections] == [domain.host.name]


def test_a_connection_without_a_server_name_is_kept_for_the_next_message(net, mta):
    domain = net.domain(behaviour=Behaviour(named=tls.alert(112)))
    for number in range(3):
        assert mta.deliver(address(domain, f"u{number}")).only.short == "250 2.0.0"
    assert_arrived(domain, times=3, tls=True)
    assert len(domain.host.connections) == 2


def test_three_connections_at_most_to_one_address(net, fresh):
    """Rejects the session, then the name, then everything: the message waits, and goes next time."""
    domain = net.domain()
    assert fresh.deliver(address(domain, "u1")).only.short == "250 2.0.0"
    domain.host.behaviour = Behaviour(offered=Drop(), named=tls.alert(112), handshake=Drop())
    assert_reply(fresh.deliver(address(domain, "u2")).only, "451 4.4.2")
    assert hellos(domain.host) == [False, True, False, False]
    assert_arrived(domain, times=1, tls=True)
    assert fresh.deliver(address(domain, "u3")).only.short == "250 2.0.0"
    assert len(domain.host.connections) == 7
    assert [message.tls for message in domain.messages()] == [True, False]


def test_check_offers_no_session(net, fresh):
    """It shows the host as it is today."""
    domain = net.domain(policy="enforce", behaviour=Behaviour(offered=Drop()))
    assert fresh.deliver(address(domain)).only.short == "250 2.0.0"
    assert fresh.ask("check", domain.name).returncode == 0
    assert not any(hellos(domain.host))


@pytest.mark.parametrize("answer", [tls.alert(40), b""], ids=["alert 40", "close"])
def test_a_policy_host_that_rejects_sessions_is_asked_without(net, fresh, answer):
    domain = net.domain(policy="enforce")
    domain.site.offered = answer
    assert fresh.deliver(address(domain)).only.short == "250 2.0.0"
    for _ in range(3):
        assert fresh.ask("cache", "refresh", domain.name).returncode == 0
    assert len(domain.fetches()) == 4
    assert len(net.policy_host.connections(domain.sts_host)) == 6
