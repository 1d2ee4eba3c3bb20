# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The policy cache (cases, group F): kept, refreshed, replaced, never forgotten early."""

import contextlib
import pathlib
import subprocess

import pytest
from checks import (address, assert_arrived, assert_nothing_leaked, assert_reply, let_pass,
                    wait_until)
from stslab import programs
from stslab.forwarder import Forged
from stslab.mx import Behaviour
from stslab.policyhost import policy_text

HOUR = 3600
STRIPPED = Behaviour(offer_starttls=False, starttls=None)
QUICK = {"sts": {"retry-interval": "1s"}}


def seen(net, mta, **options):
    """A domain whose enforce policy the daemon has, and whose host was good then."""
    domain = net.domain(policy="enforce", **options)
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert len(domain.fetches()) == 1
    return domain


def strip(domain):
    """From now on an attacker strips STARTTLS, on new connections too."""
    for host in domain.hosts:
        host.behaviour = STRIPPED


def txt_is_old():
    """Wait until a TXT answer with a TTL of one second is looked up again."""
    let_pass(2.1)


def silence_sts(net, domain, fault="servfail"):
    """TXT and policy host are dead."""
    net.dns.fault("_mta-sts." + domain.name, "TXT", fault)
    net.dns.fault(domain.sts_host, "*", fault)
    domain.site.manner = "reset"


def refuses(mta, domain):
    """A message under attack is refused and nothing of it is seen."""
    before = [len(host.messages) for host in domain.hosts]
    reply = mta.deliver(address(domain)).only
    assert reply.short in ("451 4.7.4", "451 4.7.5"), str(reply)
    assert [len(host.messages) for host in domain.hosts] == before
    for host in domain.hosts:
        assert not any(line.verb == "MAIL" and not line.tls for line in host.lines)
    return True


@pytest.mark.parametrize("how", ["restart", "kill"])
@pytest.mark.parametrize("fault", ["servfail", "silence", "nxdomain"])
def test_enforced_after_a_restart_with_dns_and_https_dead(net, start, how, fault):
    """F1, and kill -9."""
    mta = start({"smtp": {"keep-idle": "0s"}})
    domain = seen(net, mta)
    if how == "kill":
        mta.kill()
        mta.start()
    else:
        mta.restart()
    silence_sts(net, domain, fault)
    assert mta.deliver(address(domain)).only.short == "250 2.0.0", "verified mail still goes"
    strip(domain)
    assert refuses(mta, domain)


def test_killed_right_after_the_first_delivery(net, start):
    """A policy that was acted on is on disk."""
    mta = start({"smtp": {"keep-idle": "0s"}})
    domains = [seen(net, mta) for _ in range(5)]
    mta.kill()
    mta.start()
    for domain in domains:
        silence_sts(net, domain)
        strip(domain)
        assert refuses(mta, domain)


def test_the_restarted_daemon_would_deliver_unguarded(net, start):
    """That the tests above can fail."""
    mta = start({"smtp": {"keep-idle": "0s"}})
    domain = seen(net, mta)
    mta.stop()
    mta.reconfigure({"sts": {"enforce": "off"}})
    mta.start()
    silence_sts(net, domain)
    strip(domain)
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert domain.messages()[-1].tls is False


def test_no_second_fetch_for_the_same_id(net, start):
    """F2."""
    mta = start(QUICK)
    domain = seen(net, mta)
    txt_is_old()
    for _ in range(3):
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert len(domain.fetches()) == 1


def test_a_new_id_brings_the_new_policy(net, start):
    """F3."""
    mta = start(QUICK)
    domain = seen(net, mta)
    domain.set_policy("enforce", patterns=["mx.elsewhere.example"])
    domain.set_id("second")
    txt_is_old()
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5", "second")
    assert len(domain.fetches()) == 2


@pytest.mark.parametrize("site", [dict(manner="reset"), dict(status=404), dict(body=b"garbage"),
                                  dict(certificate="expired")],
                         ids=["reset", "404", "garbage", "expired"])
def test_a_failed_fetch_keeps_the_old_policy(net, start, site):
    """F4, E11."""
    mta = start({"sts": {"retry-interval": "1s"}, "smtp": {"keep-idle": "0s"}})
    domain = seen(net, mta)
    for key, value in site.items():
        setattr(domain.site, key, value)
    domain.set_id("second")
    txt_is_old()
    strip(domain)
    assert refuses(mta, domain)


@pytest.mark.parametrize("fault", ["nxdomain", "empty", "servfail", Forged('"v=STSv1; garbage"')],
                         ids=["nxdomain", "empty", "servfail", "malformed"])
def test_a_vanished_txt_keeps_the_policy(net, start, fault):
    """F6: in an unsigned zone an attacker can do it."""
    mta = start({"sts": {"retry-interval": "1s"}, "smtp": {"keep-idle": "0s"}})
    domain = seen(net, mta, zone="plain")
    net.dns.fault("_mta-sts." + domain.name, "TXT", fault)
    txt_is_old()
    strip(domain)
    assert refuses(mta, domain)


def test_live_none_replaces_enforce_at_once(net, start):
    """F22, RFC 8461 8.3: how a domain opts out."""
    mta = start({"sts": {"retry-interval": "1s"}, "smtp": {"keep-idle": "0s"}})
    domain = seen(net, mta)
    domain.site.body = policy_text("none", [], 86400).encode()
    domain.set_id("optout")
    txt_is_old()
    strip(domain)
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"


def test_an_expired_policy_is_not_used(net, machine):
    """F7, F8: max_age is over, the fetch fails."""
    clock = machine({"sts": {"retry-interval": "1s"}})
    mta = clock.daemon
    domain = seen(net, mta, max_age=HOUR)
    net.zones.remove("_mta-sts." + domain.name)
    domain.site.status = 404
    strip(domain)
    assert refuses(mta, domain), "still in force"
    clock.outlive(HOUR)
    assert mta.deliver(address(domain)).only.short == "250 2.0.0", "over"


def test_lifetime_counts_from_the_fetch_over_a_restart(net, machine):
    clock = machine({"sts": {"retry-interval": "1s"}})
    mta = clock.daemon
    domain = seen(net, mta, max_age=4 * HOUR)
    domain.site.status = 404  # from here on no refresh renews it
    clock.pass_over(3 * HOUR)
    clock.restart()
    net.zones.remove("_mta-sts." + domain.name)
    strip(domain)
    assert refuses(mta, domain)
    clock.outlive(HOUR)
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"


def test_max_age_zero_is_used_once(net, mta):
    """B15."""
    domain = net.domain(policy="enforce", behaviour=STRIPPED, max_age=0)
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.4")


def test_a_refusal_is_judged_once_more_by_a_new_policy(net, start):
    """F21: the cached policy does not match the new host, the published one does."""
    mta = start({"sts": {"retry-interval": "1s"}})
    domain = net.domain(policy="enforce", mx=[], patterns=["gone.example"])
    net.zones.replace("_mta-sts." + domain.name, "TXT", '"v=STSv1; id=old;"', ttl=3600)
    host = net.mx_host("mx1." + domain.name)
    net.zones.add(host.name, "A", host.address)
    net.zones.add(domain.name, "MX", f"10 {host.name}.")
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5", "old")
    domain.set_policy(patterns=[host.name])
    net.zones.replace("_mta-sts." + domain.name, "TXT", '"v=STSv1; id=new;"', ttl=3600)
    txt_is_old()
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert len(host.messages) == 1


@pytest.mark.parametrize("interval", ["1s", "5m"])
def test_a_refusal_at_a_connection_is_judged_once_more(net, start, interval):
    """F21: the host cannot do what the cached policy demands, and the published one no longer does.

    Within retry-interval of the last question the refusal stands."""
    mta = start({"sts": {"retry-interval": interval}})
    domain = net.domain(policy="enforce", behaviour=STRIPPED)
    domain.set_id("old", ttl=3600)
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.4", "old")
    assert_nothing_leaked(domain)
    domain.set_policy(mode="testing")
    domain.set_id("new", ttl=3600)
    txt_is_old()
    reply = mta.deliver(address(domain)).only
    if interval == "5m":
        assert_reply(reply, "451 4.7.4", "old")
        assert_nothing_leaked(domain)
        return
    assert reply.short == "250 2.0.0", str(reply)
    assert_arrived(domain, tls=False)


def test_a_flood_of_refusals_asks_no_more_than_once_per_interval(net, start):
    mta = start({"sts": {"retry-interval": "5m"}})
    domain = net.domain(policy="enforce", patterns=["gone.example"])
    net.zones.replace("_mta-sts." + domain.name, "TXT", '"v=STSv1; id=a;"', ttl=3600)
    for _ in range(6):
        assert mta.deliver(address(domain)).only.short == "451 4.7.5"
    assert len(net.dns.queries("_mta-sts." + domain.name, "TXT")) <= 2
    assert len(domain.fetches()) <= 2


def test_a_failed_fetch_backs_off(net, start):
    """F11, E12."""
    mta = start({"sts": {"retry-interval": "5m"}})
    domain = net.domain(policy="enforce")
    domain.site.status = 500
    for _ in range(4):
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert len(domain.fetches()) == 1
    domain.site.status = 200
    domain.set_id("second")
    txt_is_old()
    mta.deliver(address(domain))
    assert len(domain.fetches()) == 2, "a new id resets it"


def test_background_refresh_picks_up_a_changed_text(net, start):
    """F9, F12: within every refresh-interval, without a message."""
    mta = start({"sts": {"refresh-interval": "3s", "retry-interval": "1s"}})
    domain = seen(net, mta)
    domain.set_policy("enforce", patterns=["mx.elsewhere.example"])
    wait_until(lambda: len(domain.fetches()) >= 2, 8, "the refresh")
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5")


def test_a_failed_refresh_keeps_the_policy(net, start):
    """F13."""
    mta = start({"sts": {"refresh-interval": "2s", "retry-interval": "1s"},
                 "smtp": {"keep-idle": "0s"}})
    domain = seen(net, mta)
    domain.site.status = 500
    wait_until(lambda: len(domain.fetches()) >= 3, 10, "the refresh and its second try")
    strip(domain)
    assert refuses(mta, domain)


def test_another_stsgated_on_the_same_state_directory(net, start):
    """It says who holds it, and harms nothing."""
    first = start({"smtp": {"keep-idle": "0s"}})
    domain = seen(net, first)
    second = net.daemons.make({"state-directory": first.settings["state-directory"]})
    try:
        done = programs.run("stsgated", "-c", str(second.config), seconds=15)
        assert done.returncode != 0
        assert str(first.process.pid) in done.stderr and "state" in done.stderr, done.stderr
    finally:
        net.daemons.discard(second)
    strip(domain)
    assert refuses(first, domain)
    first.kill()
    first.start()
    silence_sts(net, domain)
    assert refuses(first, domain)


def test_stopping_the_second_leaves_the_sockets_of_the_first(net, start):
    """A second daemon with the same sockets and state directory."""
    first = start()
    done = programs.run("stsgated", "-c", str(first.config), seconds=15)
    assert done.returncode != 0
    domain = net.domain()
    assert first.deliver(address(domain)).only.short == "250 2.0.0"


def test_a_stale_socket_is_taken_over(net, start):
    mta = start()
    mta.kill()
    mta.start()
    domain = net.domain()
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain)


def test_a_damaged_store_never_means_silent_plaintext(net, start):
    """F16: 451 for cold-failure-grace until the TXT has been asked, with an alarm."""
    mta = start({"smtp": {"keep-idle": "0s"}})
    domain = seen(net, mta)
    mta.kill()
    state = pathlib.Path(mta.settings["state-directory"])
    for path in state.rglob("*"):
        if path.is_file() and path.stat().st_size > 4096:
            octets = bytearray(path.read_bytes())
            octets[:4096] = b"\xa5" * 4096
            path.write_bytes(octets)
    mta.start()
    silence_sts(net, domain)
    strip(domain)
    reply = mta.deliver(address(domain)).only
    assert reply.code == 451, str(reply)
    assert "level=error" in mta.log_text() or "level=warning" in mta.log_text()
    assert not any(line.verb == "MAIL" and not line.tls for line in domain.host.lines)


def test_a_store_that_cannot_be_written(net):
    """F17: the policy is used from memory, with an alarm."""
    mta = net.daemons.make({"smtp": {"keep-idle": "0s"}})
    state = mta.settings["state-directory"]
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=0777", "stslab", state],
                   check=True, timeout=10)
    try:
        mta.start()
        seen(net, mta)
        with open(f"{state}/filler", "wb", buffering=0) as filler:
            for size in (65536, 4096):
                with contextlib.suppress(OSError):
                    while filler.write(b"x" * size):
                        pass
        domains = [net.domain(policy="enforce") for _ in range(40)]
        for domain in domains:
            domain.site.body += b"note: " + b"x" * 60_000 + b"\r\n"
            assert mta.deliver(address(domain)).only.short == "250 2.0.0"
        for domain in domains[-3:]:
            silence_sts(net, domain)
            strip(domain)
            assert refuses(mta, domain)
        assert mta.log(level="error") or mta.log(level="warning"), "an alarm"
    finally:
        net.daemons.discard(mta)
        subprocess.run(["umount", state], check=False, timeout=10)


def test_nothing_leaked_helper_sees_leaks(net, unguarded):
    """That assert_nothing_leaked can fail."""
    domain = net.domain(behaviour=STRIPPED)
    unguarded.deliver(address(domain))
    with pytest.raises(AssertionError):
        assert_nothing_leaked(domain)
