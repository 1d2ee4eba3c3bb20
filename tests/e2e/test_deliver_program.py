# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""stsgate-deliver: arguments, --lmtp, every exit status."""

import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from checks import address, assert_arrived
from stslab import programs
from stslab.mx import Behaviour, Slow

OK, USAGE, NO_USER, NO_HOST, TEMPFAIL, NO_PERM = 0, 64, 67, 68, 75, 77
MESSAGE = b"Subject: piped\n\n.dot\nGood day.\n"


def deliver(mta, *words, sender="sender@out.example", stdin=MESSAGE):
    return programs.run("stsgate-deliver", "-s", mta.lmtp, "-f", sender, *words, stdin=stdin)


def test_delivered(net, mta):
    domain = net.domain(policy="enforce")
    done = deliver(mta, address(domain))
    assert done.returncode == OK, done.stderr
    assert "250 2.0.0" in done.stdout and domain.host.name in done.stdout
    (message,) = domain.messages()
    assert message.content == MESSAGE.replace(b"\n", b"\r\n")
    assert message.sender == "sender@out.example"


@pytest.mark.parametrize("stdin,content", [
    (b"Subject: x\r\n\r\nbody\r\n", b"Subject: x\r\n\r\nbody\r\n"),
    (b"Subject: x\n\nbody", b"Subject: x\r\n\r\nbody\r\n"),
    (b"Subject: x\n\n.\n..\n", b"Subject: x\r\n\r\n.\r\n..\r\n"),
    (b"Subject: x\n\n" + b"y" * 300_000 + b"\n", b"Subject: x\r\n\r\n" + b"y" * 300_000 + b"\r\n"),
], ids=["CRLF", "no end of line", "dots", "long line"])
def test_line_ends_and_dots(net, mta, stdin, content):
    domain = net.domain()
    assert deliver(mta, address(domain), stdin=stdin).returncode == OK
    assert domain.messages()[0].content == content


@pytest.mark.parametrize("sender", ["", "<>"])
def test_null_sender(net, mta, sender):
    domain = net.domain()
    assert deliver(mta, address(domain), sender=sender).returncode == OK
    assert domain.messages()[0].sender == ""


@pytest.mark.parametrize("answer,status", [
    ("450 4.2.1 Later", TEMPFAIL), ("421 4.3.2 Closing", TEMPFAIL), ("550 5.1.1 Nobody", NO_USER),
    ("550 5.1.3 Bad address", NO_USER), ("550 5.7.1 No", NO_PERM), ("552 5.2.2 Full", NO_PERM),
    ("554 No code", NO_PERM)])
def test_exit_status_of_remote_answers(net, mta, answer, status):
    domain = net.domain(behaviour=Behaviour(rcpt={"someone": answer}))
    done = deliver(mta, address(domain))
    assert done.returncode == status, done.stdout
    assert " ".join(answer.split(" ")[2:]) in done.stdout


def test_exit_status_of_a_domain_that_does_not_exist(net, mta):
    done = deliver(mta, "someone@" + net.fresh_name())
    assert done.returncode == NO_HOST and "5.1.2" in done.stdout


def test_exit_status_of_a_policy_refusal(net, mta):
    domain = net.domain(policy="enforce", behaviour=Behaviour(certificate="expired"))
    done = deliver(mta, address(domain))
    assert done.returncode == TEMPFAIL and "451 4.7.5" in done.stdout


def test_exit_status_when_stsgated_is_away():
    done = programs.run("stsgate-deliver", "-s", "unix:/nonexistent/lmtp.sock", "-f", "a@b.example",
                        "c@d.example", stdin=MESSAGE)
    assert done.returncode == TEMPFAIL


@pytest.mark.parametrize("words", [
    [], ["a@b.example"], ["-f", "a@b.example"], ["-f", "a@b.example", "c@d.example", "e@f.example"],
    ["-x", "-f", "a@b.example", "c@d.example"], ["-f"],
    ["-s", "nonsense:x", "-f", "a@b.example", "c@d.example"],
    ["--lmtp", "c@d.example"]])
def test_usage(words):
    done = programs.run("stsgate-deliver", *words, stdin=MESSAGE)
    assert done.returncode == USAGE and done.stderr


def test_all_or_none(net, mta):
    """One failure fails them all; where they differ 77, but any 4xx is 75."""
    domain = net.domain(behaviour=Behaviour(rcpt={
        "nobody": "550 5.1.1 Nobody", "no": "550 5.7.1 No", "grey": "450 4.7.1 Later"}))

    def status(*locals_):
        return deliver(mta, "--all-or-none", *(address(domain, local) for local in locals_)
                       ).returncode
    assert status("one", "two") == OK
    assert status("one", "grey") == TEMPFAIL
    assert status("nobody", "grey") == TEMPFAIL
    assert status("nobody", "nobody") == NO_USER
    assert status("nobody", "no") == NO_PERM
    assert status("one", "nobody") != OK


def test_recipients_after_two_hyphens(net, mta):
    domain = net.domain()
    assert deliver(mta, "--", f"-odd@{domain.name}").returncode == OK
    assert domain.messages()[0].recipients == [f"-odd@{domain.name}"]


@pytest.mark.parametrize("form", ["path", "unix", "inet"])
def test_sockets(net, start, form):
    mta = start({"lmtp": {"listen": ["inet:127.0.0.1:2424"]}}) if form == "inet" else start()
    where = {"path": mta.lmtp.removeprefix("unix:"), "unix": mta.lmtp, "inet": mta.lmtp}[form]
    domain = net.domain()
    done = programs.run("stsgate-deliver", "-s", where, "-f", "a@b.example", address(domain),
                        stdin=MESSAGE)
    assert done.returncode == OK


def test_stsgated_lost_in_the_middle(net):
    """Killed while the remote host thinks: 75."""
    mta = net.daemons.start()
    domain = net.domain(behaviour=Behaviour(data=Slow(2, "354 Go on")))
    killer = threading.Timer(0.7, mta.kill)
    killer.start()
    assert deliver(mta, address(domain)).returncode == TEMPFAIL
    killer.join()
    net.daemons.discard(mta)
    assert_arrived(domain, times=0)


@pytest.mark.parametrize("answer", [b"", b"220 ", b"220 x\r\n", b"999 what\r\n", b"hello\r\n",
                                    b"421 4.3.2 Too many\r\n", b"x" * 100_000])
def test_a_server_that_makes_no_sense(tmp_path, answer):
    """Whatever speaks on the socket, the message stays with the MTA."""
    path = str(tmp_path / "lmtp.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)

        def serve():
            peer, _ = listener.accept()
            with peer:
                peer.sendall(answer)
        threading.Thread(target=serve, daemon=True).start()
        done = programs.run("stsgate-deliver", "-s", path, "-f", "a@b.example", "c@d.example",
                            stdin=MESSAGE)
    assert done.returncode == TEMPFAIL


def test_a_sender_cannot_inject_commands(net, mta):
    domain = net.domain()
    done = deliver(mta, address(domain), sender="a@b.example>\r\nRCPT TO:<evil@" + domain.name)
    assert done.returncode != OK
    assert_arrived(domain, times=0)


def test_lmtp_on_stdin_and_stdout(net, mta):
    domain = net.domain(behaviour=Behaviour(rcpt={"grey": "450 4.7.1 Later"}))
    script = (b"LHLO a.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<" +
              address(domain).encode() + b">\r\nRCPT TO:<" + address(domain, "grey").encode()
              + b">\r\nDATA\r\nSubject: x\r\n\r\nbody\r\n.\r\nQUIT\r\n")
    done = programs.run("stsgate-deliver", "--lmtp", "-s", mta.lmtp, stdin=script)
    assert done.returncode == OK, done.stderr
    codes = [line[:3] for line in done.stdout.splitlines() if line[3:4] == " "]
    assert codes == ["220", "250", "250", "250", "250", "354", "250", "450", "221"]
    assert_arrived(domain)


def test_lmtp_replies_come_at_once(net, mta):
    """Not only at the end: the helper does not hold them back."""
    quick, slow = net.domain(), net.domain(behaviour=Behaviour(dot=Slow(1.5, "250 2.0.0 Ok")))
    child = subprocess.Popen([programs.find("stsgate-deliver"), "--lmtp", "-s", mta.lmtp],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        child.stdin.write(b"LHLO a.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<"
                          + address(quick).encode() + b">\r\nRCPT TO:<" + address(slow).encode()
                          + b">\r\nDATA\r\nSubject: x\r\n\r\nbody\r\n.\r\n")
        child.stdin.flush()
        began, times = time.monotonic(), []
        while len(times) < 2:
            line = child.stdout.readline()
            assert line, "the helper ended early"
            if line.startswith(b"250 2.0.0 mx1."):
                times.append(time.monotonic() - began)
        assert times[0] < 1.2 and times[1] > 1.3
    finally:
        child.stdin.close()
        child.wait(10)
        child.stdout.close()


def test_lmtp_with_stsgated_away():
    """Exim's lmtp transport defers when the program says 421 or ends with 75."""
    done = programs.run("stsgate-deliver", "--lmtp", "-s", "unix:/nonexistent/lmtp.sock",
                        stdin=b"LHLO a.example\r\nQUIT\r\n")
    assert done.returncode == TEMPFAIL or done.stdout.startswith("421")


def test_lmtp_ends_when_the_mta_dies(net, mta):
    child = subprocess.Popen([programs.find("stsgate-deliver"), "--lmtp", "-s", mta.lmtp],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    child.stdin.close()
    child.wait(10)
    child.stdout.close()


def test_it_survives_a_closed_stdout(net, mta):
    """The replies have nowhere to go; the exit status still counts."""
    domain = net.domain()
    read, write = os.pipe()
    os.close(read)
    child = subprocess.Popen([programs.find("stsgate-deliver"), "-s", mta.lmtp, "-f", "a@b.example",
                              address(domain)], stdin=subprocess.PIPE, stdout=write)
    os.close(write)
    child.communicate(MESSAGE, 20)
    assert child.returncode == OK, f"ended by {signal.Signals(-child.returncode).name}" \
        if child.returncode < 0 else child.returncode


def test_it_links_libc_alone():
    listed = subprocess.run(["ldd", programs.find("stsgate-deliver")], capture_output=True,
                            text=True, timeout=10, check=True).stdout
    names = {line.split()[0].split("/")[-1].split(".so")[0] for line in listed.splitlines()}
    assert names <= {"linux-vdso", "libc", "ld-linux-x86-64", "ld-linux-aarch64", "libasan",
                     "libubsan", "libm", "libgcc_s", "libstdc++"}, names


def test_its_environment_is_not_read(net, mta):
    domain = net.domain()
    done = subprocess.run([programs.find("stsgate-deliver"), "-s", mta.lmtp, "-f", "a@b.example",
                           address(domain)], input=MESSAGE, env={}, cwd="/", timeout=20,
                          capture_output=True, check=False)
    assert done.returncode == OK
