# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Sendmail, and an attacker in place of an MX host that two domains share, one of them protected.

Sendmail's own FEATURE(`sts') has the certificate verified for the recipient that a connection was
opened for, and for nobody who comes later; FEATURE(`stsgate_sts') looks again for each recipient.
"""

import pytest
from checks import address
from stslab.mx import Behaviour

ATTACKER = Behaviour(certificate="self-signed")


@pytest.fixture
def site(ways, request):
    made = ways.policy(request.param)
    yield made
    made.back_to_work()


def with_feature(name):
    site = {"sts": "sendmail_plain", "stsgate_sts": "sendmail"}[name]
    return pytest.mark.parametrize("site", [site], indirect=True, ids=[name])


two_ways = pytest.mark.parametrize("send", ["one message", "two messages"])


class Shared:
    """The host and its two domains. Of an envelope with both, the connection is for `plain`:
    Sendmail sorts recipients by domain."""

    def __init__(self, net, behaviour):
        parent = net.fresh_name()
        guarded = net.domain(policy="enforce", name="b." + parent, behaviour=behaviour)
        plain = net.domain(mx=[], name="a." + parent)
        net.zones.add(plain.name, "MX", f"10 {guarded.host.name}.")
        self.host = guarded.host
        self.guarded, self.plain = address(guarded), address(plain)

    def send(self, mta, how):
        """To both, in one queue run: one connection serves them."""
        if how == "one message":
            mta.send([self.guarded, self.plain], deliver=False)
        else:
            mta.send(self.guarded, deliver=False)
            mta.send(self.plain, deliver=False,
                     content=b"Precedence: special-delivery\nSubject: first\n\nGood day.\n")
        mta.run_queue()
        assert len(self.host.connections) == 1, "a connection of its own for each"

    def got(self):
        """Whose mail the host has, and that it did not come in the clear."""
        assert all(message.tls for message in self.host.messages)
        return {rcpt for message in self.host.messages for rcpt in message.recipients}


@with_feature("sts")
@two_ways
def test_sendmails_own_feature_gives_it_to_the_attacker(net, site, send):
    shared = Shared(net, ATTACKER)
    shared.send(site.mta, send)
    assert shared.got() == {shared.plain, shared.guarded}, site.mta.log_text()
    assert site.mta.waiting() == []


@with_feature("sts")
def test_sendmails_own_feature_knows_the_policy(net, site):
    """Alone on its connection the same recipient waits."""
    shared = Shared(net, ATTACKER)
    site.mta.send(shared.guarded)
    assert shared.got() == set() and site.mta.waiting() == [shared.guarded]


@with_feature("stsgate_sts")
@two_ways
def test_ours_keeps_it_from_the_attacker(net, site, send):
    shared = Shared(net, ATTACKER)
    shared.send(site.mta, send)
    assert shared.got() == {shared.plain}, site.mta.log_text()
    assert site.mta.waiting() == [shared.guarded]
    assert "MTA-STS demands a verified certificate" in site.mta.log_text()


@with_feature("stsgate_sts")
@two_ways
def test_ours_gives_it_to_the_host_itself(net, site, send):
    shared = Shared(net, Behaviour())
    shared.send(site.mta, send)
    assert shared.got() == {shared.plain, shared.guarded}
    assert site.mta.waiting() == []
