# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""What was refused, and what would have been: /v1/history, stsgate refused, stsgate audit."""

import json
import re
import ssl

import pytest
from checks import address, assert_nothing_leaked, assert_reply, wait_until
from stslab.internet import Mx
from stslab.mx import Behaviour
from test_control import USAGE, asked, http, printed

BAD = Behaviour(certificate="self-signed")
STRIPPED = Behaviour(offer_starttls=False, starttls=None)


def entries(daemon, query=""):
    status, body = http(daemon, f"GET /v1/history{query}")
    assert status == 200, body
    return json.loads(body)["entries"]


def counted(daemon, count, query=""):
    """The entries once they stand for so many messages: events are noted after the replies."""
    wait_until(lambda: sum(entry["count"] for entry in entries(daemon, query)) == count,
               seconds=30, what=f"{count} messages in the history {query}")
    return entries(daemon, query)


def test_refusals_are_counted(net, start):
    """Equal ones are one entry; what the host itself refuses is none."""
    bad = net.domain(policy="enforce", behaviour=BAD)
    stripped = net.domain(policy="enforce", behaviour=STRIPPED)
    good = net.domain(policy="enforce", behaviour=Behaviour(rcpt={"someone": "550 5.7.1 no"}))
    mta = start({"smtp": {"host-retry": "1s"}})
    for _ in range(2):
        for reply in mta.deliver([address(bad, "one"), address(bad, "two")]).final:
            assert_reply(reply, "451 4.7.5")
    assert_reply(mta.deliver(address(stripped)).only, "451 4.7.4")
    mta.deliver(address(good))
    assert_nothing_leaked(bad)
    counted(mta, 3)
    assert entries(mta, f"?domain={good.name}") == []
    # one entry, or two when the hour has just changed
    found = counted(mta, 2, f"?kind=refused&domain={bad.name}&since=2h")
    assert sum(entry["recipients"] for entry in found) == 4
    entry = found[0]
    assert (entry["kind"], entry["policy"], entry["mode"], entry["host"], entry["address"],
            entry["result"]) == ("refused", "sts", "enforce", bad.host.name, bad.host.address,
                                 "certificate-not-trusted")
    assert ssl.PEM_cert_to_DER_cert(entry["chain"].strip())
    assert entry["first"] <= entry["last"] and entry["reason"] and entry["policy-id"]
    assert "one@" not in json.dumps(found) and "two@" not in json.dumps(found)
    assert "chain" not in entries(mta, f"?domain={stripped.name}")[0]
    rows = asked(mta, "refused", "--domain", bad.name)
    assert rows["not_counted"] == {}
    assert [(row["domain"], row["result"], row["count"], row["recipients"], row["hosts"])
            for row in rows["rows"]] == [
                (bad.name, "certificate-not-trusted", 2, 4, [bad.host.name])]
    text = printed(mta, "refused", "--since", "today")
    assert bad.name in text and stripped.name in text
    assert asked(mta, "audit")["rows"] == []


def test_survives_kill(net, start):
    domain = net.domain(policy="enforce", behaviour=BAD)
    mta = start()
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5")
    counted(mta, 1)
    mta.kill()
    mta.start()
    assert [entry["domain"] for entry in entries(mta)] == [domain.name]


def test_audit_tells_what_enforcement_would_refuse(net, start):
    bad, good = net.domain(policy="enforce", behaviour=BAD), net.domain(policy="enforce")
    testing = net.domain(policy="testing", behaviour=BAD)
    mta = start({"sts": {"enforce": "audit"}})
    for domain in (bad, good, testing):
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    line = mta.wait_log("delivery", domain=bad.name)[0]
    assert (line["mode"], line["published"], line["would"]) == ("audit", "enforce", "deferred")
    assert line["reason"]
    assert "would" not in mta.wait_log("delivery", domain=good.name)[0]
    assert mta.wait_log("delivery", domain=testing.name)[0]["published"] == "testing"
    counted(mta, 2, "?kind=would")
    audit = asked(mta, "audit")
    assert [(row["domain"], row["count"]) for row in audit["rows"]] == [(bad.name, 1)]
    assert audit["not_counted"] == {"testing": 1}
    assert asked(mta, "refused")["rows"] == []
    mta.reload({"sts": {"enforce": "on"}})
    assert_reply(mta.deliver(address(bad)).only, "451 4.7.5")
    for domain in (good, testing):
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"


def test_no_local_part_is_kept_of_what_a_host_says(net, start):
    """Some repeat the recipient without its domain."""
    domain = net.domain(policy="enforce", behaviour=Behaviour(
        certificate="expired", dot="250 2.1.5 someone got it"))
    mta = start({"sts": {"enforce": "audit"}})
    assert "someone got it" in mta.deliver(address(domain)).only.text
    (entry,) = counted(mta, 1, "?kind=would")
    assert entry["reply"] == "250 2.0.0"
    assert "someone" not in json.dumps(entry)


@pytest.mark.parametrize("second,would", [(Behaviour(), "sent"), (BAD, "deferred")])
def test_audit_tries_the_other_hosts(net, start, second, would):
    """What the first host lacks, the second may have; each is tried out once an hour."""
    domain = net.domain(policy="enforce", mx=[Mx(10, BAD), Mx(20, second)])
    mta = start({"sts": {"enforce": "audit"}, "smtp": {"keep-idle": "0s"}})
    for _ in range(3):
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    lines = mta.wait_log("delivery", domain=domain.name)
    assert [line["would"] for line in lines] == [would] * 3
    assert {line["mx"] for line in lines} == {domain.hosts[0].name}
    assert len(domain.hosts[1].connections) == 1
    assert domain.hosts[1].messages == []
    if would == "deferred":
        counted(mta, 3, "?kind=would")
    else:
        assert entries(mta) == []
    mta.reload({"sts": {"enforce": "on"}})
    short = mta.deliver(address(domain)).only.short
    assert short == ("250 2.0.0" if would == "sent" else "451 4.7.5")


def test_by_domain_roll_out(net, start):
    """Audit for all, and the policy of one domain."""
    audited, enforced = net.domain(policy="enforce", behaviour=BAD), net.domain(
        policy="enforce", behaviour=BAD)
    mta = start({("destination", "."): {"tls": "audit"},
                 ("destination", enforced.name): {"tls": "policy"}})
    assert mta.deliver(address(audited)).only.short == "250 2.0.0"
    assert_reply(mta.deliver(address(enforced)).only, "451 4.7.5")
    counted(mta, 2)
    assert [row["domain"] for row in asked(mta, "audit")["rows"]] == [audited.name]
    assert [row["domain"] for row in asked(mta, "refused")["rows"]] == [enforced.name]


def test_bad_questions(net, mta):
    for query in ("kind=none", "since=x", "since=7", "since=7y", "limit=0", "limit=10001",
                  "after=x", "domain=a..b"):
        assert http(mta, f"GET /v1/history?{query}")[0] == 400, query
    assert http(mta, "POST /v1/history")[0] == 405
    assert mta.ask("refused", "--since", "soon").returncode == USAGE
    assert mta.ask("audit", "--domain", "a..b").returncode == USAGE


def why(daemon, domain):
    return asked(daemon, "why", domain.name)


def test_why_mail_waits(net, start):
    """From verified to refused, and with an override."""
    domain, other = net.domain(policy="enforce", policy_id="why1"), net.domain(policy="enforce")
    settings = {"smtp": {"host-retry": "1s", "keep-idle": "0s"}}
    mta = start(settings)
    assert why(mta, domain)["state"] == "unknown"
    assert "last_verified" not in why(mta, domain)
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    wait_until(lambda: why(mta, domain)["state"] == "flowing", seconds=30)
    answer = why(mta, domain)
    assert answer["rule"] == {"source": "sts", "mode": "enforce", "id": "why1"}
    assert answer["entries"] == [] and answer["last_verified"] >= answer["since"]
    domain.host.behaviour = STRIPPED
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.4")
    counted(mta, 1, f"?domain={domain.name}")
    answer = why(mta, domain)
    assert answer["state"] == "refused"
    assert any("STARTTLS" in sign for sign in answer["signs"])
    assert any("stsgate check" in advice for advice in answer["advice"])
    assert answer["entries"][-1]["result"] == "starttls-not-supported"
    text = printed(mta, "why", f"someone@{domain.name}")
    assert f"{domain.name}: refused since " in text and "451 4.7.4" in text
    text = printed(mta, "policy", domain.name)
    assert re.search(r"outcome +refused", text) and "451 4.7.4" in text
    mta.reload({**settings, ("destination", domain.name): {"tls": "audit"}})
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    counted(mta, 1, f"?kind=would&domain={domain.name}")
    answer = why(mta, domain)
    assert answer["state"] == "would-refuse"
    rule = answer["rule"]
    assert (rule["source"], rule["mode"], rule["published"]) == ("destination", "audit", "enforce")
    path, _, line = rule["where"].rpartition(":")
    lines = mta.config.read_text().splitlines()
    assert path == str(mta.config) and lines[int(line) - 1].startswith("destination")
    assert why(mta, other)["state"] == "unknown"
    assert http(mta, "GET /v1/why/a..b")[0] == 400


def test_a_host_that_could_not_be_tried_out_is_tried_again(net, start):
    """The only connection that is allowed is the message's own."""
    domain = net.domain(policy="enforce", mx=[Mx(10, BAD), Mx(20)])
    mta = start({"sts": {"enforce": "audit"}, "smtp": {"keep-idle": "0s", "max-deliveries": 1}})
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert mta.wait_log("delivery", domain=domain.name)[0]["would"] == "deferred"
    mta.reload({"smtp": {"keep-idle": "0s", "max-deliveries": 10}})
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    wait_until(lambda: len(mta.log("delivery", domain=domain.name)) == 2, seconds=30)
    assert mta.log("delivery", domain=domain.name)[1]["would"] == "sent"


KINDS = {                                   # what it is: behaviour, what would be the result
    "good": (Behaviour(), None),
    "stripped": (STRIPPED, "starttls-not-supported"),
    "self-signed": (BAD, "certificate-not-trusted"),
    "expired": (Behaviour(certificate="expired"), "certificate-expired"),
    "unlisted": (Behaviour(), "validation-failure"),
}
OF_A_KIND = 11


def test_what_audit_foretells_comes_true(net, start):
    """55 domains with known faults: counts under audit, then enforcement."""
    domains = {}
    for kind, (behaviour, _) in KINDS.items():
        for _ in range(OF_A_KIND):
            patterns = ["mx.elsewhere.example"] if kind == "unlisted" else None
            domain = net.domain(policy="enforce", behaviour=behaviour, patterns=patterns)
            domains[domain.name] = (domain, kind)
    settings = {"smtp": {"host-retry": "1s"}}
    mta = start({**settings, "sts": {"enforce": "audit"}})
    for _ in range(2):
        for domain, _ in domains.values():
            result = mta.deliver([address(domain, "one"), address(domain, "two")])
            assert [reply.short for reply in result.final] == ["250 2.0.0"] * 2
    faulty = {name: KINDS[kind][1] for name, (_, kind) in domains.items() if kind != "good"}
    counted(mta, 2 * len(faulty), "?kind=would")
    rows = asked(mta, "audit")["rows"]
    assert {row["domain"]: row["result"] for row in rows} == faulty
    assert {(row["count"], row["recipients"]) for row in rows} == {(2, 4)}
    assert asked(mta, "refused")["rows"] == []
    mta.reload({"sts": {"enforce": "on"}})
    waiting = {name for name, (domain, _) in domains.items()
               if mta.deliver(address(domain)).only.short != "250 2.0.0"}
    assert waiting == set(faulty)
    counted(mta, len(faulty), "?kind=refused")
    assert {row["domain"]: row["result"] for row in asked(mta, "refused")["rows"]} == faulty
    for name, (domain, kind) in domains.items():
        assert why(mta, domain)["state"] == ("flowing" if kind == "good" else "refused"), name
