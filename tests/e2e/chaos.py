# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Random mail from many LMTP sessions to hosts that misbehave at random, and checks of the outcome.

    domains = publish(net, seed=7, share=0.06)
    traffic = Traffic(mta, domains, seed=7)
    traffic.run(messages=600, sessions=50)
    traffic.check()

The seed determines the messages, and how a host treats its nth connection.  It does not determine the
scheduling of threads: the same seed repeats a run closely, not exactly.

Each attempt has a sender address of its own, so that each reply to the MTA can be compared with what
the hosts recorded about this attempt.
"""

import collections
import contextlib
import dataclasses
import itertools
import random
import re
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stslab import lmtp
from stslab.internet import Mx
from stslab.mx import Behaviour, Drop, InPieces, Reset, Silence, Slow
from stslab.pace import patience

SETTINGS = {"smtp": {"host-retry": "1s", "keep-idle": "2s", "keep-messages": 20},
            "lmtp": {"transaction-time": "40s"}, "sts": {"retry-interval": "1s"}}
TRANSACTION_TIME = 40
ATTEMPTS = 6
USERS = [f"user{number}" for number in range(5)]
UNKNOWN = "unknown"
NO_SUCH_USER = "550 5.1.1 No such user here"

LOST = (Drop(), Reset(), "421 4.3.2 Going away")
NO_HANDSHAKE = (Drop(), Reset(), b"\x15\x03\x03\x00\x02\x02\x28")
HEAD = b"From: a@b.example\r\nSubject: chaos\r\n\r\n..two dots\r\n.\tone dot\r\n"
BODIES = [HEAD + (b"y" * 76 + b"\r\n") * lines for lines in (1, 1, 1, 115, 2560)]
BIG_BODY = HEAD + (b"y" * 76 + b"\r\n") * 19200


class Dice(random.Random):
    """One source of chance, for one thread."""

    def chance(self, share):
        return self.random() < share


@dataclasses.dataclass
class Unreliable(Behaviour):
    """A host that misbehaves in some connections, and in some transactions."""

    share: float = 0        # the probability of a misbehaviour, at each stage of the dialogue
    seed: str = ""
    count: object = dataclasses.field(default_factory=lambda: itertools.count(1))
    dice: Dice = None       # of one connection

    def for_connection(self):
        dice = Dice(f"{self.seed} connection {next(self.count)}")
        drawn = {"dice": dice, "tickets": dice.randrange(3)}
        occasions = (
            ("greeting", self.share, (*LOST, "450 4.3.2 Busy", "554 5.3.2 No service", b"22",
                                      Slow(1, "220 slow ESMTP"), Silence())),
            ("ehlo", self.share, (*LOST, "451 4.3.0 No EHLO now")),
            ("starttls", self.share, (*LOST, "454 4.7.0 TLS not available")),
            ("handshake", self.share, NO_HANDSHAKE),
            ("offered", 0.2, NO_HANDSHAKE),
            ("drop_in_data", self.share, (1, 100, 5000)),
            ("messages_per_connection", self.share, (1, 2, 3)),
            ("maximum_tls", 0.3, ("TLSv1.2",)),
            ("extensions", 0.3, (("8BITMIME", "SIZE 0"),)),
            ("most_recipients", 0.3, (1, 2, 3)),
        )
        drawn |= {name: dice.choice(actions) for name, share, actions in occasions
                  if dice.chance(share)}
        drawn["worn"] = dice.choice(("550 5.7.0 Worn: too many mails", "421 4.7.0 Worn",
                                     "503 5.5.1 Worn: bad sequence"))
        return dataclasses.replace(self, **drawn)

    def for_transaction(self, number):
        """Only later transactions of a connection get a 5xx that is about the connection ("Worn")."""
        dice, share = self.dice, self.share
        drawn = {"mail": Behaviour.mail, "data": Behaviour.data, "dot": None,
                 "rcpt": {UNKNOWN: NO_SUCH_USER}}
        if dice.chance(share):
            drawn["mail"] = dice.choice((*LOST, "450 4.7.1 Later", Slow(1.5, Drop()),
                                         Slow(2.5, "250 2.1.0 Slow")))
        if dice.chance(share):
            drawn["data"] = dice.choice((*LOST, "451 4.3.0 No data now"))
        elif number > 1 and dice.chance(share):
            drawn["data"] = dice.choice(("503 5.5.1 Worn: data", "554 5.5.1 Worn: data"))
        if dice.chance(share):
            drawn["dot"] = dice.choice((
                *LOST, "451 4.3.0 Not taken", "250-first line\n250 second line", b"250OK\r\n",
                b"250-x\r\n251 y\r\n", b"250\tz\r\n", Slow(0.7, "250 2.0.0 Slow"),
                InPieces(b"250 2.0.0 pieces\r\n", 1), b"2\r\n"))
        for user in USERS:
            if dice.chance(share / 2):
                drawn["rcpt"][user] = dice.choice((*LOST, "450 4.2.1 Mailbox busy", "452 4.5.3 Too many",
                                                   Slow(0.3, "250 2.1.5 Ok")))
            elif number > 1 and dice.chance(share / 2):
                drawn["rcpt"][user] = dice.choice(("503 5.5.1 Worn: rcpt", "550 5.7.1 Worn: rcpt"))
        return dataclasses.replace(self, **drawn)


def publish(net, seed, share):
    """Fourteen domains: with policies, several hosts, limits on connections; four share one host."""
    hosts = itertools.count(1)

    def mx(preference=10, family="loopback", down=False, **limits):
        behaviour = Unreliable(share=share, seed=f"{seed} host {next(hosts)}", **limits)
        return Mx(preference, behaviour, family=family, down=down)

    domains = [net.domain(policy="enforce", mx=[mx()]) for _ in range(3)]
    domains += [net.domain(policy="enforce", mx=[mx(), mx(20)]) for _ in range(2)]
    domains += [net.domain(mx=[mx(family=("ipv6", "loopback")), mx(20)]) for _ in range(2)]
    domains += [net.domain(mx=[mx(down=True), mx(20)]), net.domain(policy="testing", mx=[mx()]),
                net.domain(mx=[mx(connections_of_one=3)]),
                net.domain(policy="enforce", mx=[mx(connections_of_one=2)])]
    shared = domains[0].host
    for _ in range(3):
        domain = net.domain(mx=[])
        net.zones.add(domain.name, "MX", f"10 {shared.name}.")
        domain.hosts.append(shared)
        domains.append(domain)
    return domains


def calm(domains):
    """From now on no host misbehaves."""
    for domain in domains:
        for host in domain.hosts:
            host.behaviour = Behaviour()


class Traffic:
    """The mail of an MTA with many LMTP sessions, and the replies to it."""

    def __init__(self, mta, domains, seed):
        self.mta, self.domains, self.seed = mta, domains, seed
        self.interrupted = False    # stsgated is stopped now and then, and its sessions are lost
        self.told = {}              # (sender, recipient) -> lmtp.Reply
        self.sent = {}              # sender -> content
        self.hung_up = {}           # sender -> when the MTA hung up in the transaction
        self.seen = []              # faults that showed in the sessions
        self.slowest = 0
        self.disturbances = 0       # how often stsgated was reloaded, or stopped
        self._numbers = itertools.count(1)

    def run(self, messages, sessions):
        """Send this number of messages, each in up to ATTEMPTS attempts."""
        numbers = itertools.islice(self._numbers, messages)
        turn = threading.Lock()

        def work():
            session = _Session(self)
            while True:
                with turn:
                    number = next(numbers, None)
                if number is None:
                    break
                session.message(number)
            session.close()

        with ThreadPoolExecutor(sessions) as pool:
            for ended in [pool.submit(work) for _ in range(sessions)]:
                ended.result()

    def check(self):
        """Fail with the seed and the faults, if there are any."""
        faults = self.faults()
        shown = "\n".join(faults[:40])
        assert not faults, f"STSGATE_CHAOS_SEED={self.seed}, {len(faults)} faults:\n{shown}"

    def faults(self):
        """Each fault as a line of text."""
        found, taken, asked = list(self.seen), collections.Counter(), set()
        enforced = {domain.name for domain in self.domains
                    if domain.site is not None and b"mode: enforce" in domain.site.body}
        for host, connection in self._connections():
            asked |= {(host.name, *pair) for pair in _asked(connection)}
            for message in connection.messages:
                taken.update((message.sender, rcpt) for rcpt in message.recipients)
                found += self._faults_of(message, enforced)
        for key, reply in self.told.items():
            if taken[key] != (reply.code == 250):
                found.append(f"{key}: taken {taken[key]} times, and the MTA was told {reply}")
            if reply.code // 100 == 5 and not _was_said(key, reply, asked):
                found.append(f"{key}: bounced without a reason: the MTA was told {reply}")
        if self.slowest > TRANSACTION_TIME + patience(10):
            found.append(f"a transaction was answered after {self.slowest:.1f} s")
        return found

    def summary(self):
        codes = collections.Counter(f"{reply.code // 100}xx" for reply in self.told.values())
        return (f"{len(self.sent)} attempts, replies {dict(sorted(codes.items()))}, "
                f"{len(self.hung_up)} hang-ups, {sum(1 for _ in self._connections())} connections, "
                f"{self.disturbances} disturbances, the slowest answer after {self.slowest:.1f} s")

    def at_rest(self):
        """Has stsgated closed its connections to all hosts?"""
        return all(connection.ended_at is not None for _, connection in self._connections())

    def _connections(self):
        hosts = {host for domain in self.domains for host in domain.hosts}
        return ((host, connection) for host in hosts for connection in list(host.connections))

    def _faults_of(self, message, enforced):
        content = self.sent.get(message.sender)
        if content is not None and not message.content.endswith(content):
            yield f"{message.sender}: {len(message.content)} octets of content are not those sent"
        if not message.tls and any(rcpt.partition("@")[2] in enforced for rcpt in message.recipients):
            yield f"{message.sender}: plaintext to {message.recipients} in spite of the policy"
        hung_up = self.hung_up.get(message.sender, message.at)
        if message.at > hung_up + patience(1):
            yield f"{message.sender}: taken {message.at - hung_up:.2f} s after the MTA hung up"


class _Session:
    """One LMTP session of the MTA; a new one replaces it when it is lost."""

    def __init__(self, traffic):
        self.traffic = traffic
        self.client = None

    def close(self):
        if self.client is not None:
            self.client.close()
            self.client = None

    def message(self, number):
        dice = Dice(f"{self.traffic.seed} message {number}")
        some = dice.sample(self.traffic.domains, dice.choice([1, 1, 1, 2, 4]))
        todo = [f"{user}@{domain.name}" for domain in some
                for user in dice.sample(USERS, dice.choice([1, 1, 2, 5]))]
        if dice.chance(0.1):
            todo.append(f"{UNKNOWN}@{some[0].name}")
        for attempt in range(1, ATTEMPTS + 1):
            sender = f"m{number}-{attempt}@from{dice.randrange(3)}.example"
            self._attempt(sender, todo, Dice(f"{self.traffic.seed} {sender}"))
            replies = {rcpt: self.traffic.told.get((sender, rcpt)) for rcpt in todo}
            todo = [rcpt for rcpt, reply in replies.items() if reply is None or reply.code // 100 == 4]
            if not todo:
                break
            time.sleep(0.3 * attempt)   # the MTA's back-off

    def _attempt(self, sender, rcpts, dice):
        traffic = self.traffic
        try:
            if self.client is None:
                self.client = lmtp.Client(traffic.mta.lmtp, patience(2 * TRANSACTION_TIME))
                self.client.hello()
            self._transaction(sender, rcpts, dice)
            if dice.chance(0.2):
                self.client.send(b"QUIT\r\n")
                self.close()
        except (OSError, lmtp.Hangup) as error:
            self.close()
            if sender not in traffic.hung_up and not traffic.interrupted:
                traffic.seen.append(f"{sender}: the session was lost: {error!r}")

    def _transaction(self, sender, rcpts, dice):
        traffic, client = self.traffic, self.client
        client.send(f"MAIL FROM:<{sender}>\r\n".encode()
                    + b"".join(f"RCPT TO:<{rcpt}>\r\n".encode() for rcpt in rcpts))
        self._expect(250, 1 + len(rcpts))
        began = time.monotonic()
        content = traffic.sent[sender] = BIG_BODY if dice.chance(0.02) else dice.choice(BODIES)
        if dice.chance(0.5):
            self._bdat(content, dice)
        else:
            client.send(b"DATA\r\n")
            self._expect(354)
            client.send(lmtp.stuffed(content))
        if dice.chance(0.1):
            self._hang_up(sender, dice)
        for rcpt in rcpts:
            traffic.told[sender, rcpt] = client.reply()
        traffic.slowest = max(traffic.slowest, time.monotonic() - began)

    def _expect(self, code, replies=1):
        for _ in range(replies):
            reply = self.client.reply()
            if reply.code == 421 and self.traffic.interrupted:
                raise lmtp.Hangup
            if reply.code != code:
                self.traffic.seen.append(f"{reply} instead of {code}")
                raise lmtp.Hangup

    def _bdat(self, content, dice):
        """Three chunks, pipelined."""
        first, second = sorted(dice.randrange(len(content) + 1) for _ in range(2))
        chunks = (content[:first], content[first:second], content[second:])
        self.client.send(b"".join(b"BDAT %d%s\r\n%s" % (len(chunk), last, chunk)
                                  for chunk, last in zip(chunks, (b"", b"", b" LAST"), strict=True)))
        self._expect(250, 2)

    def _hang_up(self, sender, dice):
        """With FIN or RST, at once or during the delivery."""
        time.sleep(dice.choice([0, 0.05, 0.3, 1]))
        if dice.chance(0.5):
            self.client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.client.close()
        self.traffic.hung_up[sender] = time.monotonic()
        raise lmtp.Hangup


def _was_said(key, reply, asked):
    """Was the host named in a 5xx asked about this recipient, and is it a user that it does not know?"""
    named = re.match(r"5\.1\.1 (\S+)\[\S+\] said: No such user here$", reply.text)
    return named is not None and key[1].startswith(UNKNOWN + "@") and (named[1], *key) in asked


def _asked(connection):
    """(sender, recipient) for each RCPT that the host received."""
    sender = None
    for line in connection.lines:
        if line.verb in ("MAIL", "RCPT"):
            address = re.search("<(.*?)>", line.text)[1]
            if line.verb == "MAIL":
                sender = address
            else:
                yield sender, address


@contextlib.contextmanager
def disturbed(traffic, how):
    """Meanwhile stsgated is reloaded ("reload"), or stopped and started again ("TERM", "KILL")."""
    mta, dice, over = traffic.mta, Dice(f"{traffic.seed} disturbance"), threading.Event()
    traffic.interrupted = how in ("TERM", "KILL")

    def reload():
        mta.reconfigure({"smtp": {"keep-messages": 20 + dice.randrange(7),
                                  "max-per-host": 5 + dice.randrange(9)}})
        mta.process.send_signal(signal.SIGHUP)

    def restart():
        if how == "KILL":
            mta.kill()
        elif mta.stop(60) != 0:
            traffic.seen.append("stsgated did not end with status 0 after SIGTERM")
        mta.start()

    def work():
        while not over.wait(0.7 if how == "reload" else dice.uniform(1, 4)):
            reload() if how == "reload" else restart()
            traffic.disturbances += 1

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(work) if how else None
        try:
            yield
        finally:
            over.set()
        if ended is not None:
            ended.result()
    traffic.interrupted = False


def resources(mta):
    """What stsgated has now."""
    status = Path(f"/proc/{mta.process.pid}/status").read_text("ascii")
    return {"descriptors": len(mta.open_files()), "KiB": mta.memory_kib(),
            "threads": int(re.search(r"Threads:\s+(\d+)", status)[1])}
