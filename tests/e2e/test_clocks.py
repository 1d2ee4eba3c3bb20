# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Clocks that are set, stand still or begin in 1970: no policy is forgotten for it, or kept longer."""

import time

import pytest
from checks import address, wait_until
from stslab.mx import Behaviour

STRIPPED = Behaviour(offer_starttls=False, starttls=None)
HOUR = 3600
DAY = 24 * HOUR


def learned(net, machine, **options):
    """A domain whose enforce policy is cached; from then on its TXT and policy host are gone."""
    domain = net.domain(policy="enforce", zone="plain", **options)
    assert machine.daemon.deliver(address(domain)).only.short == "250 2.0.0"
    assert len(domain.fetches()) == 1
    net.dns.fault("_mta-sts." + domain.name, "TXT", "nxdomain")
    domain.site.manner = "reset"
    domain.host.behaviour = STRIPPED
    return domain


def is_enforced(machine, domain):
    """A message under attack is refused, and nothing of it is seen."""
    before, leaked = len(domain.messages()), in_plaintext(domain)
    reply = machine.daemon.deliver(address(domain)).only
    if reply.short == "250 2.0.0":
        assert not domain.messages()[-1].tls, "the policy is over"
        return False
    assert reply.code == 451, str(reply)
    assert len(domain.messages()) == before
    assert in_plaintext(domain) == leaked
    return True


def in_plaintext(domain):
    return [line.text for line in domain.host.lines if line.verb == "MAIL" and not line.tls]


def alarm(machine, ended):
    """The alarm about the clock is logged once."""
    assert machine.daemon.wait_log("alarm", seconds=20, alarm="clock", ended=ended), \
        machine.daemon.log_text()
    return machine.daemon.log("alarm", alarm="clock", ended=ended)


QUICK = {"sts": {"retry-interval": "1s"}}


@pytest.mark.parametrize("how", ["restart", "kill"])
@pytest.mark.parametrize("step", [25 * HOUR, -25 * HOUR])
def test_set_over_a_restart(net, machine, how, step):
    """The store knows the boot clock: the policy has the time left that it had."""
    mta = machine(QUICK)
    domain = learned(net, mta, max_age=DAY)
    getattr(mta, how)(step)
    assert is_enforced(mta, domain)
    assert len(alarm(mta, "no")) == 1
    mta.step(-step)
    assert len(alarm(mta, "yes")) == len(alarm(mta, "no")) == 1
    getattr(mta, how)(step)
    mta.pass_over(DAY - HOUR)
    assert is_enforced(mta, domain)
    mta.outlive(HOUR)
    assert not is_enforced(mta, domain)


@pytest.mark.parametrize("step", [-DAY, DAY])
def test_set_while_it_runs(net, machine, step):
    mta = machine()
    domain = learned(net, mta, max_age=1000)
    mta.step(step)
    mta.pass_over(900)
    assert is_enforced(mta, domain)
    mta.outlive(100)
    assert not is_enforced(mta, domain)


@pytest.mark.parametrize("step", [-DAY, DAY])
def test_dns_answers_do_not_outlive_their_ttl(net, machine, step):
    """Cached answers live by the wall clock: a day back they would hide a new id for a day."""
    mta = machine(QUICK)
    domain = net.domain(policy="enforce", zone="plain")
    assert mta.daemon.deliver(address(domain)).only.short == "250 2.0.0"
    mta.step(step)
    alarm(mta, "no")
    domain.set_policy("enforce", patterns=["mx.elsewhere.example"])
    domain.set_id("second")
    wait_until(lambda: mta.daemon.deliver(address(domain)).only.short == "451 4.7.5", 10, "the new policy")
    assert len(domain.fetches()) == 2


def test_booted_without_a_battery(net, machine):
    """In 1970 at first, and set right by a time server later."""
    mta = machine(QUICK)
    domain = learned(net, mta, max_age=DAY)
    back = int(time.time()) - DAY
    mta.reboot(-back)
    assert len(alarm(mta, "no")) == 1
    assert is_enforced(mta, domain)
    mta.step(back)
    assert len(alarm(mta, "yes")) == 1
    assert is_enforced(mta, domain)
    mta.outlive(DAY)
    wait_until(lambda: not is_enforced(mta, domain), 70, "its end")


def test_booted_ahead_and_set_back(net, machine):
    """A policy that seemed to have ended is in force again."""
    mta = machine(QUICK)
    domain = learned(net, mta, max_age=DAY)
    mta.reboot(25 * HOUR)
    assert not is_enforced(mta, domain)
    mta.step(-25 * HOUR)
    alarm(mta, "no")
    assert is_enforced(mta, domain)


def test_off_for_longer_than_max_age(net, machine):
    """Another boot: the wall clock alone tells for how long."""
    mta = machine()
    domain = learned(net, mta, max_age=DAY)
    mta.reboot(23 * HOUR)
    assert is_enforced(mta, domain)
    mta.reboot(2 * HOUR)
    assert not is_enforced(mta, domain)


@pytest.mark.parametrize("step", [10 * HOUR, -10 * HOUR])
def test_refreshes_keep_their_time(net, machine, step):
    """However the wall clock is set, each policy is fetched once a refresh-interval."""
    mta = machine({"sts": {"retry-interval": "1s", "refresh-interval": "4h"}})
    domains = [net.domain(policy="enforce", zone="plain", max_age=10 * DAY) for _ in range(3)]
    for domain in domains:
        assert mta.daemon.deliver(address(domain)).only.short == "250 2.0.0"
    mta.step(step)
    alarm(mta, "no")
    time.sleep(3)  # what must not happen would happen several times a second
    assert [len(domain.fetches()) for domain in domains] == [1, 1, 1]
    mta.pass_over(4 * HOUR)
    wait_until(lambda: all(len(domain.fetches()) == 2 for domain in domains), 20, "the refresh")
    time.sleep(3)
    assert [len(domain.fetches()) for domain in domains] == [2, 2, 2]


def test_the_grace_of_a_failing_look_up(net, machine):
    """Deferred for cold-failure-grace, whatever the wall clock does; once given up, for 14 days."""
    mta = machine()
    domain = net.domain(zone="plain")
    net.dns.fault("_mta-sts." + domain.name, "TXT", "servfail")

    def look(passed, expected, step=0):
        mta.outlive(passed)
        mta.step(step)
        assert mta.daemon.deliver(address(domain)).only.short == expected, passed

    look(0, "451 4.4.3")
    look(HOUR // 3, "451 4.4.3", DAY)
    look(0, "451 4.4.3", -2 * DAY)
    look(2 * HOUR // 3, "250 2.0.0", DAY)
    look(26 * HOUR, "250 2.0.0")
    mta.restart()
    look(2 * HOUR, "250 2.0.0")
    look(14 * DAY, "451 4.4.3")


def test_a_policy_that_runs_out_is_an_alarm(net, machine):
    """Port 443 is closed to all: fetch-outage at once, ran-out when the policy ends."""
    mta = machine(QUICK)
    domain = net.domain(policy="enforce", zone="plain", max_age=DAY)
    assert mta.daemon.deliver(address(domain)).only.short == "250 2.0.0"
    domain.site.manner = "reset"
    for _ in range(5):
        cold = net.domain(policy="enforce", zone="plain")
        cold.site.manner = "reset"
        assert mta.daemon.deliver(address(cold)).only.short == "250 2.0.0", "no policy is known"
    (outage,) = mta.daemon.wait_log("alarm", alarm="fetch-outage")
    assert outage["level"] == "error" and outage["ended"] == "no" and outage["domain"] == ""
    assert outage["since"].endswith("Z")
    mta.pass_over(DAY - 60)
    wait_until(lambda: "reset" in str(mta.daemon.log("policy", domain=domain.name)) or
               mta.daemon.log("policy", domain=domain.name, level="warning"), 20, "a refresh that fails")
    assert mta.daemon.log("alarm", alarm="ran-out") == []
    mta.outlive(60)
    (over,) = mta.daemon.wait_log("alarm", seconds=20, alarm="ran-out")
    assert (over["domain"], over["ended"]) == (domain.name, "no")

    domain.site.manner = ""
    domain.set_id("second")
    wait_until(lambda: mta.daemon.deliver(address(domain)).only.code == 250 and
               mta.daemon.log("alarm", alarm="ran-out", ended="yes"), 20, "the policy anew")
    assert mta.daemon.wait_log("alarm", alarm="fetch-outage", ended="yes")
    assert [line["ended"] for line in mta.daemon.log("alarm", alarm="ran-out")] == ["no", "yes"]
    assert [line["ended"] for line in mta.daemon.log("alarm", alarm="fetch-outage")] == ["no", "yes"]


def test_a_slow_new_policy_holds_no_mail(net, machine):
    """Each look sees another id, and the policy host hangs: the policy in force is good enough."""
    mta = machine({"sts": {"fetch-timeout": "60s"}})
    domain = net.domain(policy="enforce", zone="plain")
    assert mta.daemon.deliver(address(domain)).only.short == "250 2.0.0"
    domain.site.manner = "hang"
    took = []
    for number in range(3):
        domain.set_id(f"new{number}")
        time.sleep(1.1)  # the TTL of the TXT record
        began = time.monotonic()
        assert mta.daemon.deliver(address(domain)).only.short == "250 2.0.0"
        took.append(time.monotonic() - began)
    assert max(took) < 10, took
    assert sorted(took)[1] < 2, "only the first one waits"
    assert all(message.tls for message in domain.messages())
