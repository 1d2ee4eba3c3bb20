# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""stsgate-milter under the scripts of tests/milter, which OpenDKIM's miltertest(8) runs.

Its client is not ours: what both our client and our milter got wrong would show here.  Of a reply
to RCPT it tells that there is one, and not the text, which is read in the milter's log.
"""

import pathlib
import subprocess
import threading

import pytest
from checks import assert_nothing_leaked

SCRIPTS = pathlib.Path(__file__).resolve().parents[1] / "milter"
MANY_SECONDS = 120


def run_script(milter, name, acts=None, **values):
    """Run tests/milter/NAME.lua with these global values; `acts` are what it may ask for."""
    values |= {"script": SCRIPTS / f"{name}.lua", "socket": milter.listen.removeprefix("unix:")}
    arguments = [word for key, value in values.items() for word in ("-D", f"{key}={value}")]
    with subprocess.Popen(["miltertest", "-s", SCRIPTS / "session.lua", *arguments],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as process:
        patience = threading.Timer(MANY_SECONDS, process.kill)
        patience.start()
        said = []
        try:
            for line in process.stdout:
                said.append(line)
                if line.startswith("please "):
                    acts[line.split()[1]]()
                    process.stdin.write("done\n")
                    process.stdin.flush()
            assert process.wait() == 0, "".join(said)
        finally:
            patience.cancel()
            process.kill()


def mismatch(net):
    """Its policy is enforced and does not list its MX host."""
    return net.domain(policy="enforce", patterns=["mx.elsewhere.example"], policy_id="unlisted")


def told(milter, domain):
    """What the milter told the MTA about a recipient at `domain`, and the reply it had for it."""
    (line,) = milter.log("recipient", domain=domain.name)
    return line["action"], line.get("reply", "")


@pytest.mark.parametrize("policy", ["enforce", None])
def test_accept(net, pair, policy):
    _, milter = pair(refuse="reject")
    domain = net.domain(policy=policy)
    run_script(milter, "accept", domain=domain.name)
    assert [line["verdict"] for line in milter.log("recipient", domain=domain.name)] == \
        ["use", "use"]


@pytest.mark.parametrize("refuse,wanted,action", [
    ("never", "continue", "continue"), ("tempfail", "reply", "tempfail"),
    ("reject", "reply", "tempfail")])
def test_an_enforced_policy_that_lists_no_mx(net, pair, refuse, wanted, action):
    """It may be mended: 4xx even with "reject"."""
    _, milter = pair(refuse=refuse)
    domain = mismatch(net)
    run_script(milter, "recipient", domain=domain.name, wanted=wanted)
    said, reply = told(milter, domain)
    assert said == action and reply.startswith("451 4.7.5 ")
    assert_nothing_leaked(domain)


@pytest.mark.parametrize("refuse,wanted,action", [
    ("tempfail", "continue", "continue"), ("reject", "reply", "reject")])
def test_requiretls(net, pair, refuse, wanted, action):
    """An unsigned zone and no policy: nobody vouches for the host."""
    _, milter = pair(refuse=refuse)
    domain = net.domain(zone="plain")
    run_script(milter, "recipient", domain=domain.name, wanted=wanted, parameter="REQUIRETLS")
    said, reply = told(milter, domain)
    assert said == action and reply.startswith("550 5.7.10 ")
    run_script(milter, "recipient", domain=domain.name, wanted="continue")


def header_of(domain):
    return f"use; domain={domain.name}; policy=sts; mode=enforce; id=shown"


def test_header(net, pair):
    _, milter = pair(header=True)
    domain = net.domain(policy="enforce", policy_id="shown")
    run_script(milter, "header", domain=domain.name, value=header_of(domain))


def test_several_domains(net, pair):
    _, milter = pair(header=True, refuse="tempfail")
    one = net.domain(policy="enforce", policy_id="shown")
    run_script(milter, "several", one=one.name, two=net.domain().name, bad=mismatch(net).name,
               value=header_of(one))


def test_stsgated_killed_and_restarted_in_the_middle_of_a_session(net, pair):
    mta, milter = pair(refuse="tempfail", header=True)
    first, second, third = mismatch(net), mismatch(net), mismatch(net)
    run_script(milter, "restart", {"kill": mta.kill, "start": mta.start},
               first=first.name, second=second.name, third=third.name,
               good=net.domain(policy="enforce").name)
    unasked = milter.log("recipient", domain=second.name)
    assert [line["verdict"] for line in unasked] == ["unknown", "unknown"]
    assert all("cannot be reached" in line["why"] for line in unasked), unasked
    for domain in (first, second, third):
        assert_nothing_leaked(domain)
