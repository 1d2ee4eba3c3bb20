# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Mail that should arrive, how, and to which host (cases, group H)."""

import collections
import time

import pytest
from checks import address, assert_arrived, assert_nothing_leaked, assert_reply, wait_until
from stslab import lmtp
from stslab.internet import Mx
from stslab.mx import Behaviour, Drop, Slow

NO_TLS = dict(offer_starttls=False, starttls=None)


def test_enforce_arrives_over_verified_tls(net, mta):
    """H1."""
    domain = net.domain(policy="enforce")
    reply = mta.deliver(address(domain)).only
    assert_reply(reply, "250 2.0.0", domain.host.name, domain.host.address, "queued as")
    assert_arrived(domain, tls=True)
    (connection,) = domain.host.connections
    assert connection.sni == domain.host.name
    assert connection.tls_version in ("TLSv1.2", "TLSv1.3")
    assert connection.said("MAIL", in_tls=False) == []
    assert connection.plaintext_content_octets == 0
    assert connection.said("EHLO", in_tls=True), "EHLO is said again after the handshake"


@pytest.mark.parametrize("family", ["ipv6", ("loopback", "ipv6")])
def test_enforce_over_ipv6(net, mta, family):
    """H3: AAAA only, and both: IPv6 is tried first by default."""
    domain = net.domain(policy="enforce", mx=[Mx(family=family)])
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain, tls=True)
    used = [host.address for host in domain.hosts if host.messages]
    assert ":" in used[0]


def test_enforce_to_a_host_that_demands_tls(net, mta):
    """H5."""
    domain = net.domain(policy="enforce", mx=[
        Mx(family="ipv6", behaviour=Behaviour(require_tls_first=True))])
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"


def test_legacy_plaintext_host_without_policy(net, mta):
    """H6."""
    domain = net.domain(behaviour=Behaviour(**NO_TLS))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain, tls=False)


def test_opportunistic_tls_is_used_when_offered(net, mta):
    domain = net.domain(behaviour=Behaviour(certificate="self-signed"))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain, tls=True)


def test_opportunistic_tls_takes_old_versions(net, mta):
    domain = net.domain(behaviour=Behaviour(maximum_tls="TLSv1"))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain, tls=True)


def test_content_arrives_octet_for_octet(net, mta):
    domain = net.domain(policy="enforce")
    content = (b"Subject: =?x?=\r\n\r\n.leading dot\r\n..two\r\n.\r\n8bit \xff\xe4 \x01\r\n"
               + b"x" * 5000 + b"\r\n\r\n")
    assert mta.deliver(address(domain), content=content).only.short == "250 2.0.0"
    assert domain.messages()[0].content == content


def test_no_received_header_is_added(net, mta):
    domain = net.domain()
    mta.deliver(address(domain))
    assert domain.messages()[0].content == lmtp.MESSAGE


def test_the_best_preference_is_used(net, mta):
    domain = net.domain(mx=[Mx(20), Mx(10), Mx(30)])
    for _ in range(3):
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert [len(host.messages) for host in domain.hosts] == [0, 3, 0]


def test_equal_preferences_share_the_load(net, start):
    """RFC 5321 5.1: random among equals."""
    mta = start({"smtp": {"keep-idle": "0s"}})
    domain = net.domain(mx=[Mx(10), Mx(10), Mx(20)])
    for _ in range(24):
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    counts = [len(host.messages) for host in domain.hosts]
    assert counts[2] == 0 and min(counts[:2]) > 0, counts


@pytest.mark.parametrize("first", [
    Mx(10, down=True),
    Mx(10, behaviour=Behaviour(greeting="421 4.3.2 Too busy")),
    Mx(10, behaviour=Behaviour(greeting="554 5.3.2 Not here")),
    Mx(10, behaviour=Behaviour(greeting=Drop())),
    Mx(10, behaviour=Behaviour(ehlo="421 4.3.2 Bye")),
    Mx(10, behaviour=Behaviour(mail="451 4.3.0 Later")),
    Mx(10, behaviour=Behaviour(mail="421 4.3.2 Later")),
], ids=["refused", "421", "554", "lost", "ehlo-421", "mail-451", "mail-421"])
def test_the_next_host_takes_over(net, mta, first):
    domain = net.domain(policy="enforce", mx=[first, Mx(20)])
    assert_reply(mta.deliver(address(domain)).only, "250 2.0.0", domain.hosts[1].name)
    assert_arrived(domain, tls=True)


def test_the_next_address_takes_over(net, mta):
    domain = net.domain(mx=[Mx(family=("loopback", "loopback"))])
    domain.hosts[0].stop()
    for _ in range(3):
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert len(domain.hosts[1].messages) == 3


def test_a_permanent_answer_to_mail_is_final(net, mta):
    domain = net.domain(mx=[Mx(10, behaviour=Behaviour(mail="550 5.7.1 Go away")), Mx(20)])
    assert_reply(mta.deliver(address(domain)).only, "550 5.7.1")
    assert_arrived(domain, times=0)


def test_lost_after_the_dot_goes_nowhere_else(net, mta):
    """The first host may have taken it: another try now would be a duplicate."""
    domain = net.domain(mx=[Mx(10, behaviour=Behaviour(dot=Drop())), Mx(20)])
    assert_reply(mta.deliver(address(domain)).only, "451 4.4.2")
    assert domain.hosts[1].connections == []


def test_implicit_mx(net, mta):
    host = net.mx_host(net.fresh_name())
    net.zones.add(host.name, "A", host.address)
    assert mta.deliver("someone@" + host.name).only.short == "250 2.0.0"
    assert len(host.messages) == 1


def test_implicit_mx_under_a_policy(net, mta):
    """C12: the name to match is the domain itself."""
    domain = net.domain(policy="enforce", mx=[], patterns=["placeholder.example"])
    domain.set_policy(patterns=[domain.name])
    domain.hosts.append(net.mx_host(domain.name))
    net.zones.add(domain.name, "A", domain.host.address)
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain, tls=True)


def test_best_host_fails_the_policy_second_is_used(net, mta):
    """H11."""
    domain = net.domain(policy="enforce", mx=[
        Mx(10, behaviour=Behaviour(certificate="self-signed")), Mx(20)])
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert domain.hosts[0].leaked() == ([], 0)
    assert len(domain.hosts[1].messages) == 1


def test_only_matching_hosts_are_tried(net, mta):
    """C18."""
    domain = net.domain(policy="enforce", mx=[Mx(10), Mx(20)])
    domain.set_policy(patterns=[domain.hosts[1].name])
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert domain.hosts[0].connections == []


def test_wildcard_pattern(net, mta):
    domain = net.domain(policy="enforce")
    domain.set_policy(patterns=["*." + domain.name])
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain, tls=True)


def test_policies_are_not_inherited(net, mta):
    """H13: user@sub.example asks for sub only."""
    parent = net.domain(policy="enforce")
    sub = net.domain(name="sub." + parent.name, behaviour=Behaviour(**NO_TLS))
    assert mta.deliver(address(sub)).only.short == "250 2.0.0"
    assert parent.fetches() == []


def test_a_cname_as_recipient_domain(net, mta):
    """H15: the policy is looked for at the name as written."""
    target = net.domain(behaviour=Behaviour(**NO_TLS))
    alias = net.domain(policy="enforce", mx=[], patterns=[target.host.name])
    net.zones.add(alias.name, "CNAME", target.name + ".")
    assert mta.deliver("someone@" + alias.name).only.short == "451 4.7.4"
    assert_nothing_leaked(target)


def test_recipient_domain_in_capitals(net, mta):
    domain = net.domain(policy="enforce")
    assert mta.deliver("Someone@" + domain.name.upper()).only.short == "250 2.0.0"
    assert domain.messages()[0].recipients[0].startswith("Someone@")


def test_international_domain(net, mta):
    """A37: looked up by its A-label."""
    name = f"xn--bcher-kva.{net.fresh_name()}"
    domain = net.domain(policy="enforce", name=name)
    spelled = "bücher." + name.partition(".")[2]
    with mta.client() as client:
        client.hello()
        result = client.transaction("sender@out.example", ["someone@" + spelled],
                                    parameters=" SMTPUTF8")
    assert result.only.short == "250 2.0.0"
    assert domain.fetches(), "the policy was asked for at the A-label"


def test_null_sender(net, mta):
    domain = net.domain(policy="enforce")
    assert mta.deliver(address(domain), sender="").only.short == "250 2.0.0"
    assert domain.messages()[0].sender == ""


def test_each_recipient_has_its_own_answer_in_order(net, mta):
    """One transaction, three domains, and two recipients of one domain with different fates."""
    good = net.domain(policy="enforce", behaviour=Behaviour(
        rcpt={"nobody": "550 5.1.1 No such user", "grey": "450 4.7.1 Come again"}))
    attacked = net.domain(policy="enforce", behaviour=Behaviour(**NO_TLS))
    away = net.domain(mx=[Mx(down=True)])
    recipients = [address(good), address(attacked), address(good, "nobody"), address(away),
                  address(good, "grey"), address(good, "second")]
    result = mta.deliver(recipients)
    assert [reply.short for reply in result.final] == [
        "250 2.0.0", "451 4.7.4", "550 5.1.1", "451 4.4.1", "450 4.7.1", "250 2.0.0"]
    (message,) = good.messages()
    assert message.recipients == [address(good), address(good, "second")]
    assert_nothing_leaked(attacked)


def test_replies_are_written_as_soon_as_decided(net, mta):
    quick = net.domain()
    slow = net.domain(behaviour=Behaviour(dot=Slow(1.5, "250 2.0.0 At last")))
    result = mta.deliver([address(quick), address(slow)])
    assert [reply.code for reply in result.final] == [250, 250]
    assert result.final[0].at < 1.2, "the first did not wait for the second"
    assert result.final[1].at > 1.4


def test_domains_go_side_by_side(net, mta):
    domains = [net.domain(behaviour=Behaviour(dot=Slow(1, "250 2.0.0 Ok"))) for _ in range(6)]
    began = time.monotonic()
    result = mta.deliver([address(domain) for domain in domains])
    assert [reply.code for reply in result.final] == [250] * 6
    assert time.monotonic() - began < 3


def test_parallel_domains_is_a_limit(net, start):
    mta = start({"lmtp": {"parallel-domains": 1}})
    domains = [net.domain(behaviour=Behaviour(dot=Slow(0.5, "250 2.0.0 Ok"))) for _ in range(3)]
    began = time.monotonic()
    result = mta.deliver([address(domain) for domain in domains])
    assert [reply.code for reply in result.final] == [250] * 3
    assert time.monotonic() - began > 1.4


def test_a_domain_under_silence_does_not_hold_the_others(net, start):
    """One group's failure touches no other."""
    mta = start()
    silent = net.domain()
    net.dns.fault(silent.name, "MX", "silence")
    others = [net.domain(policy="enforce") for _ in range(4)]
    result = mta.deliver([address(domain) for domain in others] + [address(silent)])
    assert [reply.short for reply in result.final] == ["250 2.0.0"] * 4 + ["451 4.4.3"]
    assert all(reply.at < 2.5 for reply in result.final[:4])


def test_plaintext_retry_after_a_failed_handshake(net, mta):
    domain = net.domain(behaviour=Behaviour(handshake=b"this is not TLS\r\n"))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain, tls=False)
    assert len(domain.host.connections) == 2


def test_no_plaintext_retry_when_told(net, start):
    mta = start({"tls": {"plaintext-retry": False}})
    domain = net.domain(behaviour=Behaviour(handshake=b"this is not TLS\r\n"))
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5")
    assert_nothing_leaked(domain)


def test_helo_where_ehlo_is_refused(net, mta):
    domain = net.domain(behaviour=Behaviour(ehlo="502 5.5.1 What?"))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert domain.host.connections[0].verbs[:3] == ["EHLO", "HELO", "MAIL"]


def test_helo_never_where_tls_is_demanded(net, mta):
    domain = net.domain(policy="enforce", behaviour=Behaviour(ehlo="502 5.5.1 What?"))
    reply = mta.deliver(address(domain)).only
    assert reply.code == 451 and reply.enhanced in ("4.4.0", "4.7.4"), str(reply)
    assert_nothing_leaked(domain)


def test_only_the_ehlo_after_tls_counts(net, mta):
    """D14: PIPELINING, SIZE and SMTPUTF8 may be gone."""
    domain = net.domain(policy="enforce", behaviour=Behaviour(extensions_after_tls=()))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    (mail,) = domain.host.connections[0].said("MAIL")
    assert mail.rstrip().endswith(">"), mail


def test_a_host_without_pipelining(net, mta):
    domain = net.domain(behaviour=Behaviour(extensions=()))
    recipients = [address(domain, f"user{number}") for number in range(5)]
    assert [reply.code for reply in mta.deliver(recipients).final] == [250] * 5
    times = [line.at for line in domain.host.lines if line.verb == "RCPT"]
    assert len(times) == 5


def test_many_recipients_of_one_domain(net, mta):
    domain = net.domain(policy="enforce")
    recipients = [address(domain, f"user{number}") for number in range(300)]
    assert [reply.code for reply in mta.deliver(recipients).final] == [250] * 300
    arrived = collections.Counter(rcpt for message in domain.messages()
                                  for rcpt in message.recipients)
    assert arrived == collections.Counter(recipients)


def test_several_messages_on_one_lmtp_connection(net, mta):
    domain = net.domain(policy="enforce")
    with mta.client() as client:
        client.hello()
        for number in range(5):
            result = client.transaction(f"sender{number}@out.example", [address(domain)])
            assert result.only.short == "250 2.0.0"
        assert client.command("QUIT").code == 221
    assert [message.sender for message in domain.messages()] == [
        f"sender{number}@out.example" for number in range(5)]


def test_big_message_goes_through_an_unlinked_file(net, mta):
    spool = mta.settings["spool-directory"]
    domain = net.domain(policy="enforce", behaviour=Behaviour(data=Slow(1, "354 Go on")))
    content = b"Subject: big\r\n\r\n" + b"0123456789abcde\r\n" * 300_000
    with mta.client() as client:
        client.hello()
        client.envelope("sender@out.example", [address(domain)])
        assert client.command("DATA").code == 354
        client.send(lmtp.stuffed(content))
        files = []

        def spooled():
            files[:] = [path for path in mta.open_files() if path.startswith(spool)]
            return files

        wait_until(spooled, 10, "a file of the spool")
        assert all(path.endswith(" (deleted)") for path in files), files
        assert client.reply().short == "250 2.0.0"
    assert domain.messages()[0].content == content


def test_small_messages_touch_no_disk(net, mta):
    domain = net.domain(behaviour=Behaviour(dot=Slow(0.6, "250 2.0.0 Ok")))
    with mta.client() as client:
        client.hello()
        client.envelope("sender@out.example", [address(domain)])
        client.command("DATA")
        client.send(lmtp.stuffed(b"Subject: small\r\n\r\n" + b"x" * 78 + b"\r\n"))
        wait_until(lambda: domain.host.leaked()[1] > 70, 10, "the content at the host")
        assert not [path for path in mta.open_files()
                    if path.startswith(mta.settings["spool-directory"])]
        assert client.reply().code == 250


def test_the_message_is_replayed_for_the_next_host(net, mta):
    """A host lost in the middle of the content, before the dot, must not cost any of it."""
    domain = net.domain(mx=[Mx(10, behaviour=Behaviour(drop_in_data=1000)), Mx(20)])
    content = b"Subject: again\r\n\r\n" + b"0123456789\r\n" * 2_000_000
    assert mta.deliver(address(domain), content=content).only.short == "250 2.0.0"
    (message,) = domain.messages()
    assert message.content == content
