# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Limits on memory and computation that a host's TLS can cause."""

import pytest
from checks import address, assert_arrived
from stslab.mx import Behaviour
from test_crowd import is_sanitized

MIB = 1024      # in KiB
HOSTS = 24
# The hosts make keys and long chains while stsgated waits.
PATIENT = {"keep-idle": "0s", "connect-timeout": "60s", "command-timeout": "60s"}


@pytest.mark.parametrize("keep", ["0s", "60s"], ids=["sessions", "connections"])
def test_chains_that_are_far_too_long_are_not_held(net, start, keep):
    """Each is more than a MiB in memory."""
    mta = start({"smtp": PATIENT | {"keep-idle": keep}})
    small = [net.domain() for _ in range(HOSTS)]
    large = [net.domain(behaviour=Behaviour(certificate="long-chain")) for _ in range(HOSTS)]
    for domain in [*small, large[0]]:
        assert mta.deliver(address(domain)).only.code == 250
    before = mta.memory_kib()
    for domain in large[1:]:
        assert mta.deliver(address(domain)).only.code == 250
    grown = mta.memory_kib() - before
    assert grown < 6 * MIB or is_sanitized(mta), f"{grown} KiB more after {HOSTS - 1} chains"
    for domain in large:
        assert_arrived(domain, tls=True)
        assert not any(connection.resumed for connection in domain.host.connections)


@pytest.mark.parametrize("policy", [None, "enforce"])
def test_a_group_of_8192_bits_is_not_computed_in(net, start, policy):
    """The host has other cipher suites, and gets mail by one of them, in TLS."""
    mta = start({"smtp": PATIENT})
    domain = net.domain(policy=policy, behaviour=Behaviour(
        certificate="rsa", maximum_tls="TLSv1.2", dh_group="ffdhe8192"))
    for number in range(3):
        assert mta.deliver(address(domain, f"u{number}")).only.short == "250 2.0.0"
    assert_arrived(domain, times=3, tls=True)
    assert [connection.cipher for connection in domain.host.connections] == [
        None, *["ECDHE-RSA-AES256-GCM-SHA384"] * 3], "it is asked for once"
    assert "dh-key-too-large" in mta.log("attempt", domain=domain.name)[0]["reply"]


def test_a_group_of_2048_bits_is_taken(net, start):
    mta = start({"smtp": PATIENT})
    domain = net.domain(behaviour=Behaviour(
        certificate="rsa", maximum_tls="TLSv1.2", dh_group="ffdhe2048"))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert [connection.cipher for connection in domain.host.connections] == [
        "DHE-RSA-AES256-GCM-SHA384"]
