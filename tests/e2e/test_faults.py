# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""A store that cannot be read, disks that are full, and an end while mail is under way."""

import contextlib
import json
import pathlib
import signal
import subprocess
import time

import pytest
from checks import address, assert_arrived, assert_nothing_leaked, assert_reply, wait_until
from stslab import lmtp, programs
from stslab.mx import Behaviour, Silence, Slow

STRIPPED = Behaviour(offer_starttls=False, starttls=None)
FRESH = {"smtp": {"keep-idle": "0s"}}
NOTE = b"note: " + b"n" * 30_000 + b"\r\n"


def learned(net, mta):
    """A domain in an unsigned zone whose enforce policy is in the store."""
    domain = net.domain(policy="enforce", zone="plain")
    domain.site.body += NOTE.replace(b"n" * 20, domain.name.encode().ljust(20, b"-"))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    return domain


def damage(mta, domain):
    """A few octets of this one policy change on the disk."""
    path = pathlib.Path(mta.settings["state-directory"]) / "bdb" / "policies.db"
    mark = domain.name.encode().ljust(20, b"-")
    found, at = 0, -1
    with open(path, "r+b") as file:
        octets = file.read()
        while (at := octets.find(mark, at + 1)) >= 0:
            file.seek(at + len(domain.name))
            file.write(b"?")
            found += 1
    assert found > 100, "the policy is not in the file"


def deny(net, domain, fault):
    net.dns.fault("_mta-sts." + domain.name, "TXT", fault)
    net.dns.fault(domain.sts_host, "*", fault)
    domain.host.behaviour = STRIPPED


def in_plaintext(domain):
    return [line.text for line in domain.host.lines if line.verb == "MAIL" and not line.tls]


@pytest.mark.parametrize("how", ["running", "killed"])
def test_a_policy_that_cannot_be_read(net, start, how):
    """4.3.0, not a delivery as if there were none; then a restart salvages the others."""
    mta = start(FRESH)
    damaged, sound = learned(net, mta), learned(net, mta)
    mta.restart()
    if how == "killed":
        mta.kill()
    damage(mta, damaged)
    if how == "killed":
        mta.start()
    deny(net, damaged, "nxdomain")
    for _ in range(2):
        assert_reply(mta.deliver(address(damaged)).only, "451 4.3.0", damaged.name)
    assert mta.deliver(address(sound)).only.short == "250 2.0.0"
    assert in_plaintext(damaged) == []
    (line,) = mta.log("store", level="error", key=damaged.name)
    assert "restart stsgated" in line["do"], line

    deny(net, damaged, "servfail")
    mta.restart()
    state = pathlib.Path(mta.settings["state-directory"])
    assert list(state.glob("bdb.damaged.*")), "set aside"
    assert mta.deliver(address(damaged)).only.short == "451 4.4.3", "until its TXT was asked"
    deny(net, sound, "nxdomain")
    assert mta.deliver(address(sound)).only.short == "451 4.7.4", "salvaged"
    assert in_plaintext(damaged) == in_plaintext(sound) == []
    net.dns.heal()
    damaged.host.behaviour = Behaviour()
    wait_until(lambda: mta.deliver(address(damaged)).only.code == 250, 30, "the policy anew")
    assert all(message.tls for message in damaged.messages())


def test_the_same_attack_on_a_domain_never_seen(net, start):
    """That the story above can fail: without a policy the forged denial is believed."""
    mta = start(FRESH)
    domain = net.domain(policy="enforce", zone="plain")
    deny(net, domain, "nxdomain")
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert len(in_plaintext(domain)) == 1


@contextlib.contextmanager
def small_disk(path, size):
    """A disk of its own at `path`; gives a function that fills it to the last octet."""
    def fill():
        with open(f"{path}/filler", "ab", buffering=0) as filler:
            for piece in (65536, 4096, 1):
                with contextlib.suppress(OSError):
                    while filler.write(b"x" * piece):
                        pass

    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "stslab", path],
                   check=True, timeout=30)
    try:
        yield fill
    finally:
        subprocess.run(["umount", "-l", path], check=False, timeout=30)


def test_no_room_for_a_store_at_all(net):
    """The first start of all, on a full disk: it says why, and takes no mail."""
    mta = net.daemons.make()
    state = mta.settings["state-directory"]
    with small_disk(state, "64k") as fill:
        fill()
        done = programs.run("stsgated", "-c", str(mta.config), seconds=30)
        assert done.returncode not in (0, 78), done
        assert state in done.stderr and "No space left" in done.stderr, done.stderr
        assert done.returncode > 0, "no crash"
    net.daemons.discard(mta)


def test_started_on_a_full_disk_it_remembers(net):
    """A store from better days: policies are still in force, new ones are used from memory."""
    mta = net.daemons.make(FRESH)
    with small_disk(mta.settings["state-directory"], "64m") as fill:
        mta.start()
        domain = learned(net, mta)
        assert mta.stop() == 0
        fill()
        mta.start()
        deny(net, domain, "nxdomain")
        assert mta.deliver(address(domain)).only.short == "451 4.7.4"
        fresh = learned(net, mta)
        deny(net, fresh, "nxdomain")
        assert mta.deliver(address(fresh)).only.short == "451 4.7.4"
        assert in_plaintext(domain) == in_plaintext(fresh) == []
        assert mta.stop() == 0
        net.daemons.discard(mta)


def test_killed_on_a_full_disk_it_waits_for_room(net):
    """A file that is not yet in its place cannot be put there: stsgated says so, and loses nothing."""
    mta = net.daemons.make(FRESH)
    state = pathlib.Path(mta.settings["state-directory"])
    with small_disk(state, "64m") as fill:
        mta.start()
        domain = learned(net, mta)
        deny(net, domain, "nxdomain")
        fill()
        mta.kill()
        done = programs.run("stsgated", "-c", str(mta.config), seconds=30)
        assert done.returncode == 69 and "No space left" in done.stderr, done
        assert not list(state.glob("bdb.damaged.*")), "a full disk is no damage"
        (state / "filler").unlink()
        mta.start()
        assert mta.deliver(address(domain)).only.short == "451 4.7.4"
        assert in_plaintext(domain) == []
        assert mta.stop() == 0
        net.daemons.discard(mta)


def test_an_import_on_a_full_disk_says_what_became_of_each_policy(net):
    """Kept in memory and not written: in force at once, and written when there is room."""
    mta = net.daemons.make(FRESH | {"sts": {"retry-interval": "2s"}})
    domain = net.domain(policy="enforce", zone="plain")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    padding = "".join(f"note{n}: {'x' * 200}\n" for n in range(250))
    names = [f"d{n:03}.example" for n in range(300)] + [domain.name]
    lines = [json.dumps({"domain": name, "id": "1", "fetched": now, "policy": "version: STSv1\n"
                         f"mode: enforce\nmx: mx.example\nmax_age: 86400\n{padding}"})
             for name in names]
    state = pathlib.Path(mta.settings["state-directory"])
    with small_disk(state, "64m") as fill:
        mta.start()
        fill()
        done = programs.run("stsgate", "-c", str(mta.config), "cache", "import", "--json",
                            stdin="\n".join(lines).encode(), seconds=60)
        answer = json.loads(done.stdout)
        assert done.returncode == 1, "not all is well"
        assert answer["rejected"] == 0, "what is in force was not rejected"
        assert answer["imported"] + answer["unwritten"] == len(lines)
        reasons = {reason["line"]: reason for reason in answer["reasons"] if reason["line"]}
        assert len(reasons) == answer["unwritten"] > 0
        assert reasons[len(lines)]["domain"] == domain.name
        assert all("kept in memory, not written" in reason["reason"] for reason in reasons.values())
        (alarm,) = mta.wait_log("alarm", alarm="store", ended="no")
        assert alarm["domain"] == "" and "No space left" in alarm["msg"], alarm
        deny(net, domain, "nxdomain")
        assert mta.deliver(address(domain)).only.short == "451 4.7.5", "in force, from memory"

        (state / "filler").unlink()
        assert mta.wait_log("alarm", seconds=30, alarm="store", ended="yes"), mta.log_text()
        assert len(mta.log("alarm", alarm="store")) == 2, "once when it begins and once when it ends"
        done = programs.run("stsgate", "-c", str(mta.config), "cache", "import",
                            stdin=lines[-1].encode())
        assert done.returncode == 0 and "1 imported, 0 rejected" in done.stdout, done
        mta.kill()
        mta.start()
        assert mta.deliver(address(domain)).only.short == "451 4.7.5", "and from the disk"
        assert in_plaintext(domain) == []
        assert mta.stop() == 0
        net.daemons.discard(mta)


def test_a_full_spool_at_start(net):
    """Small mail needs no disk; what does gets 452 and goes when there is room again."""
    mta = net.daemons.make({"spool-memory": "1M"})
    spool = mta.settings["spool-directory"]
    content = b"Subject: big\r\n\r\n" + b"0123456789\r\n" * 300_000
    domain = net.domain(policy="enforce")
    with small_disk(spool, "16m") as fill:
        fill()
        mta.start()
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"
        assert_reply(mta.deliver(address(domain), content=content).only, "452 4.3.1")
        assert_arrived(domain, times=1)
        pathlib.Path(spool, "filler").unlink()
        assert mta.deliver(address(domain), content=content).only.short == "250 2.0.0"
        assert domain.messages()[-1].content == content
        assert mta.stop() == 0
        net.daemons.discard(mta)


def under_way(mta, domain):
    """A session whose message is on its way to the domain."""
    client = mta.client(seconds=60)
    client.hello()
    client.envelope("a@b.example", [address(domain)])
    client.command("DATA")
    client.send(lmtp.stuffed(lmtp.MESSAGE))
    wait_until(lambda: domain.host.connections, 30, "the visit")
    return client


@pytest.mark.timeout(150)
def test_sigterm_ends_everything_in_order(net):
    """Done is 250, stuck is 451 and was not delivered, idle is 421, kept connections say QUIT."""
    mta = net.daemons.start({"smtp": {"command-timeout": "5m", "keep-idle": "5m"}})
    kept, slow = net.domain(policy="enforce"), net.domain(
        policy="enforce", behaviour=Behaviour(dot=Slow(2, "250 2.0.0 Ok")))
    stuck = net.domain(policy="enforce", behaviour=Behaviour(mail=Silence()))
    assert mta.deliver(address(kept)).only.short == "250 2.0.0"
    idle = mta.client()
    idle.hello()
    finishing, hanging = under_way(mta, slow), under_way(mta, stuck)
    wait_until(lambda: slow.host.connections[0].content_octets and
               any(line.verb == "MAIL" for line in stuck.host.lines), 30, "both at work")
    assert kept.host.connections[0].ended == ""

    mta.process.send_signal(signal.SIGTERM)
    assert idle.reply().short == "421 4.3.2"
    with pytest.raises((OSError, lmtp.Hangup)):
        mta.client(seconds=5)
    assert finishing.reply().short == "250 2.0.0"
    assert_arrived(slow, tls=True)
    assert hanging.reply().code == 451
    assert stuck.messages() == [] and stuck.host.leaked()[1] == 0
    wait_until(lambda: kept.host.connections[0].ended == "quit", 30, "QUIT")
    assert mta.process.wait(60) == 0
    net.daemons.discard(mta)
    for client in (idle, finishing, hanging):
        client.close()
