# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""stsgate.conf: what is refused, and how it is said."""

import pathlib
import re

import pytest
from checks import address
from stslab import programs
from stslab.daemon import render

CONFIG = 78

# configuration text, number of the wrong line, words that must be in the message
WRONG = [
    ('nonsense = "x"\n', 1, ["nonsense"]),
    ('log = "stderr"\n\nlmtp {\n  nonsense = 1\n}\n', 4, ["nonsense"]),
    ('smtp {\n  connect-timeout = "5"\n}\n', 2, ["connect-timeout"]),
    ('smtp {\n  connect-timeout = "5x"\n}\n', 2, ["connect-timeout"]),
    ('smtp {\n  connect-timeout = "0s"\n}\n', 2, ["connect-timeout"]),
    ('smtp {\n  connect-timeout = "-5s"\n}\n', 2, ["connect-timeout"]),
    ('smtp {\n  connect-timeout = "99999999999999999999d"\n}\n', 2, ["connect-timeout"]),
    ('spool-memory = "12Q"\n', 1, ["spool-memory"]),
    ('smtp {\n  port = 0\n}\n', 2, ["port"]),
    ('smtp {\n  port = 65536\n}\n', 2, ["port"]),
    ('smtp {\n  port = "x"\n}\n', 2, ["port"]),
    ('log = "file"\n', 1, ["log"]),
    ('log-level = "chatty"\n', 1, ["log-level"]),
    ('sts {\n  enforce = "maybe"\n}\n', 2, ["enforce"]),
    ('dane {\n  enforce = "maybe"\n}\n', 2, ["enforce"]),
    ('tls {\n  min-protocol = "SSLv3"\n}\n', 2, ["min-protocol"]),
    ('tls {\n  ca-file = "/nonexistent/ca.pem"\n}\n', 2, ["/nonexistent/ca.pem"]),
    ('dns {\n  trust-anchor = {"/nonexistent/root.key"}\n}\n', 2, ["/nonexistent/root.key"]),
    ('dns {\n  mode = "guess"\n}\n', 2, ["mode"]),
    ('dns {\n  servers = {"not an address"}\n}\n', 2, ["servers"]),
    ('dns {\n  servers = {"192.0.2.53"}\n}\n', 2, ["dns.servers", 'mode = "forward"']),
    ('dns {\n  private-addresses = "maybe"\n}\n', 2, ["private-addresses"]),
    ('lmtp {\n  listen = {"udp:127.0.0.1:24"}\n}\n', 2, ["listen"]),
    ('lmtp {\n  listen = {"inet:127.0.0.1"}\n}\n', 2, ["listen"]),
    ('lmtp {\n  socket-mode = "0999"\n}\n', 2, ["socket-mode"]),
    ('lmtp {\n  socket-group = "no-such-group"\n}\n', 2, ["no-such-group"]),
    ('lmtp {\n  max-sessions = 0\n}\n', 2, ["max-sessions"]),
    ('lmtp {\n  max-sessions = "many"\n}\n', 2, ["max-sessions"]),
    ('lmtp {\n  listen = {"inet:192.0.2.1:2424"}\n}\n', 2, ["allow-from"]),
    ('log = "stderr"\nlog = "syslog"\n', 2, ["log"]),
    ('smtp {\n}\nsmtp {\n}\n', 3, ["smtp"]),
    ('destination "a.example" {\n}\ndestination "a.example" {\n}\n', 3, ["a.example"]),
    ('destination "a.example" {\n}\ndestination "A.Example" {\n}\n', 3, ["a.example"]),
    ('destination "bücher.example" {\n}\ndestination "xn--bcher-kva.example" {\n}\n', 3,
     ["xn--bcher-kva.example"]),
    ('destination "not a name" {\n}\n', 1, ["not a name"]),
    ('destination "a.example" {\n  tls = "perhaps"\n}\n', 2, ["tls"]),
    ('destination "a.example" {\n  relay = "host:99999"\n}\n', 2, ["relay"]),
    ('destination "a.example" {\n  nonsense = 1\n}\n', 2, ["nonsense"]),
    ('hostname = "${HOSTNAME}"\n', 1, ["${"]),
    ('hostname = "not a name"\n', 1, ["hostname"]),
    ('smtp {\n  source-ipv4 = "::1"\n}\n', 2, ["source-ipv4"]),
    ('smtp {\n  address-families = {"ipx"}\n}\n', 2, ["address-families"]),
    ('store {\n  backend = "paper"\n}\n', 2, ["backend"]),
    ('tlsrpt {\n  enable = "send"\n}\n', 2, ["organization"]),
    ('milter {\n  refuse = "perhaps"\n}\n', 2, ["refuse"]),
    ('smtp {\n', None, []),
    ('smtp }\n', 1, []),
    ('hostname = "unfinished\n', None, []),
]


def check(tmp_path, text, program="stsgated"):
    path = tmp_path / "stsgate.conf"
    path.write_text(text, encoding="utf-8")
    return path, programs.run(program, "-t", "-c", str(path), seconds=15)


@pytest.mark.parametrize("text,line,words", WRONG, ids=range(len(WRONG)))
def test_wrong_configurations(tmp_path, text, line, words):
    """One line FILE:LINE: what is wrong, and 78."""
    path, done = check(tmp_path, text)
    said = done.stderr.splitlines()
    assert done.returncode == CONFIG, (done.returncode, done.stderr)
    assert len(said) == 1, said
    where = re.match(re.escape(str(path)) + r":(\d+): (.+)", said[0])
    assert where, said
    if line is not None:
        assert int(where.group(1)) == line, said
    for word in words:
        assert word in said[0], said


def test_a_file_that_cannot_be_read(tmp_path):
    done = programs.run("stsgated", "-c", str(tmp_path / "none.conf"), seconds=15)
    assert done.returncode == CONFIG
    assert done.stderr.startswith(f"{tmp_path}/none.conf: ") and done.stderr.count("\n") == 1


def test_it_does_not_start_with_a_wrong_file(tmp_path):
    """Not only with -t."""
    path = tmp_path / "stsgate.conf"
    path.write_text("nonsense = 1\n")
    done = programs.run("stsgated", "-c", str(path), seconds=15)
    assert done.returncode == CONFIG and f"{path}:1: " in done.stderr


def test_a_user_that_does_not_exist(net):
    mta = net.daemons.make({"user": "no-such-user"})
    done = programs.run("stsgated", "-c", str(mta.config), seconds=15)
    assert done.returncode == CONFIG and "no-such-user" in done.stderr
    net.daemons.discard(mta)


@pytest.mark.parametrize("key, says", [("ca-file", "no certificate"),
                                       ("trust-anchor", "trust anchors")])
def test_a_file_with_nothing_of_use_in_it(net, key, says):
    """To who checks and to who starts the same."""
    useless = pathlib.Path(net.authorities.ca_file).with_name("useless")
    useless.write_text("nothing of use\n", "ascii")
    mta = net.daemons.make({"tls": {"ca-file": str(useless)}} if key == "ca-file"
                           else {"dns": {"trust-anchor": [str(useless)]}})
    for more in ([], ["-t"]):
        done = programs.run("stsgated", "-c", str(mta.config), *more, seconds=15)
        assert done.returncode == CONFIG and says in done.stderr
    net.daemons.discard(mta)


def test_the_defaults_are_a_good_configuration(net, tmp_path):
    """-t with nothing but the files that this host may lack."""
    _, done = check(tmp_path, render({
        "user": "nobody", "tls": {"ca-file": net.authorities.ca_file},
        "dns": {"mode": "forward", "servers": ["127.0.0.53"],
                "trust-anchor": [net.zones.trust_anchor]}}))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["vm", "localhost", "localhost.localdomain", "vm.localhost"])
def test_a_hostname_that_no_receiver_can_look_up(net, start, name):
    """A warning of -t, of the start and of a reload; mail goes, and EHLO says just that name."""
    domain, special = net.domain(), net.domain()
    settings = {"hostname": name, ("destination", special.name): {"hostname": "box"}}
    mta = start(settings)
    checked = programs.run("stsgated", "-t", "-c", str(mta.config), seconds=15)
    assert checked.returncode == 0 and f'warning: hostname "{name}"' in checked.stderr
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert mta.deliver(address(special)).only.short == "250 2.0.0"
    assert domain.host.connections[0].said("EHLO")[0] == f"EHLO {name}"
    assert special.host.connections[0].said("EHLO")[0] == "EHLO box"
    mta.reload()
    for event in ("start", "reload"):
        said = [line["msg"] for line in mta.log(event, level="warning")]
        assert len(said) == 2 and f'hostname "{name}"' in said[0], said
        assert special.name in said[1] and '"box" has no dot' in said[1]


def test_a_full_hostname_is_no_warning(net, start):
    mta = start({"hostname": "localhost.example"})
    assert "warning" not in programs.run("stsgated", "-t", "-c", str(mta.config)).stderr
    assert mta.log(level="warning") == []


def test_every_key_of_the_contract_is_known(net, tmp_path):
    _, done = check(tmp_path, EVERY_KEY.format(
        ca=net.authorities.ca_file, anchor=net.zones.trust_anchor))
    assert done.returncode == 0, done.stderr


def test_ready_is_told_from_right(tmp_path):
    """-t speaks of the file and of the machine: a right file, and what is missing to start."""
    state, run = tmp_path / "state", tmp_path / "run"
    text = f'user = "nobody"\nstate-directory = "{state}"\n' + "".join(
        f'{section} {{ listen = {{"unix:{run}/{section}"}} }}\n'
        for section in ("lmtp", "policy-map", "control"))
    _, done = check(tmp_path, text)
    assert done.returncode == 0
    assert "no error in the configuration, but" in done.stdout and "ok" not in done.stdout
    assert f"not ready to start: state-directory {state}: " in done.stderr
    assert f"there is no directory {run}: make it by install -d -m 0755 {run}\n" in done.stderr
    state.mkdir()
    run.mkdir()
    _, done = check(tmp_path, text)
    assert "configuration ok" in done.stdout and "not ready" not in done.stderr


def test_a_missing_directory_of_sockets_says_what_makes_it(tmp_path):
    """At the start of each daemon; the default directory is named with what makes it at boot."""
    state = tmp_path / "state"
    state.mkdir()
    path = tmp_path / "stsgate.conf"
    path.write_text(f'user = "root"\nlog = "stderr"\nstate-directory = "{state}"\n'
                    f'lmtp {{ listen = {{"unix:{tmp_path}/none/lmtp.sock"}} }}\n'
                    f'milter {{ listen = "unix:{tmp_path}/none/milter.sock" }}\n', encoding="utf-8")
    for program in ("stsgated", "stsgate-milter"):
        done = programs.run(program, "-c", str(path), seconds=15)
        assert done.returncode == 69
        assert f"{tmp_path}/none: make it by install -d -m 0755 {tmp_path}/none" in done.stderr
    if pathlib.Path("/run/stsgate").exists():
        pytest.skip("/run/stsgate exists on this machine")
    path.write_text(f'user = "root"\nlog = "stderr"\nstate-directory = "{state}"\n')
    for program in ("stsgated", "stsgate-milter"):
        done = programs.run(program, "-c", str(path), seconds=15)
        assert done.returncode == 69 and "/run/stsgate: make it by systemd-tmpfiles" in done.stderr


def test_version():
    done = programs.run("stsgated", "-V")
    assert done.returncode == 0 and re.search(r"stsgate\S* .*\d+\.\d+", done.stdout)


@pytest.mark.parametrize("words", [["-x"], ["extra"], ["-c"]])
def test_usage(words):
    assert programs.run("stsgated", *words, seconds=15).returncode == 64


EVERY_KEY = """
hostname = "mail.example.org"
user = "nobody"
state-directory = "/var/lib/stsgate"
spool-directory = "/var/tmp"
spool-memory = "256M"
log = "syslog"
log-level = "info"
lmtp {{
  listen = {{"unix:/run/stsgate/lmtp.sock", "inet:127.0.0.1:2424", "inet6:[::1]:2424"}}
  socket-mode = "0660"   socket-group = ""   allow-from = {{}}
  max-sessions = 1000
  max-recipients = 1000
  max-message-size = 104857600
  transaction-time = "30m"
  parallel-domains = 20
}}
policy-map {{
  listen = {{"unix:/run/stsgate/policy.sock"}}   socket-mode = "0666"   socket-group = ""
  dane = "mta"
}}
control {{ listen = {{"unix:/run/stsgate/control.sock"}} socket-mode = "0600" socket-group = "" }}
dns {{
  mode = "forward"
  servers = {{"127.0.0.53", "192.0.2.53@5353"}}
  trust-anchor = {{"{anchor}"}}
  insecure = {{"corp.lan"}}
  timeout = "10s"
  private-addresses = "refuse"
  zone "corp.lan" {{ servers = {{"10.0.0.53"}} }}
  zone "other.lan" {{ servers = {{"10.0.0.54"}} }}
}}
smtp {{
  port = 25   connect-timeout = "30s"   command-timeout = "5m"   data-timeout = "3m"
  final-timeout = "10m"
  host-retry = "5m"
  keep-idle = "15s"   keep-messages = 100   keep-time = "5m"
  max-deliveries = 1000
  max-per-host = 20
  source-ipv4 = ""   source-ipv6 = ""   address-families = {{"ipv6", "ipv4"}}
  own-names = {{}}
  tls-required-no = "honour"
}}
tls {{
  ca-file = "{ca}"
  min-protocol = "TLSv1.2"
  plaintext-retry = true
}}
sts {{
  enforce = "on"
  fetch-timeout = "60s"   max-policy-size = 65536   refresh-interval = "24h"
  retry-interval = "5m"
  http-proxy = ""
  cold-failure-grace = "1h"
}}
dane {{ enforce = "on" }}
tlsrpt {{
  enable = "collect"
  organization = ""   contact = ""   sender = ""
  submit = "smtp://127.0.0.1:25"
  success-only = true
  keep = "14d"
  socket = ""
  forward = ""
}}
store {{ backend = "bdb" }}
milter {{
  listen = "unix:/run/stsgate/milter.sock"   socket-mode = "0660"   socket-group = ""
  refuse = "never"
  header = false
}}
destination "example.com" {{
  relay = ""
  tls = "policy"
  match = {{}}
  max-connections = 0   source-ipv4 = ""   source-ipv6 = ""   hostname = ""   reports = ""
}}
destination "*.example.com" {{ tls = "verify"  match = {{"*.example.net"}} }}
destination "." {{ relay = "[192.0.2.1]:25" }}
"""
