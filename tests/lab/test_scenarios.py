# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Every scenario of the lab, as the tour shows it: (a) the MTA alone is robbed, (b) stsgate is not.

A scenario whose first half stops being a theft fails here: it would show
nothing.
"""

import pytest
from stslab import middle, scenarios
from stslab.world import FORGED, HARMLESS, HELD, STOLEN, UNPROVEN, VERIFIED, Run, World

ALL = scenarios.every()
MAIL = ("MAIL", "RCPT", "DATA")


def told(run):
    """What a sender said in all connections, with its TLS flag."""
    return [entry for exchange in run.exchanges for entry in exchange.entries
            if entry.who == middle.SENDER]


@pytest.mark.parametrize("name", ALL)
def test_scenario(play, name):
    scenario = ALL[name]
    pairs, report, faults = play(name)
    assert not faults
    assert len(pairs) == len(scenario.senders)
    for alone, guarded in pairs:
        assert_alone(scenario, alone)
        assert_guarded(scenario, guarded)
    assert scenario.name + "." + scenario.zone in str(report)


def assert_alone(scenario, run):
    """Stolen, forged, or sent to whoever answered."""
    assert not run.waiting and run.arrived, "nobody notices: the message arrives all the same"
    if scenario.alone == STOLEN:
        assert run.secret in run.stolen
        content = b"".join(bytes(exchange.content) for exchange in run.exchanges)
        assert run.secret.encode() in content
        spoken = [entry for entry in told(run) if entry.text[:4].upper() in MAIL]
        assert spoken and {entry.tls for entry in spoken} == {run.stolen_over_tls}
    elif scenario.alone == FORGED:
        assert "Pay 90000" in run.forged and run.secret in run.forged
    else:
        assert scenario.alone == UNPROVEN
        assert not run.stolen and any(exchange.opaque for exchange in run.exchanges)


def assert_guarded(scenario, run):
    """Held with nothing told, or delivered as it should be."""
    assert not run.stolen and not run.forged
    assert not any(exchange.content for exchange in run.exchanges)
    if scenario.guarded == HELD:
        assert run.waiting and not run.arrived
        assert not [entry for entry in told(run) if entry.text[:4].upper() in MAIL]
        assert run.reply.startswith("451 4.7."), run.reply
        assert run.delivery["status"] == "deferred"
        assert any(run.reply[:40] in line or "Deferred" in line for line in run.log), run.log
    else:
        assert run.arrived == "tls" and not run.waiting
        assert scenario.guarded in (VERIFIED, HARMLESS, UNPROVEN)
        assert (run.delivery["tls"] == "verified") == (scenario.guarded != UNPROVEN)


def test_the_issue_lists_them_all():
    wanted = {"strip-starttls", "refuse-starttls", "break-handshake", "forge-mx", "self-signed",
              "expired", "wrong-name", "rogue-ca", "block-policy", "hide-txt", "forge-txt",
              "inject-plaintext", "tlsa-mismatch", "poison-answer", "smuggle",
              "expired-in-testing", "mx-not-listed", "policy-none"}
    assert wanted <= set(ALL)
    assert {scenario.alone for scenario in ALL.values() if scenario.kind == "attack"} == {
        STOLEN, FORGED}
    assert not {STOLEN, FORGED} & {scenario.guarded for scenario in ALL.values()}


def test_a_demonstration_that_shows_nothing_is_told():
    """A scenario that does nothing is not taken for a theft that was prevented."""
    tame = ALL["strip-starttls"]
    safe = Run("Exim", False, "a@b.example", "4711", verdict=UNPROVEN)
    held = Run("Exim", True, "a@b.example", "4711", verdict=HELD)
    performance = scenarios.Performance(tame, [(safe, held)], {"policies": []})
    faults = list(performance.unexpected())
    assert any("without stsgate: unproven, not stolen" in fault for fault in faults), faults
    assert any("starttls-not-supported is not in the report" in fault for fault in faults)


def test_it_does_not_start_where_packets_could_leave(monkeypatch):
    from stslab import namespace

    def outside():
        raise namespace.NotPrivate("a way out")
    monkeypatch.setattr(namespace, "require_private", outside)
    with pytest.raises(namespace.NotPrivate):
        World()
