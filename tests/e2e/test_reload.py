# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""SIGHUP: what changes at once, what stays, and that no message is lost over it."""

import json
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from checks import address, assert_arrived, assert_nothing_leaked, assert_reply, wait_until
from stslab import lmtp, programs, socketmap
from stslab.mx import Behaviour, Slow


def refused(path):
    """Is this Unix socket without a listener?"""
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            return True
    return False


def test_a_session_goes_on_and_the_next_one_sees_the_change(net, start):
    """The open session keeps what it began with, its message goes; the next one is refused."""
    mta = start()
    open_one, domain = net.domain(), net.domain()
    with mta.client() as client:
        client.hello()
        client.envelope("a@b.example", [address(open_one)])
        client.command("DATA")
        mta.reload({("destination", domain.name): {"tls": "verify", "match": ["no.example"]},
                    ("destination", open_one.name): {"tls": "verify", "match": ["no.example"]}})
        client.send(lmtp.stuffed(lmtp.MESSAGE))
        assert client.reply().short == "250 2.0.0"
    assert_arrived(open_one)
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5")
    assert_nothing_leaked(domain)
    mta.reload({("destination", domain.name): {"tls": "may"}})
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"


@pytest.mark.parametrize("keep_idle", ["60s", "0s"], ids=["kept", "resumed"])
def test_a_root_that_is_no_longer_trusted(net, keep_idle):
    """Neither a kept connection nor a resumed session carries the old trust on."""
    mta = net.daemons.make({"smtp": {"keep-idle": keep_idle}})
    roots = mta.directory / "roots.pem"
    shutil.copy(net.authorities.ca_file, roots)
    mta.reconfigure({"tls": {"ca-file": str(roots)}})
    mta.start()
    domain = net.domain(policy="enforce")
    for _ in range(3):
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert len(domain.host.connections) == (1 if keep_idle == "60s" else 3)
    mta.reload()
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"  # the same roots once more
    if keep_idle == "60s":
        assert len(domain.host.connections) == 2
    shutil.copy(net.authorities.rogue.path, roots)
    mta.reload()
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5")
    assert_arrived(domain, times=4)
    shutil.copy(net.authorities.ca_file, roots)
    mta.reload()
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    net.daemons.discard(mta)


def test_the_new_roots_are_for_policy_hosts_too(net):
    mta = net.daemons.make()
    roots = mta.directory / "roots.pem"
    shutil.copy(net.authorities.ca_file, roots)
    mta.reconfigure({"tls": {"ca-file": str(roots)}})
    mta.start()
    domain = net.domain(policy="enforce")
    shutil.copy(net.authorities.rogue.path, roots)
    mta.reload()
    assert mta.ask("cache", "refresh", domain.name).returncode == 1
    shutil.copy(net.authorities.ca_file, roots)
    mta.reload()
    again = mta.ask("cache", "refresh", domain.name)
    assert again.returncode == 0, again.stdout + mta.log_text()
    net.daemons.discard(mta)


@pytest.mark.parametrize("break_it", [
    lambda mta: mta.config.write_text("hostname = \n"),
    lambda mta: mta.config.write_text(mta.config.read_text() + "no-such-key = 1\n"),
    lambda mta: mta.config.unlink(),
    lambda mta: pathlib.Path(mta.settings["tls"]["ca-file"]).write_text("no certificate\n"),
    lambda mta: pathlib.Path(mta.settings["dns"]["trust-anchor"][0]).unlink(),
], ids=["syntax", "unknown key", "away", "roots", "trust anchor"])
def test_a_broken_file_changes_nothing(net, break_it):
    mta = net.daemons.make()
    roots, anchor = mta.directory / "roots.pem", mta.directory / "root.key"
    shutil.copy(net.authorities.ca_file, roots)
    shutil.copy(mta.settings["dns"]["trust-anchor"][0], anchor)
    domain = net.domain(policy="enforce")
    mta.reconfigure({"tls": {"ca-file": str(roots)}, "dns": {"trust-anchor": [str(anchor)]},
                     ("destination", "refused.example"): {"tls": "dane"}})
    mta.start()
    break_it(mta)
    said = mta.reload()
    assert any(msg.startswith("the configuration stays as it was: ") for msg in said)
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain, tls=True)
    net.daemons.discard(mta)


def test_keys_that_need_a_restart_are_named(start):
    mta = start()
    said = mta.reload({"state-directory": "/tmp", "lmtp": {"socket-mode": "0600"},
                       "log-level": "debug"})
    assert any("restart stsgated to change state-directory, lmtp.socket-mode" in msg
               for msg in said)


def test_own_reports_are_known_after_the_hostname_has_changed(net, start):
    """They leave under the new name, and their own deliveries are not counted."""
    receiver, other, taker = net.domain(), net.domain(), net.mx_host("taker.stslab.example")
    for domain in (receiver, other):
        net.zones.add("_smtp._tls." + domain.name, "TXT",
                      f'"v=TLSRPTv1;rua=mailto:tls@{receiver.name}"', ttl=1)
    mta = start({"hostname": "before.stslab.example",
                 "smtp": {"tls-required-no": "ignore", "keep-idle": "0s"},
                 "tlsrpt": {"organization": "Stslab", "contact": "tls@stslab.example",
                            "submit": f"smtp://{taker.address}:25"}})
    assert mta.deliver(address(other)).only.short == "250 2.0.0"
    for name in ("between.stslab.example", "after.stslab.example"):
        mta.reload({"hostname": name})
    sent = mta.ask("report", "send", "--date", time.strftime("%Y-%m-%d", time.gmtime()), "--force",
                   "--domain", other.name)
    assert sent.returncode == 0, sent.stderr
    report, = taker.messages
    assert report.sender == "tls-reports@after.stslab.example"
    assert [connection.said("EHLO") for connection in taker.connections] == [
        ["EHLO after.stslab.example"]]
    assert mta.deliver(address(receiver), sender=report.sender).only.short == "250 2.0.0"
    assert mta.deliver(address(receiver), sender="tls-reports@before.stslab.example"
                       ).only.short == "250 2.0.0"

    def counted():
        shown = mta.ask("report", "show", "--domain", receiver.name, "--json")
        return [policy["summary"]["total-successful-session-count"]
                for each in json.loads(shown.stdout or "[]") for policy in each["policies"]]

    wait_until(lambda: counted() == [1], 10, "the other sender's session alone is counted")


def test_replies_are_cut_by_the_length_in_force(net, start):
    """A session keeps the length that it began with."""
    mta = start()
    domain = net.domain(behaviour=Behaviour(dot="550 5.7.1 " + "no " * 120))

    def length(client):
        reply, = client.transaction("a@b.example", [address(domain)], lmtp.MESSAGE).final
        return len(reply.raw.rstrip(b"\r\n"))

    with mta.client() as before:
        before.hello()
        whole = length(before)
        mta.reload({"lmtp": {"reply-length": 200}})
        assert length(before) == whole > 200
    with mta.client() as after:
        after.hello()
        assert length(after) <= 200


def test_listeners_come_and_go(start):
    mta = start()
    lmtp_old = mta.settings["lmtp"]["listen"][0]
    run = pathlib.Path(lmtp_old.removeprefix("unix:")).parent
    lmtp_new, control_new = f"unix:{run}/second.sock", f"unix:{run}/control2.sock"
    with mta.client() as client:
        client.hello()
        mta.reload({"lmtp": {"listen": [lmtp_old, lmtp_new]}, "control": {"listen": [control_new]}})
        assert client.command("NOOP").code == 250
        mta.reload({"lmtp": {"listen": [lmtp_new]}})
        assert client.command("NOOP").code == 250
    assert refused(run / "lmtp.sock") and not (run / "lmtp.sock").exists()
    with lmtp.Client(lmtp_new, 10) as client:
        assert client.greeting.code == 220
    assert mta.ask("stats").returncode == 0
    assert not (run / "control.sock").exists()


def test_listeners_that_go_leave_no_error_behind(start):
    """Of each section, Unix and TCP; the reload itself is all that is logged."""
    mta = start()
    run = pathlib.Path(mta.settings["lmtp"]["listen"][0].removeprefix("unix:")).parent
    sections = ("lmtp", "policy-map", "control")
    first = {name: mta.settings[name]["listen"] for name in sections}
    more = {name: {"listen": [*first[name], f"unix:{run}/{name}.more",
                              f"inet:127.0.0.1:{2600 + number}"]}
            for number, name in enumerate(sections)}
    mta.reload(more)
    for number in range(len(sections)):
        with socket.create_connection(("127.0.0.1", 2600 + number), 10):
            pass
    mta.reload({name: {"listen": first[name]} for name in sections})
    for number, name in enumerate(sections):
        wait_until(lambda name=name: refused(run / f"{name}.more"), 10, "the Unix socket is gone")
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", 2600 + number), 10)
    assert mta.deliver("someone@[IPv6:::1]").only.code >= 400
    assert mta.stop() == 0      # after which each thread of a listener has ended
    assert mta.log(level="error") == mta.log(level="warning") == [], mta.log_text()


def test_a_listener_that_cannot_be_opened(start):
    mta = start()
    lmtp_old = mta.settings["lmtp"]["listen"][0]
    said = mta.reload({"lmtp": {"listen": ["unix:/proc/no.sock"]}})
    assert any("unix:/proc/no.sock" in msg and "stays" in msg for msg in said)
    with lmtp.Client(lmtp_old, 10) as client:
        assert client.greeting.code == 220


def test_a_hundred_times_under_load(net, start):
    """Nothing is lost, nothing is reported twice, and memory does not grow."""
    mta = start()
    domains = [net.domain(policy="enforce"), net.domain(), net.domain(policy="testing")]
    stop, sent, wrong = threading.Event(), [], []

    def deliver(domain, number):
        count = 0
        while not stop.is_set():
            recipient = address(domain, f"u{number}-{count}")
            reply = mta.deliver(recipient).only
            (sent if reply.short == "250 2.0.0" else wrong).append(recipient + " " + str(reply))
            count += 1

    threads = [threading.Thread(target=deliver, args=(domain, number))
               for number in range(2) for domain in domains]
    for thread in threads:
        thread.start()
    for count in range(100):
        mta.reconfigure({("destination", "*.other.example"): {"tls": "may",
                                                              "max-connections": count}})
        mta.process.send_signal(signal.SIGHUP)
        time.sleep(0.02)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    arrived = [recipient for domain in domains for message in domain.messages()
               for recipient in message.recipients]
    assert len(sent) > 20
    assert sorted(arrived) == sorted(line.split(" ")[0] for line in sent)
    mta.reload()
    assert mta.stop() == 0


def test_the_policy_map_keeps_no_answer_of_the_configuration_before(net, start):
    mta = start()
    domain = net.domain(policy="enforce")
    with socketmap.Client(mta.settings["policy-map"]["listen"][0]) as client:
        for _ in range(3):
            assert client.ask("postfix", domain.name).startswith("OK secure ")
        mta.reload({"sts": {"enforce": "off"}})
        assert client.ask("postfix", domain.name) == "NOTFOUND "
        mta.reload({"sts": {"enforce": "on"}})
        assert client.ask("postfix", domain.name).startswith("OK secure ")


def test_the_policy_map_speaks_of_messages_by_the_configuration_in_force(net, start):
    """Those with a wish of their own as well: a plan is made for them from what is known."""
    mta, domain = start(), net.domain(policy="enforce")

    def verdicts():
        with socketmap.Client(mta.settings["policy-map"]["listen"][0]) as client:
            answers = [client.ask("json", domain.name + wish) for wish in ("", " requiretls")]
        return [json.loads(answer.removeprefix("OK "))["verdict"] for answer in answers]

    assert verdicts() == ["use", "use"]
    mta.reload({"smtp": {"own-names": [domain.host.name]}})
    assert "use" not in verdicts()
    mta.reload({"smtp": {"own-names": []}})
    assert verdicts() == ["use", "use"]


def test_a_look_up_of_the_configuration_before_is_not_shared(net, start):
    """It did not ask for a policy, and whether there is one must not follow from it."""
    domain = net.domain(policy="enforce")
    mta = start({("destination", domain.name): {"tls": "may"}, "dns": {"timeout": "60s"}})
    endpoint = mta.settings["policy-map"]["listen"][0]
    net.dns.fault(domain.name, "MX", "silence")
    answers = [""]
    with socketmap.Client(endpoint) as before, socketmap.Client(endpoint) as after:
        before.send(socketmap.netstring(f"postfix {domain.name}"))
        wait_until(lambda: net.dns.queries(domain.name, "MX"), 10)
        mta.reload({("destination", domain.name): {"tls": "policy"}})
        net.dns.heal(domain.name)
        while not answers[-1].startswith("OK secure ") and len(answers) < 20:
            answers.append(after.ask("postfix", domain.name))
    assert answers[-1].startswith("OK secure "), answers
    assert all(answer.startswith("TEMP ") for answer in answers[1:-1])


def test_open_connections_do_not_hold_up_the_end(net, start):
    """A kept connection to an MX, idle LMTP, policy map and control connections: all ended at once."""
    mta = start({"smtp": {"keep-idle": "60s"}})
    domain = net.domain(policy="enforce")
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    idle = [socketmap.connected(mta.settings[section]["listen"][0])
            for section in ("lmtp", "policy-map", "control") for _ in range(3)]
    with mta.client() as client, \
            socketmap.Client(mta.settings["policy-map"]["listen"][0]) as asked:
        assert client.greeting.code == 220
        assert asked.ask("postfix", domain.name).startswith("OK secure ")
        before = time.monotonic()
        assert mta.stop() == 0
        assert time.monotonic() - before < 5, "about a second, on a busy machine some more"
    for sock in idle:
        sock.close()
    wait_until(lambda: domain.host.connections[0].ended == "quit", 30, "QUIT to the MX")
