# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Connections to MX hosts: kept, lost, limited, from where and by which family."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import (address, assert_arrived, assert_nothing_leaked, assert_reply, let_pass,
                    wait_until)
from stslab import pace
from stslab.internet import Mx
from stslab.mx import Behaviour, Drop, Reset, Silence, Slow


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

    def came_anew():
        send(mta, domain, 1)
        return len(domain.host.connections) == 2

    wait_until(came_anew, 10, "another connection after keep-time")


def test_a_kept_connection_that_was_lost(net, mta):
    """One fresh connection to the same host, without any visible effect."""
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


STAGES = {    # what the kept connection comes to say
    "MAIL": {"mail": "550 Too many mails per connection"},
    "RCPT": {"rcpt": {"late": "503 5.5.1 Bad sequence of commands"}},
    "RCPT 554": {"rcpt": {"late": "554 Too many errors"}},
    "RCPT 5.7.1": {"rcpt": {"late": "550 5.7.1 Too much from you"}},
    "DATA": {"data": "503 5.5.1 Bad sequence of commands"},
}
LOCK_STEP = ("8BITMIME",)


def turned(domain, changes):
    """The connection that is kept says this; new ones are served as before."""
    kept = domain.host.behaviour
    domain.host.behaviour = Behaviour(extensions=kept.extensions)
    for name, action in changes.items():
        setattr(kept, name, action)


@pytest.mark.parametrize("extensions", [Behaviour.extensions, LOCK_STEP],
                         ids=["pipelined", "lock-step"])
@pytest.mark.parametrize("policy", [None, "enforce"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_no_on_a_kept_connection_is_asked_once_more(net, mta, stage, policy, extensions):
    domain = net.domain(policy=policy, mx=[Mx(10, behaviour=Behaviour(extensions=extensions)),
                                           Mx(20)])
    send(mta, domain, 1)
    turned(domain, STAGES[stage])
    assert_reply(mta.deliver(address(domain, "late")).only, "250 2.0.0", domain.host.name)
    assert [len(connection.messages) for connection in domain.host.connections] == [1, 1]
    assert domain.hosts[1].connections == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_no_on_the_fresh_connection_is_final(net, mta, stage):
    """It is asked twice, not three times, and no other host is."""
    domain = net.domain(mx=[Mx(10), Mx(20)])
    send(mta, domain, 1)
    for name, action in STAGES[stage].items():
        setattr(domain.host.behaviour, name, action)
    assert mta.deliver(address(domain, "late")).only.code in (550, 503, 554)
    first, second = domain.host.connections
    asked = "MAIL" if stage == "MAIL" else "RCPT"
    assert (len(first.said(asked)), len(second.said(asked))) == (2, 1)
    assert_arrived(domain, times=1)


@pytest.mark.parametrize("stage,action", [
    ("rcpt", {"late": "550 5.1.1 No such user"}), ("dot", "554 5.7.1 Spam")])
def test_what_a_kept_connection_says_of_recipient_and_content_is_final(net, mta, stage, action):
    domain = net.domain()
    send(mta, domain, 1)
    turned(domain, {stage: action})
    assert mta.deliver(address(domain, "late")).only.code in (550, 554)
    assert len(domain.host.connections) == 1


def test_recipients_of_one_message_are_asked_once_more(net, mta):
    """Those that the kept connection took have it from there, once."""
    domain = net.domain()
    send(mta, domain, 1)
    turned(domain, {"rcpt": {"b": "554 5.5.1 Enough", "c": "550 5.1.1 No"}})
    result = mta.deliver([address(domain, local) for local in "abc"])
    assert [reply.short for reply in result.final] == ["250 2.0.0", "250 2.0.0", "550 5.1.1"]
    assert [message.recipients for message in domain.messages()[1:]] == [
        [address(domain, "a")], [address(domain, "b")]]


def test_a_connection_on_which_nobody_was_accepted_is_not_kept(net, mta):
    """A new one is served."""
    away = "450 4.3.2 Service currently unavailable"
    domain = net.domain(behaviour=Behaviour(rcpt={"u0": away, "u1": away}))
    assert_reply(mta.deliver(address(domain, "u0")).only, "450 4.3.2")
    domain.host.behaviour = Behaviour()
    send(mta, domain, 2)
    assert [connection.ended for connection in domain.host.connections] == ["quit", ""]


def test_a_kept_connection_whose_host_is_gone(net, start):
    """No FIN tells of it: the first answer is waited for 20 s, then there is a fresh one."""
    mta = start({"smtp": {"command-timeout": "5m"}})
    domain = net.domain(policy="enforce")
    send(mta, domain, 1)
    turned(domain, {"mail": Silence()})
    began = time.monotonic()
    assert_reply(mta.deliver(address(domain)).only, "250 2.0.0")
    assert 19 < time.monotonic() - began < 40
    assert [len(connection.messages) for connection in domain.host.connections] == [1, 1]


def test_too_many_recipients_go_in_a_further_transaction(net, mta):
    """RFC 5321 4.5.3.1.10: 552 as well, but for a mailbox that is full."""
    domain = net.domain(behaviour=Behaviour(rcpt={"c": "552 5.2.2 Mailbox full"},
                                            most_recipients=2))
    result = mta.deliver([address(domain, local) for local in "abcde"])
    assert [reply.short for reply in result.final] == [
        "250 2.0.0", "250 2.0.0", "552 5.2.2", "250 2.0.0", "250 2.0.0"]
    assert [len(message.recipients) for message in domain.messages()] == [2, 2]
    assert len(domain.host.connections) == 1


def test_a_552_to_the_first_recipient_is_a_no(net, mta):
    domain = net.domain(behaviour=Behaviour(rcpt={"a": "552 Too many recipients"}))
    result = mta.deliver([address(domain, local) for local in "ab"])
    assert [reply.short for reply in result.final] == ["552 5.0.0", "250 2.0.0"]
    assert [line.text for line in domain.host.lines if "<a@" in line.text] == [
        f"RCPT TO:<{address(domain, 'a')}>"]


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
    let_pass(2.1)
    assert_reply(mta.deliver(address(domain, "late")).only, "451 4.7.4")
    assert not any("late" in line.text for line in domain.host.lines)


def test_max_per_host(net, start):
    mta = start({"smtp": {"max-per-host": 2}})
    domain = net.domain(behaviour=Behaviour(dot=Slow(0.3, "250 2.0.0 Ok")))
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda n: mta.deliver(address(domain, f"u{n}")).only.code, range(8)))
    assert codes == [250] * 8
    assert domain.host.most_at_once() <= 2


TOO_MANY = {"421": "421 4.7.0 Too many connections from you", "close": Drop(), "reset": Reset()}


@pytest.mark.parametrize("too_many", TOO_MANY.values(), ids=TOO_MANY.keys())
@pytest.mark.parametrize("keep", ["0s", "15s"])
def test_a_host_that_takes_three_connections_of_one_client(net, start, keep, too_many):
    """Fewer are opened, all messages arrive, and the host is not skipped."""
    mta = start({"smtp": {"keep-idle": keep}})
    domain = net.domain(behaviour=Behaviour(dot=Slow(0.2, "250 2.0.0 Ok"), connections_of_one=3,
                                            too_many=too_many))
    for _ in range(3):
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(
                lambda n: mta.deliver(address(domain, f"u{n}")).only.code, range(8))) == [250] * 8
    turned_away = [one for one in domain.host.connections if not one.lines]
    assert turned_away, "the host was never asked for a fourth"
    assert len(turned_away) < 10, f"{len(turned_away)} connections were turned away"
    assert mta.deliver(address(domain, "alone")).only.code == 250


@pytest.mark.parametrize("worn", [Behaviour.worn, "421 4.7.0 Too many mails", "451 4.7.1 No more"])
def test_a_host_with_limits_by_connection_and_by_client(net, mta, worn):
    """Two messages a connection, two connections a client: everything arrives, once."""
    domain = net.domain(policy="enforce", behaviour=Behaviour(
        messages_per_connection=2, worn=worn, connections_of_one=2))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(
            lambda n: mta.deliver(address(domain, f"u{n}")).only.code, range(16))) == [250] * 16
    assert_arrived(domain, times=16, tls=True)


def test_domains_that_share_such_a_host(net, start):
    mta = start()
    domain = net.domain(behaviour=Behaviour(dot=Slow(0.1, "250 2.0.0 Ok"), connections_of_one=3))
    others = [net.domain(mx=[]) for _ in range(7)]
    for other in others:
        net.zones.add(other.name, "MX", f"10 {domain.host.name}.")
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda to: mta.deliver(address(to)).only.code,
                             [domain, *others] * 2)) == [250] * 16


def test_a_host_that_serves_nobody_is_passed_over_all_the_same(net, start):
    """Eight at once are no sign that one of them was served."""
    mta = start()
    domain = net.domain(behaviour=Behaviour(connections_of_one=0))
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda n: mta.deliver(address(domain, f"u{n}")).only.code, range(8)))
    assert codes == [451] * 8
    knocks = len(domain.host.connections)
    assert_reply(mta.deliver(address(domain)).only, "451 4.4.1", "Too many connections")
    assert len(domain.host.connections) == knocks <= 8


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


def test_a_slow_host_gets_the_whole_command_timeout(net, start):
    """Not the twelfth part of the time, since it has answered EHLO."""
    mta = start({"lmtp": {"transaction-time": "13s"},
                 "smtp": {"command-timeout": "5s", "final-timeout": "1s"}})
    slow = Behaviour(rcpt={"someone": Slow(2, "250 2.1.5 Ok")})
    domain = net.domain(mx=[Mx(10, behaviour=slow, family=("loopback",) * 12)])
    assert_reply(mta.deliver(address(domain)).only, "250 2.0.0")
    assert sum(len(host.connections) for host in domain.hosts) == 1


def test_a_dot_that_was_given_in_time_is_waited_out(net, start):
    """So that an MTA has to wait for both times together, and no longer."""
    mta = start({"lmtp": {"transaction-time": "6s"},
                 "smtp": {"command-timeout": "5s", "final-timeout": "4s"}})
    domain = net.domain(behaviour=Behaviour(data=Slow(4, "354 Go on"), dot=Slow(3, "250 2.0.0 Ok")))
    reply = mta.deliver(address(domain)).only
    assert_reply(reply, "250 2.0.0")
    assert 6 < reply.at < pace.patience(6 + 4)
    assert_arrived(domain, times=1)


TSS = "421 4.7.0 [TSS04] Messages temporarily deferred"


def knocks(domain):
    return sum(len(host.connections) for host in domain.hosts)


def crowd(net, behaviour, hosts=3, addresses=6):
    """Many MX hosts of many addresses, which all do the same."""
    return net.domain(mx=[Mx(10 * number, behaviour=behaviour, family=("loopback",) * addresses)
                          for number in range(1, hosts + 1)])


@pytest.mark.parametrize("behaviour", [
    Behaviour(mail=TSS), Behaviour(greeting=TSS), Behaviour(greeting="554 5.3.2 No"),
    Behaviour(ehlo="451 4.3.2 Later"), Behaviour(mail="450 4.7.1 Grey")],
    ids=["421 at MAIL", "421", "554", "EHLO", "450 at MAIL"])
def test_a_message_asks_five_addresses(net, mta, behaviour):
    domain = crowd(net, behaviour)
    assert mta.deliver(address(domain)).only.code == 451 or behaviour.mail.startswith("450")
    assert knocks(domain) == 5


def test_the_next_message_asks_other_addresses(net, start):
    """Hosts that refused one message for the next hop are skipped for the others."""
    mta = start({"smtp": {"host-retry": "5m"}})
    domain = crowd(net, Behaviour(mail=TSS))
    asked = []
    for number in range(5):
        before = knocks(domain)
        assert mta.deliver(address(domain, f"u{number}")).only.code == 451
        asked.append(knocks(domain) - before)
    assert asked == [5, 5, 5, 3, 0]
    assert {len(host.connections) for host in domain.hosts} == {1}


@pytest.mark.parametrize("behaviour", [
    Behaviour(greeting="554 5.3.2 No"), Behaviour(greeting="450 4.3.2 Busy"),
    Behaviour(ehlo="451 4.3.2 Later"), Behaviour(mail="450 4.7.1 Grey"),
    Behaviour(mail=TSS)], ids=["554", "450", "EHLO", "450 at MAIL", "421 at MAIL"])
def test_many_addresses_of_one_host_keep_no_other_from_being_asked(net, mta, behaviour):
    domain = net.domain(mx=[Mx(10, behaviour=behaviour, family=("loopback",) * 5), Mx(20)])
    assert_reply(mta.deliver(address(domain)).only, "250 2.0.0", domain.hosts[-1].name)
    assert knocks(domain) == 5


def test_sessions_per_message_zero_is_no_limit(net, start):
    mta = start({"smtp": {"sessions-per-message": 0}})
    domain = crowd(net, Behaviour(mail=TSS))
    assert mta.deliver(address(domain)).only.code == 451
    assert knocks(domain) == 18


def test_hosts_that_lack_tls_do_not_count(net, start):
    mta = start({"smtp": {"sessions-per-message": 1}})
    stripped = Behaviour(offer_starttls=False, starttls=None)
    domain = net.domain(policy="enforce", mx=[Mx(10, behaviour=stripped), Mx(20, behaviour=stripped),
                                              Mx(30)])
    assert_reply(mta.deliver(address(domain)).only, "250 2.0.0", domain.hosts[2].name)
    assert_arrived(domain, tls=True)


def test_another_policy_without_a_session_left_is_for_the_next_message(net, start):
    """The reply tells what the hosts that were asked lacked."""
    mta = start({"smtp": {"sessions-per-message": 1, "keep-idle": "0s"},
                 "sts": {"retry-interval": "1s"}})
    domain = net.domain(policy="enforce", mx=[Mx(10), Mx(20)])
    domain.set_id("one", ttl=60)
    assert_reply(mta.deliver(address(domain, "first")).only, "250 2.0.0")
    domain.hosts[0].behaviour = Behaviour(offer_starttls=False, starttls=None)
    domain.hosts[1].behaviour = Behaviour(greeting="450 4.3.2 Busy")
    domain.set_policy("none")
    domain.set_id("two", ttl=60)
    time.sleep(1.1)
    assert_reply(mta.deliver(address(domain, "second")).only, "451 4.7.4", domain.hosts[0].name)
    assert_reply(mta.deliver(address(domain, "third")).only, "250 2.0.0", domain.hosts[0].name)


def test_a_no_of_all_hosts_while_one_is_untried_is_a_451(net, start):
    small = Behaviour(extensions=("SIZE 1000",))
    content = b"Subject: x\r\n\r\n" + b"\r\n" * 2000
    mta = start({"smtp": {"sessions-per-message": 2}})
    domain = net.domain(mx=[Mx(10, behaviour=small), Mx(20, behaviour=small), Mx(30)])
    reply = mta.deliver(address(domain, "first"), content=content).only
    # The second that is asked is any of the others, so that in time each is.
    for number in range(30):
        if reply.code == 250:
            break
        assert_reply(reply, "451 4.3.4", domain.hosts[1].name)
        assert domain.hosts[2].connections == []
        reply = mta.deliver(address(domain, f"u{number}"), content=content).only
    assert_reply(reply, "250 2.0.0", domain.hosts[2].name)
    # Each of the hosts was asked: of their other addresses nothing else is to be expected.
    domain = crowd(net, small, hosts=2, addresses=3)
    assert_reply(mta.deliver(address(domain), content=content).only, "552 5.3.4")
    assert knocks(domain) == 2


@pytest.mark.parametrize("fault,short", [("servfail", "451 4.4.3"), ("stripped", "451 4.7.5")])
def test_a_host_that_could_not_be_looked_up_is_untried(net, mta, fault, short):
    """It may take what the other one cannot."""
    domain = net.domain(mx=[Mx(10, behaviour=Behaviour(extensions=("SIZE 1000",))), Mx(20)])
    for kind in ("A", "AAAA"):
        net.dns.fault(domain.hosts[1].name, kind, fault)
    content = b"Subject: x\r\n\r\n" + b"\r\n" * 2000
    assert_reply(mta.deliver(address(domain), content=content).only, short, domain.hosts[1].name)
    assert_arrived(domain, times=0)
