# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The log: one line an attempt, one a recipient, the contract's fields."""

from checks import address, wait_until
from stslab.internet import Mx
from stslab.mx import Behaviour

FIELDS = {"event", "id", "from", "to", "domain", "policy", "mode", "policy-id", "mx", "ip", "tls",
          "proto", "cipher", "reused", "wish", "result", "status", "dsn", "reply", "ms"}
STRIPPED = Behaviour(offer_starttls=False, starttls=None)


def lines(mta, domain):
    """The attempts and deliveries of a domain, once the delivery is logged."""
    deliveries = mta.wait_log("delivery", domain=domain.name)
    return mta.log("attempt", domain=domain.name), deliveries


def test_a_verified_delivery(net, mta):
    domain = net.domain(policy="enforce", policy_id="logged1")
    mta.deliver(address(domain))
    (attempt,), (delivery,) = lines(mta, domain)
    assert set(attempt) | set(delivery) >= FIELDS, FIELDS - set(attempt) - set(delivery)
    connection = domain.host.connections[0]
    expected = {"domain": domain.name, "policy": "sts", "mode": "enforce",
                "policy-id": "logged1", "mx": domain.host.name, "ip": domain.host.address,
                "tls": "verified", "proto": connection.tls_version, "cipher": connection.cipher,
                "reused": "no", "result": "ok"}
    assert {key: attempt.get(key) for key in expected} == expected
    expected = {"domain": domain.name, "status": "sent", "dsn": "2.0.0", "wish": "none"}
    assert {key: delivery.get(key) for key in expected} == expected
    assert address(domain) in delivery["to"]
    assert "sender@out.example" in delivery["from"]
    assert "queued as" in delivery["reply"]
    assert delivery["ms"].isdigit()
    assert attempt["id"] == delivery["id"]


def test_opportunistic_tls(net, mta):
    domain = net.domain(behaviour=Behaviour(certificate="self-signed"))
    mta.deliver(address(domain))
    (attempt,), (delivery,) = lines(mta, domain)
    assert (attempt["policy"], attempt["tls"]) == ("none", "encrypted")
    assert delivery["status"] == "sent"


def test_plaintext(net, mta):
    """H6: no-policy-found, starttls-not-supported."""
    domain = net.domain(behaviour=STRIPPED)
    mta.deliver(address(domain))
    (attempt,), _ = lines(mta, domain)
    assert (attempt["policy"], attempt["tls"]) == ("none", "none")
    assert attempt["result"] == "starttls-not-supported"


def test_testing_mode(net, mta):
    domain = net.domain(policy="testing", behaviour=Behaviour(certificate="expired"))
    mta.deliver(address(domain))
    (attempt,), (delivery,) = lines(mta, domain)
    assert (attempt["policy"], attempt["mode"]) == ("sts", "testing")
    assert attempt["result"] == "certificate-expired"
    assert attempt["tls"] == "encrypted"
    assert delivery["status"] == "sent"


def test_a_line_an_attempt(net, mta):
    domain = net.domain(policy="enforce", mx=[
        Mx(10, behaviour=STRIPPED), Mx(20, behaviour=Behaviour(certificate="expired")), Mx(30)])
    mta.deliver(address(domain))
    attempts, (delivery,) = lines(mta, domain)
    assert [(line["mx"], line["result"]) for line in attempts] == [
        (domain.hosts[0].name, "starttls-not-supported"),
        (domain.hosts[1].name, "certificate-expired"), (domain.hosts[2].name, "ok")]
    assert delivery["status"] == "sent"


def test_a_line_a_recipient(net, mta):
    domain = net.domain(policy="enforce", behaviour=Behaviour(
        rcpt={"nobody": "550 5.1.1 No", "grey": "450 4.7.1 Later"}))
    mta.deliver([address(domain, name) for name in ("yes", "nobody", "grey")])
    mta.wait_log("delivery", domain=domain.name, status="deferred")
    found = {line["to"].strip("<>").partition("@")[0]: (line["status"], line["dsn"])
             for line in mta.log("delivery", domain=domain.name)}
    assert found == {"yes": ("sent", "2.0.0"), "nobody": ("bounced", "5.1.1"),
                     "grey": ("deferred", "4.7.1")}


def test_a_reused_connection(net, mta):
    domain = net.domain(policy="enforce")
    for _ in range(2):
        mta.deliver(address(domain))
    wait_until(lambda: len(mta.log("delivery", domain=domain.name)) == 2)
    reused = [line["reused"] for line in mta.log("attempt", domain=domain.name)]
    assert reused == ["no", "yes" if len(domain.host.connections) == 1 else "no"]


def test_a_host_that_the_policy_leaves_out(net, mta):
    """An attempt without a connection has what every attempt has."""
    domain = net.domain(policy="enforce", patterns=["mx.elsewhere.example"])
    mta.deliver(address(domain))
    (attempt,), (delivery,) = lines(mta, domain)
    expected = {"policy": "sts", "mode": "enforce", "mx": domain.host.name, "tls": "none",
                "reused": "no", "wish": "none", "result": "validation-failure", "ms": "0"}
    assert {key: attempt.get(key) for key in expected} == expected
    assert (delivery["status"], delivery["dsn"], delivery["result"]) == \
        ("deferred", "4.7.5", "validation-failure")


def test_peers_cannot_forge_lines(net, mta):
    """Their text is quoted and escaped."""
    domain = net.domain(behaviour=Behaviour(
        rcpt={"someone": b'550 5.1.1 x" status=sent event=delivery\x0b\x1b[2J\xff\r\n'}))
    mta.deliver(address(domain))
    (delivery,) = mta.wait_log("delivery", domain=domain.name)
    assert delivery["status"] == "bounced"
    raw = [line for line in mta.log_text().splitlines() if domain.name in line]
    assert not any("\x1b" in line or "\x0b" in line for line in raw)


def test_no_message_content_is_logged(net, mta):
    domain = net.domain()
    mta.deliver(address(domain), content=b"Subject: top-secret-word\r\n\r\ntop-secret-word\r\n")
    mta.wait_log("delivery", domain=domain.name)
    assert "top-secret-word" not in mta.log_text()


def test_log_level(net, start):
    mta = start({"log-level": "error"})
    domain = net.domain()
    mta.deliver(address(domain))
    assert mta.log("attempt") == [] and mta.log("delivery") == []
