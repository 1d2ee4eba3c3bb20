# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""stsgate check --inbound: is one's own domain in order for senders that enforce?"""

import json

import pytest
from checks import address
from stslab import tlsa
from stslab.internet import Mx
from stslab.mx import Behaviour

REPORTS = '"v=TLSRPTv1; rua=mailto:reports@r.example"'


def publish_reports(net, domain):
    net.zones.add("_smtp._tls." + domain.name, "TXT", REPORTS, ttl=1)
    return domain


def inbound(daemon, domain, status=None):
    """{(step, host): state}, and the same with details."""
    done = daemon.ask("check", "--inbound", domain.name, "--json")
    answer = json.loads(done.stdout)
    assert set(answer) == {"domain", "steps"} and answer["domain"] == domain.name
    for step in answer["steps"]:
        assert set(step) <= {"step", "host", "state", "detail"}
    states = {(step["step"], step.get("host")): step["state"] for step in answer["steps"]}
    assert done.returncode == (1 if "fail" in states.values() else 0), done
    details = {(step["step"], step.get("host")): step["detail"] for step in answer["steps"]}
    return states, details


def faults(states):
    return {step: state for (step, _), state in states.items() if state != "ok"}


def test_a_domain_in_order(net, mta):
    domain = publish_reports(net, net.domain(policy="enforce", mx=(Mx(10), Mx(20))))
    states, details = inbound(mta, domain)
    assert set(states.values()) == {"ok"}, details
    names = [host.name for host in domain.hosts]
    assert list(states) == [
        ("txt", None), ("policy", None), ("policy-host", domain.sts_host), ("max_age", None),
        *[(step, name) for name in names for step in ("mx", "starttls", "certificate", "tlsa")],
        ("tls-rpt", None)]
    assert "days left" in details["certificate", names[0]]
    assert all(host.messages == [] for host in domain.hosts)
    words = mta.ask("check", "--inbound", domain.name)
    assert words.returncode == 0
    assert len(words.stdout.splitlines()) == len(states)
    assert all(row.startswith("ok ") for row in words.stdout.splitlines())


@pytest.mark.parametrize("make, found", [
    (lambda net: net.domain(policy="testing"), {"policy": "warn"}),
    (lambda net: net.domain(policy="enforce", max_age=3600), {"max_age": "warn"}),
    (lambda net: net.domain(policy="enforce", patterns=["mx.elsewhere.example"]), {"mx": "fail"}),
    (lambda net: net.domain(policy="enforce", behaviour=Behaviour(certificate="expires-soon")),
     {"certificate": "warn"}),
    (lambda net: net.domain(policy="enforce", behaviour=Behaviour(certificate="expired")),
     {"certificate": "fail"}),
    (lambda net: net.domain(policy="enforce", behaviour=Behaviour(certificate="wrong-name")),
     {"certificate": "fail"}),
    (lambda net: net.domain(policy="enforce", behaviour=Behaviour(offer_starttls=False)),
     {"starttls": "fail"}),
    (lambda net: net.domain(policy="enforce", behaviour=Behaviour(starttls="454 4.7.0 not now")),
     {"starttls": "fail"}),
    (lambda net: net.domain(policy="enforce", behaviour=Behaviour(greeting="554 5.7.1 go away")),
     {"starttls": "fail"}),
    (lambda net: net.domain(policy="enforce", mx=(Mx(10, down=True), Mx(20))),
     {"starttls": "fail"}),
    (lambda net: net.domain(policy="enforce", txt=['" v=STSv1; id=a;"']), {"txt": "fail", "policy": "fail"}),
    (lambda net: net.domain(policy="enforce", txt=['"v=STSv1; id=2026-12-01;"']),
     {"txt": "fail", "policy": "fail"}),
], ids=["testing", "short", "not-listed", "soon", "expired", "name", "no-starttls",
        "starttls-refused", "greeting", "down", "near-miss", "dashes"])
def test_each_fault_alone(net, mta, make, found):
    states, details = inbound(mta, publish_reports(net, make(net)))
    assert faults(states) == found, details


def test_a_domain_that_publishes_nothing(net, mta):
    states, details = inbound(mta, net.domain())
    assert faults(states) == {"txt": "fail", "policy": "fail", "tls-rpt": "warn"}, details


def test_what_is_cached_here_hides_nothing(net, mta):
    domain = publish_reports(net, net.domain(policy="enforce"))
    assert mta.deliver(address(domain)).only.code == 250
    domain.site.status = 404
    assert faults(inbound(mta, domain)[0]) == {"policy": "fail", "policy-host": "fail"}
    domain.set_txt('"v=spf1 -all"')
    assert faults(inbound(mta, domain)[0]) == {"txt": "fail", "policy": "fail"}


@pytest.mark.parametrize("section", [
    {"tls": "may"}, {"tls": "none"}, {"tls": "audit"}, {"relay": "[127.0.0.1]:2525"}])
def test_what_is_configured_here_changes_nothing(net, start, section):
    domain = publish_reports(net, net.domain(policy="enforce",
                                             behaviour=Behaviour(certificate="expired")))
    mta = start({("destination", domain.name): section})
    states, _ = inbound(mta, domain)
    assert faults(states) == {"certificate": "fail"}
    assert ("mx", domain.host.name) in states


def test_what_is_switched_off_here_is_checked(net, start):
    """The record for reports, and TLSA records."""
    domain = publish_reports(net, net.domain(policy="enforce"))
    net.zones.replace(tlsa.at(domain.host.name), "TLSA", tlsa.wrong("3 1 1"), ttl=1)
    mta = start({"tlsrpt": {"enable": "off"}, "dane": {"enforce": "off"}, "sts": {"enforce": "off"}})
    assert faults(inbound(mta, domain)[0]) == {"tlsa": "fail"}


@pytest.mark.parametrize("record, found", [
    ("3 1 1", {}), (tlsa.wrong("3 1 1"), {"tlsa": "fail"})], ids=["match", "no-match"])
def test_tlsa_records(net, mta, record, found):
    domain = publish_reports(net, net.domain(policy="enforce"))
    net.zones.replace(tlsa.at(domain.host.name), "TLSA",
                      record if len(record.split()) > 3 else tlsa.of(domain.host, record), ttl=1)
    states, details = inbound(mta, domain)
    assert faults(states) == found, details
    assert "record" in details["tlsa", domain.host.name]


def test_a_domain_that_does_not_exist(net, mta):
    done = mta.ask("check", "--inbound", net.fresh_name(), "--json")
    assert done.returncode == 1
    assert [step["state"] for step in json.loads(done.stdout)["steps"] if step["step"] == "mx"] == [
        "fail"]
    assert mta.ask("check", "--inbound").returncode == 64
    assert mta.ask("policy", "--inbound", "d.example").returncode == 64


@pytest.mark.parametrize("txt, word", [
    ('" v=STSv1; id=a;"', "space"), ('"\\"v=STSv1; id=a;\\""', "quotation"),
    ('"v=STSv1; id=2026-12-01;"', "id")])
def test_a_near_miss_is_not_ok_in_a_plain_check(net, mta, txt, word):
    domain = net.domain(policy="enforce", txt=[txt])
    done = mta.ask("check", domain.name, "--json")
    assert done.returncode == 1
    (step,) = [step for step in json.loads(done.stdout)["steps"] if step["step"] == "policy"]
    assert not step["ok"] and word in step["detail"], step
