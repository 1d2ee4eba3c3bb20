# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Who may do what with stsgated's sockets and files: an attacker, or a fool, on the same host."""

import contextlib
import grp
import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess

import pytest
from checks import address, wait_until
from stslab import programs, socketmap
from stslab.daemon import DaemonFailed

STRANGER = 54321  # a uid and gid that nothing belongs to
TRY = """
import socket, sys
for path in sys.argv[1:]:
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(path)
            print("in")
        except OSError as error:
            print(error.strerror)
"""


def path_of(daemon, section):
    return pathlib.Path(daemon.settings[section]["listen"][0].removeprefix("unix:"))


def as_user(uid, gid, *command):
    """The output of a command that another user runs."""
    return subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups",
                           *command], capture_output=True, text=True, timeout=30, check=True).stdout


def knock(uid, gid, *paths):
    """The result of another user's connect() to each."""
    return as_user(uid, gid, "/usr/bin/python3", "-c", TRY, *map(str, paths)).splitlines()


@contextlib.contextmanager
def open_to_strangers(daemon):
    """Lets everybody through to the sockets' directory, so that their own modes decide."""
    changed = []
    for directory in (daemon.directory, *daemon.directory.parents[:-2]):
        mode = stat.S_IMODE(directory.stat().st_mode)
        if not mode & 0o001:
            directory.chmod(mode | 0o011)
            changed.append((directory, mode))
    try:
        yield
    finally:
        for directory, mode in changed:
            directory.chmod(mode)


def connect(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(30)
    sock.connect(str(path))
    return sock


def http(where, request, host="localhost", body=""):
    """One raw request to a path or (address, port): the status, the body."""
    sock = connect(where) if isinstance(where, pathlib.Path) else \
        socket.create_connection(where, 30)
    with sock:
        host = "" if host is None else f"Host: {host}\r\n"
        sock.sendall(f"{request} HTTP/1.1\r\n{host}Content-Length: {len(body)}\r\n"
                     f"Connection: close\r\n\r\n{body}".encode())
        answer = b""
        while more := sock.recv(65536):
            answer += more
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), rest


def test_idle_control_connections_keep_nobody_out(start):
    """More of them than are allowed, some with half a request: who comes next is answered."""
    mta = start()
    path = path_of(mta, "control")
    with contextlib.ExitStack() as held:
        for number in range(160):
            sock = held.enter_context(connect(path))
            if number % 2:
                sock.sendall(b"GET /v1/stats HTTP/1.1\r\nHost: x\r\n")
            if number % 4 == 3:
                sock.sendall(b"Content-Length: 100000\r\n\r\nhalf")
        assert http(path, "GET /healthz")[0] == 200
        done = mta.ask("stats", seconds=8)
        assert done.returncode == 0, done.stderr


def test_idle_tcp_connections_keep_nobody_out(start, free_port):
    mta = start({"control": {"listen": [f"inet:127.0.0.1:{free_port}"]}})
    with contextlib.ExitStack() as held:
        for _ in range(160):
            held.enter_context(socket.create_connection(("127.0.0.1", free_port), 30))
        assert http(("127.0.0.1", free_port), "GET /healthz")[0] == 200


def test_a_control_connection_without_a_request_is_closed(mta):
    with connect(path_of(mta, "control")) as sock:
        sock.sendall(b"GET /v1/stats HTTP/1.1\r\n")
        assert sock.recv(1) == b""


@pytest.fixture
def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_modes_by_default(mta):
    """Another user may open the policy map, and nothing else."""
    sections = ("lmtp", "control", "policy-map")
    paths = [path_of(mta, section) for section in sections]
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o660, 0o600, 0o666]
    with open_to_strangers(mta):
        assert knock(STRANGER, STRANGER, *paths) == ["Permission denied"] * 2 + ["in"]
        wide = mta.directory / "wide.sock"
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(wide))
            wide.chmod(0o666)
            sock.listen(1)
            assert knock(STRANGER, STRANGER, wide) == ["in"], "the directories let him through"


def test_the_group_is_let_in(start):
    group = grp.getgrnam("mail")
    mta = start({"lmtp": {"socket-group": "mail", "socket-mode": "0620"},
                 "control": {"socket-group": "mail", "socket-mode": "0660"}})
    paths = [path_of(mta, "lmtp"), path_of(mta, "control")]
    assert [path.stat().st_gid for path in paths] == [group.gr_gid] * 2
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o620, 0o660]
    with open_to_strangers(mta):
        assert knock(STRANGER, group.gr_gid, *paths) == ["in"] * 2
        assert knock(STRANGER, STRANGER, *paths) == ["Permission denied"] * 2


@pytest.mark.parametrize("settings,allowed", [
    ({}, r"root may ask \(its mode is 0600\)"),
    ({"socket-group": "mail", "socket-mode": "0660"}, r"root, group mail may ask \(its mode is 0660\)")])
def test_the_command_says_who_may_ask(start, settings, allowed):
    mta = start({"control": settings})
    with open_to_strangers(mta):
        program = shutil.copy(programs.find("stsgate"), mta.directory)
        config = mta.directory / "asking.conf"
        config.write_text(f'control {{ listen = {{"unix:{path_of(mta, "control")}"}} }}\n')
        for path in (program, config):
            os.chmod(path, 0o755)
        asked = subprocess.run(["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}",
                                "--clear-groups", program, "-c", config, "stats"],
                               capture_output=True, text=True, timeout=30, check=False)
    assert asked.returncode == 69 and "localhost" not in asked.stderr
    assert re.search(rf"control\.sock: Permission denied: {allowed}; control\.socket-group",
                     asked.stderr), asked.stderr


def test_the_pipe_helper_says_where_it_is_said_who_may(mta):
    with open_to_strangers(mta):
        program = shutil.copy(programs.find("stsgate-deliver"), mta.directory)
        os.chmod(program, 0o755)
        asked = subprocess.run(["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}",
                                "--clear-groups", program, "-s", path_of(mta, "lmtp"),
                                "-f", "a@b.example", "--", "c@d.example"], input="x\n",
                               capture_output=True, text=True, timeout=30, check=False)
    assert asked.returncode == 75
    assert asked.stdout.endswith("Permission denied; lmtp.socket-group and socket-mode say who may\n")


def test_the_command_says_that_stsgated_does_not_run(tmp_path):
    config, path = tmp_path / "asking.conf", tmp_path / "control.sock"
    config.write_text(f'control {{ listen = {{"unix:{path}"}} }}\n')
    said = f"stsgate: stsgated does not answer at {path}: "
    for why in ("No such file or directory", "Connection refused"):
        asked = programs.run("stsgate", "-c", str(config), "stats")
        assert asked.returncode == 69
        assert asked.stderr == f"{said}{why}: stsgated does not run, or control.listen is another\n"
        with socket.socket(socket.AF_UNIX) as left:
            if not path.exists():
                left.bind(str(path))


TELLING = ("/metrics", "/healthz")
OTHERS = ("/", "/v1/stats", "/v1/cache", "/v1/cache/a.example", "/v1/policy/a.example",
          "/v1/check/a.example", "/v1/tlsrpt", "/v1/tlsrpt/2026-01-01",
          "/v1/tlsrpt/2026-01-01/send", "/v1/cache/a.example/refresh", "/metrics/", "//metrics",
          "/%6detrics/../v1/cache", "/metrics/../v1/cache", "/V1/cache")


def test_tcp_serves_metrics_and_health_alone(net, start, free_port):
    mta = start()
    unix = mta.settings["control"]["listen"][0]
    mta.reload({"control": {"listen": [unix, f"inet:127.0.0.1:{free_port}"]}})
    where = ("127.0.0.1", free_port)
    domain = net.domain(policy="enforce")
    mta.deliver(address(domain))
    for path in TELLING:
        status, body = http(where, f"GET {path}")
        assert status == 200 and domain.name.encode() not in body
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            assert http(where, f"{method} {path}", body="x" * 10)[0] in (404, 405), (method, path)
    for path in (*OTHERS, f"/v1/policy/{domain.name}", f"/v1/cache/{domain.name}"):
        for method in ("GET", "POST", "PUT", "DELETE", "HEAD"):
            status, body = http(where, f"{method} {path}")
            assert status in (404, 405), (method, path, status)
            assert domain.name.encode() not in body
    assert http(path_of(mta, "control"), f"GET /v1/cache/{domain.name}")[0] == 200


@pytest.mark.parametrize("host, status", [
    ("127.0.0.1", 200), ("localhost:9000", 200), ("[::1]:80", 200), ("evil.example", 400),
    ("localhost.evil.example", 400), ("127.0.0.1.evil.example", 400), ("", 400), (None, 400)])
def test_a_web_page_cannot_read_the_metrics(start, free_port, host, status):
    """DNS rebinding: the browser says whose page it takes us for."""
    start({"control": {"listen": [f"inet:127.0.0.1:{free_port}"]}})
    assert http(("127.0.0.1", free_port), "GET /metrics", host=host)[0] == status


def test_only_lmtp_may_listen_beyond_loopback(tmp_path):
    def checked(text):
        config = tmp_path / "x.conf"
        config.write_text(text)
        done = programs.run("stsgated", "-t", "-c", str(config))
        return done.returncode, done.stderr

    for section in ("control", "policy-map"):
        status, words = checked(f'{section} {{ listen = {{"inet:192.0.2.1:99"}} }}\n')
        assert status == 78 and ":1: " in words and "loopback" in words
    status, words = checked('lmtp { listen = {"inet:192.0.2.1:99"} }\n')
    assert status == 78 and "allow-from" in words


def test_a_peer_outside_allow_from_is_turned_away(net, start, free_port):
    """127.0.0.1 is always let in on loopback: the rule is tried on an address of the lab."""
    where = "10.53.0.1"
    subprocess.run(["ip", "addr", "replace", f"{where}/32", "dev", "lo"], check=True)
    mta = start()
    unix = mta.settings["lmtp"]["listen"][0]
    mta.reload({"lmtp": {"listen": [unix, f"inet:{where}:{free_port}"],
                         "allow-from": ["192.0.2.0/24"]}})

    def greeting():
        with socket.create_connection((where, free_port), 30) as sock:
            return sock.recv(100)[:9]

    assert greeting() == b"421 4.7.1"
    mta.reload({"lmtp": {"allow-from": [f"{where}/32"]}})
    assert greeting()[:4] == b"220 "


def test_files_of_the_state_are_their_owners(net, start):
    mta = start()
    domain = net.domain(policy="enforce")
    mta.deliver(address(domain))
    seen = [path for path in (mta.directory / "state").rglob("*")]
    assert any(path.is_file() for path in seen)
    for path in seen:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), (path, oct(mode))


def limits(pid, name):
    """A process's soft and hard limit."""
    (line,) = [line for line in pathlib.Path(f"/proc/{pid}/limits").read_text("ascii").splitlines()
               if line.startswith(name)]
    return tuple(line[len(name):].split()[:2])


def test_the_process_is_closed_to_others(start):
    """No core with messages in it, no debugger, as many descriptors as may be had, no root."""
    mta = start()
    pid = mta.process.pid
    status = dict(line.split(":\t", 1) for line in
                  pathlib.Path(f"/proc/{pid}/status").read_text("ascii").splitlines())
    assert status["Umask"] == "0077"
    assert status["Uid"].split() == status["Uid"].split()[:1] * 4 != ["0"] * 4
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert limits(pid, "Max core file size") == ("0", "0")
    soft, hard = limits(pid, "Max open files")
    assert soft == hard
    assert os.stat(f"/proc/{pid}/status").st_uid == 0, "not dumpable: of root, whoever it runs as"


def test_descriptors_are_raised_to_the_hard_limit(net):
    mta = net.daemons.make()
    mta.start(prefix=["prlimit", "--nofile=64:2048"])
    assert limits(mta.process.pid, "Max open files") == ("2048", "2048")
    assert net.daemons.discard(mta) == 0


def plant_link(path, elsewhere):
    path.symlink_to(elsewhere)


def plant_file(path, elsewhere):
    path.write_text("precious")


def plant_dangling(path, elsewhere):
    path.symlink_to(elsewhere.parent / "nothing")


@pytest.mark.parametrize("section", ["lmtp", "policy-map", "control"])
@pytest.mark.parametrize("plant", [plant_link, plant_file, plant_dangling])
def test_what_is_planted_in_place_of_a_socket(net, section, plant):
    """It is neither followed, nor written to, nor removed, nor given another mode."""
    mta = net.daemons.make()
    elsewhere = mta.directory / "elsewhere"
    elsewhere.write_text("precious")
    elsewhere.chmod(0o640)
    path = path_of(mta, section)
    plant(path, elsewhere)
    before = os.lstat(path)
    with pytest.raises(DaemonFailed, match="status 69"):
        mta.start()
    assert str(path) in mta.log_text()
    after = os.lstat(path)
    assert (before.st_ino, before.st_mode, before.st_uid) == \
        (after.st_ino, after.st_mode, after.st_uid)
    assert elsewhere.read_text() == "precious"
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o640
    assert not (mta.directory / "nothing").exists()
    net.daemons.discard(mta)


def test_a_link_to_a_dead_socket_is_not_followed(net):
    mta = net.daemons.make()
    dead = mta.directory / "dead.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(dead))
    path_of(mta, "control").symlink_to(dead)
    with pytest.raises(DaemonFailed, match="status 69"):
        mta.start()
    assert dead.is_socket() and path_of(mta, "control").is_symlink()
    net.daemons.discard(mta)


def test_the_lock_is_not_followed(net):
    """Else who may write to the state directory could have any file emptied by root."""
    mta = net.daemons.make()
    elsewhere = mta.directory / "elsewhere"
    elsewhere.write_text("precious")
    (mta.directory / "state" / "lock").symlink_to(elsewhere)
    with pytest.raises(DaemonFailed, match="status 69"):
        mta.start()
    assert elsewhere.read_text() == "precious"
    net.daemons.discard(mta)


@pytest.mark.parametrize("mode, warned", [(0o750, False), (0o770, True), (0o757, True)])
def test_a_state_directory_that_others_may_write_to(net, mode, warned):
    """Who may put files there may forge or drop policies."""
    mta = net.daemons.make()
    (mta.directory / "state").chmod(mode)
    mta.start()
    lines = [line for line in mta.log("store", level="warning") if "is writable for" in line["msg"]]
    assert bool(lines) == warned, mta.log_text()
    checked = programs.run("stsgated", "-t", "-c", str(mta.config))
    assert ("is writable for" in checked.stderr) == warned, checked.stderr
    assert net.daemons.discard(mta) == 0


def test_changes_are_logged_with_the_uid(net, start):
    """Of whoever made them, as the kernel tells it."""
    group = grp.getgrnam("mail").gr_gid
    mta = start({"control": {"socket-group": "mail", "socket-mode": "0660"}})
    domain = net.domain(policy="enforce")
    mta.deliver(address(domain))
    ask = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
           "s.sendall(b'DELETE /v1/cache/%s HTTP/1.1\\r\\nHost: x\\r\\nX-Uid: 0\\r\\n'"
           "b'Connection: close\\r\\n\\r\\n' % sys.argv[2].encode()); print(s.recv(99))")
    with open_to_strangers(mta):
        answer = as_user(STRANGER, group, "/usr/bin/python3", "-c", ask,
                         path_of(mta, "control"), domain.name)
    assert "204" in answer
    wait_until(lambda: any(f"uid={STRANGER}" in line and domain.name in line
                           for line in mta.log_text().splitlines()), 30, "the log line")
    assert not re.search(r"uid=0\b.*" + re.escape(domain.name), mta.log_text())


def test_strangers_learn_from_the_map_what_it_is_for(net, mta):
    """Maps about domains; nothing about counters, the cache or mail."""
    with socketmap.Client(mta.settings["policy-map"]["listen"][0]) as client:
        for name in ("cache", "stats", "metrics", "check", "refresh", "forget", "../json"):
            assert client.ask(name, "a.example").startswith("TEMP "), name
    for line in (b"GET /v1/cache HTTP/1.1\r\n\r\n", b"DELETE /v1/cache/a.example HTTP/1.1\r\n\r\n",
                 b"stats\n", b"cache list\n"):
        with connect(path_of(mta, "policy-map")) as sock:
            sock.sendall(line)
            answer = sock.recv(1000)
        assert answer in (b"", b"mode=error\n"), (line, answer)
