# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Odd corners of the contract: what an MTA and a postmaster see at the edges."""

from checks import address, assert_nothing_leaked, assert_reply
from stslab import lmtp, programs
from stslab.mx import Behaviour


def test_many_mx_hosts_with_signed_addresses(net, mta):
    """The addresses that come along with the MX records do not hold up the answer."""
    name = net.fresh_name()
    net.zones.change([("add", name, "MX", f"{number} mx{number}.{name}.", 60)
                      for number in range(150)]
                     + [("add", f"mx{number}.{name}", "A", f"127.9.0.{number + 1}", 60)
                        for number in range(150)])
    assert_reply(mta.deliver("someone@" + name).only, "451 4.4.1")


def test_a_refusal_names_the_section_that_demands_it(net, start):
    """The destination as it stands in stsgate.conf, not the relay or the domain."""
    domain = net.domain(behaviour=Behaviour(offer_starttls=False, starttls=None))
    mta = start({
        ("destination", "relayed.example"): {"relay": domain.host.name, "tls": "encrypt"},
        ("destination", "address.example"): {"relay": "[127.0.0.1]", "tls": "verify"},
        ("destination", "*.example"): {"tls": "encrypt"}})
    assert_reply(mta.deliver("a@relayed.example").only, "451 4.7.4",
                 'destination "relayed.example" demands TLS')
    assert_reply(mta.deliver("a@address.example").only, "451 4.7.5",
                 'destination "address.example" demands', "the relay is an address")
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.4",
                 'destination "*.example" demands TLS')
    assert_nothing_leaked(domain)


def test_deliver_takes_an_ipv6_address_in_brackets(net, start):
    start({"lmtp": {"listen": ["inet:[::1]:2525"]}})
    domain = net.domain()
    done = programs.run("stsgate-deliver", "-s", "inet:[::1]:2525", "-f", "a@b.example",
                        address(domain), stdin=lmtp.MESSAGE)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert len(domain.messages()) == 1


def test_an_answer_that_is_too_long_counts(net, mta):
    """Its start says what became of the message; whoever said 250 must not get it twice."""
    taken = net.domain(behaviour=Behaviour(dot="250 2.6.0 Ok " + "x" * 5000))
    refused = net.domain(behaviour=Behaviour(rcpt={"someone": "550 5.1.1 " + "x" * 5000}))
    result = mta.deliver([address(taken), address(refused)])
    assert_reply(result.final[0], "250 2.0.0", "2.6.0 Ok")
    assert_reply(result.final[1], "550 5.1.1")
    assert all(len(reply.raw) <= 482 for reply in result.final)
    assert len(taken.messages()) == 1
