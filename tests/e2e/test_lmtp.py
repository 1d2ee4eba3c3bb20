# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The LMTP side: commands, limits and what is not passed on."""

import os
import signal
import socket
import stat
import subprocess
import time

import pytest
from checks import address, assert_arrived, assert_reply, wait_until
from stslab import lmtp
from stslab.internet import Mx
from stslab.mx import Behaviour, Silence, Slow


def test_greeting_and_extensions(mta):
    with mta.client() as client:
        assert client.greeting.code == 220
        hello = client.hello()
        assert hello.code == 250
        offered = {line.split(" ")[0] for line in hello.lines[1:]}
        assert offered == {"PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8", "SIZE",
                           "CHUNKING", "REQUIRETLS"}
        assert "SIZE 104857600" in hello.lines


@pytest.mark.parametrize("line,short", [
    ("HELO client.example", "500 5.5.1"), ("EHLO client.example", "500 5.5.1"),
    ("NONSENSE", "500 5.5.1"), ("DATA", "503 5.5.1"), ("RCPT TO:<a@b.example>", "503 5.5.1"),
    ("NOOP", "250 2.0.0"), ("RSET", "250 2.0.0"), ("QUIT", "221 2.0.0")])
def test_commands(mta, line, short):
    with mta.client() as client:
        if not line.startswith(("HELO", "EHLO")):
            client.hello()
        reply = client.command(line)
        assert reply.short == short if line[1:4] in ("ELO", "HLO") else reply.code == int(short[:3])


@pytest.mark.parametrize("line", [
    "MAIL FROM:a@b.example", "MAIL FROM:<a@b.example", "MAIL", "MAIL FROM:<a b@c.example>",
    "MAIL FROM:<a@b.example> SIZE=abc", "MAIL FROM:<a@b.example> NOSUCH=1",
    "MAIL FROM:<" + "a" * 300 + "@b.example>"])
def test_bad_mail(mta, line):
    with mta.client() as client:
        client.hello()
        assert client.command(line).code // 100 == 5
        assert client.command("MAIL FROM:<good@b.example>").code == 250


@pytest.mark.parametrize("path", ["a", "a@", "@b.example", "a@b..example", "a b@c.example",
                                  "a@[300.1.1.1]", "a@-b.example", "a@" + "b" * 64 + ".example",
                                  "a\x01@b.example", "a@b.example\x00"])
def test_bad_recipients(mta, path):
    """Refused at RCPT or with the final reply, and never fatal for the session."""
    with mta.client() as client:
        client.hello()
        client.command("MAIL FROM:<a@b.example>")
        assert client.command(f"RCPT TO:<{path}>").code // 100 == 5
        assert client.command("NOOP").code == 250


def test_quoted_local_part(net, mta):
    domain = net.domain()
    assert mta.deliver(f'"john \\"x\\" doe"@{domain.name}').only.short == "250 2.0.0"
    assert domain.messages()[0].recipients == [f'"john \\"x\\" doe"@{domain.name}']


def test_a_long_command_line(mta):
    with mta.client() as client:
        client.hello()
        assert client.command("NOOP " + "x" * 4000).code == 250
        assert client.command("NOOP " + "x" * 5000).code == 500
        assert client.command("NOOP").code == 250


def test_all_at_once(net, mta):
    """PIPELINING: everything up to the data in one write, in order back."""
    domain = net.domain()
    with mta.client() as client:
        client.send(b"LHLO a.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@" +
                    domain.name.encode() + b">\r\nRCPT TO:<bad>\r\nDATA\r\n")
        codes = [client.reply().code for _ in range(5)]
        assert codes[:3] + codes[4:] == [250, 250, 250, 354] and codes[3] // 100 == 5
        client.send(lmtp.stuffed(lmtp.MESSAGE) + b"QUIT\r\n")
        assert client.reply().short == "250 2.0.0"
        assert client.reply().code == 221
    assert_arrived(domain)


def test_octet_by_octet(net, mta):
    domain = net.domain()
    with mta.client() as client:
        for octet in (b"LHLO a.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@"
                      + domain.name.encode() + b">\r\n"):
            client.send(bytes([octet]))
        assert [client.reply().code for _ in range(3)] == [250] * 3
        client.command("DATA")
        for octet in lmtp.stuffed(b"Subject: x\r\n\r\n.\r\n..\r\n"):
            client.send(bytes([octet]))
        assert client.reply().short == "250 2.0.0"
    assert domain.messages()[0].content == b"Subject: x\r\n\r\n.\r\n..\r\n"


def chunks(client, pieces):
    """BDAT, the last piece with LAST; gives the replies to all but the last."""
    replies = []
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        client.send(b"BDAT %d%s\r\n" % (len(piece), b" LAST" if last else b"") + piece)
        if not last:
            replies.append(client.reply())
    return replies


def test_chunking(net, mta):
    domain = net.domain()
    content = b"Subject: chunks\r\n\r\n.not stuffed\r\n.\r\nend\r\n"
    with mta.client() as client:
        client.hello()
        client.envelope("a@b.example", [address(domain), address(domain, "two")])
        between = chunks(client, [content[:10], content[10:20], content[20:]])
        assert [reply.code for reply in between] == [250, 250]
        assert [client.reply().short for _ in range(2)] == ["250 2.0.0"] * 2
    assert domain.messages()[0].content == content
    assert domain.messages()[0].wire.startswith(b"Subject: chunks\r\n\r\n..not stuffed\r\n..\r\n")


def test_empty_last_chunk(net, mta):
    domain = net.domain()
    with mta.client() as client:
        client.hello()
        client.envelope("a@b.example", [address(domain)])
        assert [reply.code for reply in chunks(client, [lmtp.MESSAGE, b""])] == [250]
        assert client.reply().short == "250 2.0.0"
    assert domain.messages()[0].content == lmtp.MESSAGE


SMUGGLED = b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<victim@x.example>\r\nDATA\r\nbody\r\n.\r\n"


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n",
                                 b"\r\n.\r", b"\0.\r\n", b"\r\n\0.\r\n"],
                         ids=["LF.LF", "LF.CRLF", "CRLF.LF", "CR.CR", "CR.CRLF", "CRLF.CR",
                              "NUL.CRLF", "NUL"])
def test_no_smuggling(net, mta, end):
    """Only CRLF "." CRLF ends the data, and no bare LF or CR is passed on."""
    domain = net.domain()
    with mta.client() as client:
        client.hello()
        client.envelope("a@b.example", [address(domain)])
        client.command("DATA")
        client.send(b"Subject: x\r\n\r\nfirst" + end + SMUGGLED)
        assert client.reply().short == "250 2.0.0"
        client.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.reply()
    (message,) = domain.messages()
    assert message.recipients == [address(domain)]
    bare = message.wire.replace(b"\r\n", b"")
    assert b"\n" not in bare and b"\r" not in bare
    assert b"MAIL FROM:<evil@x.example>" in message.content
    assert len([line for line in domain.host.lines if line.verb == "MAIL"]) == 1


def test_bare_line_ends_are_mended(net, mta):
    domain = net.domain()
    mta.deliver(address(domain), content=b"Subject: x\n\nlf\n.dot after lf\ncr\rin line\r\n")
    assert domain.messages()[0].content == \
        b"Subject: x\r\n\r\nlf\r\n.dot after lf\r\ncrin line\r\n"


def test_a_content_line_as_long_as_the_message(net, mta):
    domain = net.domain()
    content = b"Subject: x\r\n\r\n" + b"y" * 2_500_000 + b"\r\n"
    assert mta.deliver(address(domain), content=content).only.short == "250 2.0.0"
    assert domain.messages()[0].content == content


def test_too_many_recipients(net, start):
    mta = start({"lmtp": {"max-recipients": 3}})
    domain = net.domain()
    result = mta.deliver([address(domain, f"u{number}") for number in range(5)])
    assert [reply.short for reply in result.final] == ["250 2.0.0"] * 3 + ["452 4.5.3"] * 2


def test_too_many_sessions(start):
    mta = start({"lmtp": {"max-sessions": 2}})
    clients = []

    def let_in():   # the client that tested whether stsgated is up may still be connected
        clients.append(mta.client())
        if clients[-1].greeting.code != 220:
            clients.pop().close()
        return len(clients) == 2

    wait_until(let_in, 30, "two slots")
    with mta.client() as third:
        assert_reply(third.greeting, "421 4.3.2")
    for client in clients:
        assert client.hello().code == 250
        client.close()
    wait_until(lambda: mta.client().greeting.code == 220, 5, "a free slot")


def test_too_large_by_announcement(net, start):
    mta = start({"lmtp": {"max-message-size": "10K"}})
    with mta.client() as client:
        assert "SIZE 10240" in client.hello().lines
        assert_reply(client.command("MAIL FROM:<a@b.example> SIZE=20000"), "552 5.3.4")


@pytest.mark.parametrize("how", ["DATA", "BDAT"])
def test_too_large_in_fact(net, start, how):
    """Read to the end, refused for every recipient, and the session goes on."""
    mta = start({"lmtp": {"max-message-size": "10K"}})
    domain = net.domain()
    content = b"Subject: x\r\n\r\n" + b"y" * 76 + b"\r\n" * 8000
    with mta.client() as client:
        client.hello()
        if how == "DATA":
            final = client.transaction("a@b.example", [address(domain), address(domain, "b")],
                                       content).final
        else:
            client.envelope("a@b.example", [address(domain)])
            client.send(b"BDAT %d LAST\r\n" % len(content) + content)
            final = [client.reply()]
        for reply in final:
            assert_reply(reply, "552 5.3.4")
        assert client.command("RSET").code == 250
        assert client.transaction("a@b.example", [address(domain)]).only.code == 250
    assert_arrived(domain)


def test_final_replies_are_never_421(net, mta):
    domains = [net.domain(behaviour=Behaviour(dot="421 4.3.2 Closing")),
               net.domain(behaviour=Behaviour(greeting="421 4.3.2 Closing")),
               net.domain(behaviour=Behaviour(rcpt={"someone": "421 4.3.2 Closing"}))]
    result = mta.deliver([address(domain) for domain in domains])
    assert [reply.code for reply in result.final] == [451] * 3


def test_inet_and_inet6_listeners(net, start):
    start({"lmtp": {"listen": ["inet:127.0.0.1:2424", "inet6:[::1]:2424"]}})
    domain = net.domain()
    for where in ("inet:127.0.0.1:2424", "inet:[::1]:2424"):
        assert lmtp.deliver(where, address(domain)).only.short == "250 2.0.0"


def test_allow_from(net, start):
    """For a listener beyond loopback; loopback itself needs no leave."""
    here, friend, stranger = (net.addresses.public4() for _ in range(3))
    mta = start({"lmtp": {"listen": ["inet:127.0.0.1:2424", f"inet:{here}:2425"],
                          "allow-from": [friend + "/32"]}})
    with socket.create_connection((here, 2425), 5, (friend, 0)) as sock:
        assert sock.recv(100).startswith(b"220")
    with socket.create_connection((here, 2425), 5, (stranger, 0)) as sock:
        try:
            said = sock.recv(100)
        except ConnectionResetError:
            said = b""
        assert not said.startswith(b"220")
    assert mta.deliver(address(net.domain())).only.short == "250 2.0.0"


def test_socket_mode(start):
    mta = start({"lmtp": {"socket-mode": "0600"}})
    mode = stat.S_IMODE(os.stat(mta.lmtp.removeprefix("unix:")).st_mode)
    assert mode == 0o600


def test_transaction_time_runs_out(net, start):
    """The last reply comes by then, and nothing is delivered after it."""
    mta = start({"lmtp": {"transaction-time": "4s"},
                 "smtp": {"final-timeout": "1s", "command-timeout": "30s"}})
    domain = net.domain(mx=[Mx(behaviour=Behaviour(mail=Silence()))])
    began = time.monotonic()
    reply = mta.deliver(address(domain)).only
    assert reply.code == 451, str(reply)
    assert time.monotonic() - began < 6
    assert domain.host.leaked()[1] == 0


def test_no_slot_in_time(net, start):
    """max-deliveries: wait, then 451 4.4.5."""
    mta = start({"lmtp": {"transaction-time": "4s"},
                 "smtp": {"max-deliveries": 1, "final-timeout": "1s", "command-timeout": "20s"}})
    slow = net.domain(behaviour=Behaviour(mail=Slow(3.4, "250 2.1.0 Ok")))
    quick = net.domain()
    with mta.client() as holder:
        holder.hello()
        holder.envelope("a@b.example", [address(slow)])
        holder.command("DATA")
        holder.send(lmtp.stuffed(lmtp.MESSAGE))
        wait_until(lambda: any(line.verb == "MAIL" for line in slow.host.lines), 5)
        assert_reply(mta.deliver(address(quick)).only, "451 4.4.5")
        holder.reply()


def test_max_deliveries_waits_for_a_slot(net, start):
    mta = start({"smtp": {"max-deliveries": 1}})
    domains = [net.domain(behaviour=Behaviour(dot=Slow(0.4, "250 2.0.0 Ok"))) for _ in range(3)]
    result = mta.deliver([address(domain) for domain in domains])
    assert [reply.code for reply in result.final] == [250] * 3
    assert result.final[2].at > 1.1


def test_spool_full(net, start):
    """No room in memory nor in the directory: 452 4.3.1, and small mail still goes."""
    mta = net.daemons.make({"spool-memory": "1M"})
    spool = mta.settings["spool-directory"]
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0777", "stslab", spool],
                   check=True, timeout=10)
    try:
        mta.start()
        domain = net.domain()
        content = b"Subject: big\r\n\r\n" + b"0123456789\r\n" * 500_000
        assert_reply(mta.deliver(address(domain), content=content).only, "452 4.3.1")
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    finally:
        net.daemons.discard(mta)
        subprocess.run(["umount", spool], check=False, timeout=10)


def serves(mta):
    try:
        with mta.client() as late:
            return late.greeting.code == 220
    except (OSError, lmtp.Hangup):
        return False


def test_sigterm_answers_what_runs(net):
    """No new sessions, running ones are answered, then status 0."""
    mta = net.daemons.start()
    domain = net.domain(behaviour=Behaviour(dot=Slow(1.2, "250 2.0.0 Ok")))
    with mta.client() as client:
        client.hello()
        client.envelope("a@b.example", [address(domain)])
        client.command("DATA")
        client.send(lmtp.stuffed(lmtp.MESSAGE))
        wait_until(lambda: any(line.verb == "DATA" for line in domain.host.lines), 5)
        mta.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not serves(mta), 10, "the end of new sessions")
        assert client.reply().short == "250 2.0.0"
    assert mta.process.wait(10) == 0
    net.daemons.discard(mta)


def test_sigterm_when_idle_takes_a_second(net):
    mta = net.daemons.start()
    began = time.monotonic()
    assert mta.stop() == 0
    assert time.monotonic() - began < 2
    net.daemons.discard(mta)


def test_idle_clients_do_not_hold_up_the_end(net):
    mta = net.daemons.start()
    clients = [mta.client() for _ in range(5)]
    began = time.monotonic()
    assert mta.stop() == 0
    assert time.monotonic() - began < 5
    for client in clients:
        client.close()
    net.daemons.discard(mta)
