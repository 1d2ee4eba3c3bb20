# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""OpenSMTPD's mda: the fields that it adds, and the effect of a failing program."""

import concurrent.futures

import pytest
from checks import address, assert_arrived, wait_until
from stslab.mx import Behaviour, Slow


@pytest.fixture
def site(ways):
    made = ways.get("opensmtpd-mda")
    yield made
    made.back_to_work()


def test_message_goes_as_it_was_sent(net, site):
    """Return-Path and Delivered-To are for a mailbox: at the recipient's site the latter would be a
    loop."""
    domain = net.domain(policy="enforce")
    content = b"Subject: hello\nDelivered-To: old@elsewhere.example\n\n.\n..dots\\n $x `y`\nlast"
    site.mta.send(address(domain), content=content)
    site.mta.send(address(domain), sender="", content=content)
    for message, sender in zip(domain.messages(), ("sender@" + site.mta.hostname, ""), strict=True):
        assert message.sender == sender
        assert message.content.startswith(b"Received: "), message.content
        assert b"Return-Path:" not in message.content
        assert message.content.count(b"Delivered-To:") == 1
        assert message.content.endswith(b"\r\n\r\n.\r\n..dots\\n $x `y`\r\nlast\r\n")


@pytest.mark.parametrize("local", ["o'neil", "a/b=c", "x*y", "p|q~r", "a!b{c}#d", "-f", "a+b?c"])
def test_addresses_are_exact(net, site, local):
    """OpenSMTPD replaces such characters in the words of a command."""
    domain = net.domain()
    site.mta.send(address(domain, local), sender=f"{local}@out.example")
    (message,) = domain.messages()
    assert message.recipients == [address(domain, local)]
    assert message.sender == f"{local}@out.example"


def test_an_alias_leads_to_another_site(net, site):
    domain = net.domain(policy="enforce")
    site.mta.aliases(f"partner: {address(domain)}\n")
    site.mta.send("partner")
    assert_arrived(domain, tls=True)
    assert domain.messages()[0].recipients == [address(domain)]


def test_a_missing_program_keeps_the_message(net, site):
    domain = net.domain()
    program = site.mta.root.inside("/usr/sbin/stsgate-deliver")
    program.rename(program.with_name("stsgate-deliver.away"))
    try:
        site.mta.send(address(domain))
        assert site.mta.waiting() == [address(domain)]
    finally:
        program.with_name("stsgate-deliver.away").rename(program)
    site.mta.run_queue()
    assert site.mta.waiting() == []
    assert_arrived(domain)
    assert domain.name not in site.mta.mailbox()


def test_a_killed_program_keeps_the_message(net, site):
    domain = net.domain(behaviour=Behaviour(data=Slow(3, "354 Go on")))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        sent = pool.submit(site.mta.send, address(domain))
        wait_until(lambda: any(line.verb == "DATA" for line in domain.host.lines), 45, "DATA")
        assert site.mta.kill_program("stsgate-deliver") == 1
        sent.result(45)
    assert site.mta.waiting() == [address(domain)]
    domain.host.behaviour = Behaviour()
    site.mta.run_queue()
    assert site.mta.waiting() == []
    assert_arrived(domain)
