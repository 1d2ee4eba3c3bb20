# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""An MTA that hangs up: it will send the message again, so no recipient may have got it.

The remote host is silent and every time-out is minutes long: only the hang-up
can end the visit. A second host would take the message.
"""

import contextlib
import ipaddress
import json
import socket

import pytest
from checks import address, wait_until
from stslab import lmtp
from stslab.internet import Mx
from stslab.mx import Behaviour, Silence, Slow

SOON = 5    # seconds from the hang-up to the end of the remote connection
SYN_SENT = "02"
SILENT = {
    "greeting": Behaviour(greeting=Silence()),
    "EHLO": Behaviour(ehlo=Silence()),
    "STARTTLS": Behaviour(starttls=Silence()),
    "handshake": Behaviour(handshake=Silence()),
    "MAIL": Behaviour(mail=Silence()),
    "RCPT": Behaviour(rcpt={"someone": Silence()}),
    "DATA": Behaviour(data=Silence()),
}


@pytest.fixture(scope="module")
def patient(net):
    """A daemon that no silence makes give up."""
    daemon = net.daemons.start({"smtp": {"connect-timeout": "5m", "command-timeout": "5m"}})
    yield daemon
    assert net.daemons.discard(daemon) == 0


def hand_over(mta, domain):
    """An MTA that has sent the whole message and waits for the final reply."""
    client = mta.client()
    client.hello()
    client.envelope("a@b.example", [address(domain)])
    client.command("DATA")
    client.send(lmtp.stuffed(lmtp.MESSAGE))
    return client


def is_silent(host):
    """Whether a client waits for the host's next word."""
    return [connection.ended for connection in host.connections] == ["host"]


def assert_nobody_got_it(mta, domain):
    """When all is over, the silent host was visited once and the other not at all."""
    silent, other = domain.hosts
    assert mta.wait_log("delivery", seconds=30, to=address(domain)), mta.log_text()
    (outcome,) = mta.log("delivery", to=address(domain))
    assert outcome["status"] == "deferred"
    assert len(silent.connections) <= 1 and silent.leaked()[1] == 0
    assert other.connections == []


@pytest.mark.parametrize("policy", [None, "enforce"])
@pytest.mark.parametrize("stage", SILENT)
def test_hanging_up_ends_the_wait_for_a_silent_host(net, patient, stage, policy):
    """No plaintext after the handshake, no other host, and the connection is closed."""
    domain = net.domain(policy=policy, mx=[Mx(10, behaviour=SILENT[stage]), Mx(20)])
    client = hand_over(patient, domain)
    wait_until(lambda: is_silent(domain.host), 30, stage)
    (connection,) = domain.host.connections
    client.close()
    wait_until(lambda: connection.ended_at is not None, SOON, "the end of the connection")
    assert_nobody_got_it(patient, domain)


@contextlib.contextmanager
def black_hole(host):
    """The host's address answers no SYN: the queue of its listener is full."""
    with socket.create_server((host.address, host.port), backlog=0), \
            socket.create_connection((host.address, host.port)):
        yield


def is_dialled(host):
    """Whether a SYN to the host has had no answer yet."""
    octets = ipaddress.ip_address(host.address).packed[::-1].hex().upper()
    connections = [line.split() for line in open("/proc/net/tcp", encoding="ascii")]
    return any(remote == f"{octets}:{host.port:04X}" and state == SYN_SENT
               for _, _, remote, state, *_ in connections)


def test_hanging_up_ends_the_wait_for_a_connection(net, patient):
    domain = net.domain(mx=[Mx(10, down=True), Mx(20)])
    with black_hole(domain.host):
        client = hand_over(patient, domain)
        wait_until(lambda: is_dialled(domain.host), 30, "the SYN")
        client.close()
        wait_until(lambda: not is_dialled(domain.host), SOON, "the end of dialling")
        assert_nobody_got_it(patient, domain)


@pytest.mark.parametrize("stage", ["RCPT", "DATA"])
def test_an_answer_after_the_hang_up_changes_nothing(net, mta, stage):
    late = Behaviour(data=Slow(1, "354 Go on")) if stage == "DATA" else \
        Behaviour(rcpt={"someone": Slow(1, "250 2.1.5 Ok")})
    domain = net.domain(behaviour=late)
    client = hand_over(mta, domain)
    wait_until(lambda: any(line.verb == stage for line in domain.host.lines), 30, stage)
    client.close()
    (connection,) = domain.host.connections
    wait_until(lambda: connection.ended_at is not None, 30, "the end of the connection")
    assert connection.transactions == []


def sessions(mta):
    return json.loads(mta.ask("stats", "--json").stdout)["lmtp_sessions_running"]


def test_hanging_up_in_the_data_sends_nothing(net, patient):
    domain = net.domain()
    client = patient.client()
    client.hello()
    client.envelope("a@b.example", [address(domain)])
    client.command("DATA")
    client.send(b"Subject: half\r\n\r\nhalf of ")
    wait_until(lambda: sessions(patient) == 1, 30, "the end of other sessions")
    client.close()
    wait_until(lambda: sessions(patient) == 0, 30, "the end of the session")
    assert domain.host.leaked() == ([], 0)


def hand_over_to(mta, recipients, parameters=""):
    """As hand_over(), to many domains."""
    client = mta.client()
    client.hello()
    client.envelope("a@b.example", recipients, parameters)
    client.command("DATA")
    client.send(lmtp.stuffed(lmtp.MESSAGE))
    return client


def test_hanging_up_ends_the_look_ups_of_the_domains_to_come(net, start):
    """Two domains at a time, whose name servers are silent: those that wait have no turn."""
    mta = start({"lmtp": {"parallel-domains": 2}})
    zone = net.fresh_name()
    net.dns.fault("*." + zone, "*", "silence")
    names = [f"n{number:02}.{zone}" for number in range(30)]
    client = hand_over_to(mta, [f"someone@{name}" for name in names])
    wait_until(lambda: net.dns.queries(names[1], "MX"), 30, "the first look-ups")
    client.close()
    wait_until(lambda: sessions(mta) == 0, 15, "the end of the session")
    assert not any(net.dns.queries(name) for name in names[8:])
    lines = [line for line in mta.log("delivery") if line["domain"].endswith(zone)]
    assert len(lines) == len(names) and {line["status"] for line in lines} == {"deferred"}


def test_hanging_up_ends_the_wait_for_a_policy_that_is_found_at_last(net, start):
    """It would vouch for the hosts, and the resolver still has the record of before."""
    mta = start({"sts": {"fetch-timeout": "50s"}})
    domain = net.domain(policy="enforce", zone="plain")
    domain.site.manner = "hang"
    domain.set_txt('"v=spf1 -all"', ttl=300)
    assert mta.deliver(address(domain, "first")).only.code == 250
    domain.set_id("new", ttl=300)
    client = hand_over_to(mta, [address(domain)], " REQUIRETLS")
    wait_until(domain.fetches, 30, "the fetch")
    client.close()
    wait_until(lambda: sessions(mta) == 0, SOON, "the end of the session")
    assert len(domain.messages()) == 1
    (outcome,) = mta.log("delivery", to=address(domain))
    assert outcome["status"] != "sent"


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "side by side"])
def test_hanging_up_ends_the_wait_for_a_policy(net, start, others):
    mta = start({"sts": {"fetch-timeout": "50s"}})
    domain = net.domain(policy="enforce")
    domain.site.manner = "hang"
    client = hand_over_to(mta, [address(domain)] + [address(net.domain())] * others)
    wait_until(domain.fetches, 30, "the fetch")
    client.close()
    wait_until(lambda: sessions(mta) == 0, SOON, "the end of the session")
    assert domain.host.connections == []
    (outcome,) = mta.log("delivery", to=address(domain))
    assert outcome["status"] == "deferred"
