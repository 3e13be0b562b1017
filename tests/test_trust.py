"""What SECURITY.md promises of the whole command, sentence by sentence. What one module keeps is tested beside it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from ctpolicy.cli import options
from ctpolicy.cli.main import COMMANDS
from kernel.command_line import EXAMPLES, ran
from kernel.namespace import Namespace, skip_but_for_ci

ROOT: Final = Path(__file__).parent.parent
CLI: Final = ROOT / "policy" / "ctpolicy" / "cli"
STRANGER: Final = 12345
MAIN: Final = "from ctpolicy.cli.main import main; main()"
EXAMPLE: Final = EXAMPLES / "openshift-worker.yaml"
PACKET: Final = "in udp 192.168.7.72:40000 -> 192.168.7.71:4789"
NOTHING: Final = '{"nftables": []}'
HOSTILE: Final = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
"""Sets a terminal's title, clears it, colours it and turns the direction of text."""


# Unsafe policy files are refused, where something is to be done as they say.


@pytest.fixture
def strangers(tmp_path: Path) -> Path:
    """A valid policy that everybody may write, in a directory of which that is true too."""
    path = tmp_path / "policy.yaml"
    path.write_text(EXAMPLE.read_text())
    path.chmod(0o666)
    tmp_path.chmod(0o777)
    return path


@pytest.mark.kernel
@pytest.mark.parametrize(
    "command",
    [
        ["apply", "--yes"],
        ["apply", "--yes", "--backend", "iptables-nft"],
        ["migrate", "--yes", "--from", "iptables-nft", "--to", "nftables"],
    ],
    ids=lambda command: " ".join(command),
)
def test_root_does_not_act_on_a_policy_that_others_could_write(
    command: list[str], strangers: Path, namespace: Namespace
) -> None:
    netns = ("--netns", namespace.path)
    if command[0] == "migrate":
        assert ran("apply", "--yes", "--backend", "iptables-nft", EXAMPLE, *netns).status == 0
    before = namespace.ruleset()
    refused = ran(*command, strangers, *netns)
    assert refused.status == 2, refused
    assert "could be changed by others, and with it this host" in refused.errors
    assert f"chmod go-w {strangers.parent}" in refused.errors
    assert namespace.ruleset() == before
    strangers.parent.chmod(0o755)
    strangers.chmod(0o644)
    assert ran(*command, strangers, *netns).status == 0
    assert namespace.ruleset() != before


@pytest.mark.parametrize(
    "words",
    [
        ["validate"],
        ["lint"],
        ["compile"],
        ["plan", "--live", "LISTING"],
        ["explain", PACKET],
        ["diff", "LISTING"],
        ["status", "--live", "LISTING"],
    ],
    ids=lambda words: words[0],
)
def test_anybodys_policy_may_be_looked_at(words: list[str], strangers: Path) -> None:
    listing = strangers.parent / "listing.json"
    listing.write_text(NOTHING)
    ended = ran(*(str(listing) if word == "LISTING" else word for word in words), strangers)
    assert ended.status in {0, 8}, ended
    assert "others" not in ended.errors


@pytest.mark.kernel
def test_in_a_user_namespace_files_of_the_world_outside_are_taken(tmp_path: Path) -> None:
    """There every owner that it does not know is one and the same, root of the machine among them."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(EXAMPLE.read_text())
    try:
        os.chown(policy, STRANGER, -1)
    except OSError:
        skip_but_for_ci("only root of the machine gives files away")
    applying: list[str | Path] = [sys.executable, "-c", MAIN, "--debug", "apply", "--yes", policy]
    assert _run("unshare", "--net", *applying).returncode == 2
    inside = _run("unshare", "--user", "--map-root-user", "--net", *applying)
    assert inside.returncode == 0, inside
    policy.chmod(0o666)
    assert _run("unshare", "--user", "--map-root-user", "--net", *applying).returncode == 2


def _run(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(word) for word in words]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=120)


# Absolute tools and a clean environment.


@pytest.mark.kernel
@pytest.mark.parametrize("backend", ["nftables", "iptables-nft", "iptables-legacy"])
def test_nothing_of_the_callers_environment_reaches_a_tool(tmp_path: Path, namespace: Namespace, backend: str) -> None:
    """Tools and modules of the caller's own, of the right names, would leave a mark."""
    bin_, modules, mark = tmp_path / "bin", tmp_path / "modules", tmp_path / "mark"
    bin_.mkdir()
    modules.mkdir()
    tools = [f"{tool}{variant}{act}" for tool in ("iptables", "ip6tables") for variant in ("", "-nft", "-legacy")
             for act in ("", "-save", "-restore")]  # fmt: skip
    for tool in (*tools, "xtables-nft-multi", "xtables-legacy-multi", "ipset", "nft", "sh", "modprobe"):
        (bin_ / tool).write_text(f"#!/bin/sh\necho {tool} >>{mark}\n")
        (bin_ / tool).chmod(0o755)
    (modules / "nftables.py").write_text(f"open({str(mark)!r}, 'a').write('module')\nraise ImportError\n")
    poison = {
        "PATH": f"{bin_}:{os.environ['PATH']}",
        "PYTHONPATH": f"{modules}:{ROOT / 'policy'}",
        "PYTHONSTARTUP": str(modules / "nftables.py"),
        "LD_PRELOAD": "/nonexistent/preload.so",
        "XTABLES_LIBDIR": "/nonexistent",
        "XTABLES_LOCKFILE": str(tmp_path / "lock"),
        "IPTABLES_LIB_DIR": "/nonexistent",
        "IPSET_MODULE": "/nonexistent",
        "NFT_DEBUG": "all",
        "BASH_ENV": str(bin_ / "sh"),
    }
    arguments = ("--yes", "--backend", backend, "--netns", namespace.path, EXAMPLE)
    done = _run(sys.executable, "-c", MAIN, "apply", *arguments, **poison)
    assert done.returncode == 0, done
    assert not mark.exists(), mark.read_text()
    assert not (tmp_path / "lock").exists()
    again = _run(sys.executable, "-c", MAIN, "apply", *arguments)
    assert again.stdout == "Nothing to do: what is live is what the policy means.\n"


def test_no_shell_is_ever_started() -> None:
    for path in (ROOT / "policy").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}, path
                assert not any(word.arg == "shell" for word in node.keywords), path


# What a terminal is told cannot command it.


def _printed(node: ast.Call) -> ast.expr | None:
    return node.args[0] if ast.unparse(node.func) in {"click.echo", "click.secho", "print"} and node.args else None


def _is_ours(value: ast.expr) -> bool:
    """Whether an expression can only be our own words, or text that was made harmless."""
    match value:
        case ast.Constant():
            return True
        case ast.Call(func=ast.Name(id="harmless")):
            return True
        case ast.JoinedStr(values=parts):
            return all(map(_is_ours, parts))
        case ast.FormattedValue(value=ast.Attribute(attr="number")):  # of a change
            return True
        case ast.FormattedValue(format_spec=ast.JoinedStr(values=[ast.Constant(value="g")])):  # takes numbers alone
            return True
        case ast.IfExp(body=body, orelse=orelse):
            return _is_ours(body) and _is_ours(orelse)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _is_ours(left) and _is_ours(right)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="click"), attr="style"), args=[first, *_]):
            return _is_ours(first)
    return False


# Each with what makes it harmless.
MADE_OF_OURS: Final = {
    ("compile.py", "text(table)"): "names and comments of a small alphabet; the law of names and comments",
    ("compile.py", "texts.get(form or 'iptables', '')"): "the same",
    ("drain.py", "drained_line(drained)"): "numbers",
    ("migrate.py", "f'First: {target}'"): "a choice of ours",
    ("migrate.py", "f'\\nThen: {source}'"): "a choice of ours",
    ("migrate.py", 'f"Moved: the host was read again. {targe'): "two choices of ours",
    ("validate.py", "f'{policy.name}: valid ({counts})'"): "a name of a small alphabet, and numbers",
    ("output.py", "json.dumps(value, indent=2).replace('\\x7"): "ASCII, its controls escaped",
}  # fmt: skip


def test_every_text_that_is_printed_is_ours_or_made_harmless() -> None:
    unsafe = set()
    for path in sorted(CLI.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and (value := _printed(node)) is not None and not _is_ours(value):
                unsafe.add((path.name, ast.unparse(value)[:40]))
    assert unsafe - set(MADE_OF_OURS) == set()


def _assert_harmless(text: str) -> None:
    assert all(character.isprintable() or character == "\n" for character in text), repr(text)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "schema"])
def test_no_argument_reaches_the_terminal_as_it_is(name: str) -> None:
    for words in ([name, HOSTILE], [name, f"--{HOSTILE}"], [name, "--netns", HOSTILE, HOSTILE], [HOSTILE]):
        ended = ran(*words)
        assert ended.status != 0
        _assert_harmless(ended.output + ended.errors)


def _foreign_listing() -> str:
    """Rules that somebody else has named so that whoever lists them is taken in."""
    table = {"family": "inet", "table": HOSTILE}
    chain = {**table, "name": HOSTILE, "type": "filter", "hook": "prerouting", "prio": -300, "policy": "accept"}
    matching = {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": f"e{HOSTILE}"}}
    rule = {**table, "chain": HOSTILE, "comment": HOSTILE, "expr": [matching, {"notrack": None}]}
    strange = {**rule, "expr": [{HOSTILE: HOSTILE}, {"notrack": None}]}
    listed = [{"table": {"family": "inet", "name": HOSTILE}}, {"chain": chain}, {"rule": rule}, {"rule": strange}]
    return json.dumps({"nftables": listed})


FOREIGN: Final = f"""# Generated by iptables-save v1.8.9 on {HOSTILE}
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:x{HOSTILE} - [0:0]
-A PREROUTING -i e{HOSTILE} -m comment --comment "{HOSTILE}" -j CT --notrack
-A PREROUTING -m {HOSTILE} -j x{HOSTILE}
COMMIT
"""


@pytest.mark.parametrize("listing", [_foreign_listing(), FOREIGN], ids=["nftables", "iptables"])
@pytest.mark.parametrize("json_", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize(
    "words",
    [
        ["plan", "--live", "LISTING", EXAMPLE],
        ["lint", "--live", "LISTING"],
        ["explain", "in udp 10.0.0.1:1 -> 10.0.0.2:2 dev e", "--live", "LISTING"],
        ["diff", "LISTING", EXAMPLE],
        ["status", "--live", "LISTING"],
        ["import", "LISTING"],
    ],
    ids=lambda words: str(words[0]),
)
def test_no_foreign_text_reaches_the_terminal_as_it_is(
    words: list[str | Path], json_: list[str], listing: str, tmp_path: Path
) -> None:
    path = tmp_path / f"listing{HOSTILE}.txt"
    path.write_text(listing)
    if words[0] == "import" and json_:
        words = words[:2]
        json_ = []
    ended = ran(*(path if word == "LISTING" else word for word in words), *json_)
    assert ended.status != 1, ended
    assert ended.output + ended.errors or words[0] == "lint"
    _assert_harmless(ended.output + ended.errors)


def test_no_text_of_a_policy_or_of_its_name_reaches_the_terminal_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / f"policy{HOSTILE}.yaml"
    escaped = json.dumps(HOSTILE)
    path.write_text(
        f"apiVersion: ctpolicy/v1\nname: {escaped}\n{escaped}: 1\nbypass: [{{name: a, overlay: {escaped}}}]\n"
    )
    for words in (["validate"], ["validate", "--json"], ["compile"], ["plan", "--live", "/dev/null"]):
        ended = ran(*words, path)
        assert ended.status == 2, ended
        _assert_harmless(ended.output + ended.errors)


# Sizes are bounded.


@pytest.mark.parametrize("source", ["file", "/dev/zero"])
def test_a_listing_without_end_is_refused(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "LARGEST_LISTING", 1 << 20)
    path = tmp_path / "listing" if source == "file" else Path(source)
    if source == "file":
        path.write_text(NOTHING + " " * (1 << 20))
    ended = ran("plan", "--live", path, EXAMPLE)
    assert ended.status == 2
    assert "is larger than 1 MiB" in ended.errors


@pytest.mark.parametrize("command", ["validate", "compile"])
def test_a_policy_without_end_is_refused(command: str) -> None:
    ended = ran(command, "/dev/zero")
    assert ended.status == 2
    assert "is larger than 4 MiB" in ended.errors


@pytest.mark.parametrize(
    "listing",
    [
        '{"nftables": ' + "[" * 100_000,
        '{"nftables": [{"table": {"family": "inet", "name": "x", "handle": ' + "9" * 10_000 + "}}]}",
        '{"nftables": [{"rule": ' * 20_000,
        '{"nftables": [{"chain": {"family": "inet", "table": "t", "name": "c", "prio": 1e999, "hook": "output"}}]}',
        '{"nftables": [{"set": {"family": "ip", "table": "t", "name": "s", "type": "ipv4_addr", "elem": '
        '[{"prefix": {"addr": "0.0.0.0", "len": 99999999999999999999}}]}}]}',
    ],
    ids=["deep", "a long number", "deep rules", "infinite", "a long prefix"],
)
def test_a_listing_that_is_meant_to_hurt_is_no_bug(listing: str, tmp_path: Path) -> None:
    path = tmp_path / "listing.json"
    path.write_text(listing)
    ended = ran("plan", "--live", path, EXAMPLE)
    assert ended.status in {0, 2, 5}, ended.errors[-300:]


# What is decided from files touches no host.

WATCHED: Final = """
import os, sys

# Everything that is needed is imported, and its files read, before anything is watched.
from importlib import import_module
from ctpolicy.cli.main import COMMANDS, run
for name in COMMANDS:
    import_module("ctpolicy.cli." + {"import": "import_"}.get(name, name).replace("-", "_"))

import ctpolicy
schemas = os.path.join(os.path.dirname(ctpolicy.__file__), "schemas")
places = {sys.argv[1], schemas, sys.prefix, sys.base_prefix, *sys.path} - {""}
may_read = tuple(map(os.path.realpath, places))
forbidden = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.spawn", "socket.", "ctypes.",
    "os.chmod", "os.chown", "os.link", "os.symlink", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate",
    "os.kill", "os.setxattr", "os.putenv", "pty.", "shutil.", "tempfile.")

def watch(event, arguments):
    if event.startswith(forbidden):
        sys.stderr.write(f"TOUCHED {event} {arguments}\\n")
        os._exit(99)
    if event == "open" and not isinstance(arguments[0], int):
        path, mode, flags = arguments
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) if isinstance(flags, int) else False
        if writes or not os.path.realpath(os.fsdecode(path)).startswith(may_read):
            sys.stderr.write(f"TOUCHED open {path} {flags}\\n")
            os._exit(99)

sys.addaudithook(watch)
status = run(sys.argv[2:])
sys.stdout.flush()
os._exit(status)
"""


@pytest.fixture
def request_(tmp_path: Path) -> Path:
    """What a stranger's pull request holds: a policy with a list, the one before it, and a listing."""
    (tmp_path / "nodes.txt").write_text("192.168.7.0/24\n")
    entries = "groups: {nodes: {file: nodes.txt}}\nbypass: [{name: v, overlay: vxlan, peers: nodes}]\n"
    (tmp_path / "new.yaml").write_text(f"apiVersion: ctpolicy/v1\nname: new\n{entries}")
    (tmp_path / "old.yaml").write_text("apiVersion: ctpolicy/v1\nname: old\nbypass: [{name: v, overlay: vxlan}]\n")
    (tmp_path / "listing.json").write_text(NOTHING)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["validate", "NEW"],
        ["validate", "--json", "NEW"],
        ["lint", "NEW"],
        ["compile", "NEW"],
        ["compile", "--format", "json", "NEW"],
        ["compile", "--backend", "iptables-nft", "NEW"],
        ["explain", PACKET, "NEW"],
        ["diff", "OLD", "NEW"],
        ["diff", "LISTING", "NEW"],
        ["plan", "--live", "LISTING", "NEW"],
        ["status", "--live", "LISTING", "NEW"],
        ["lint", "--live", "LISTING"],
        ["import", "LISTING"],
        ["schema"],
    ],
    ids=lambda words: " ".join(words[:3]),
)
def test_what_is_asked_of_files_touches_no_host(words: list[str], request_: Path) -> None:
    places = {"NEW": "new.yaml", "OLD": "old.yaml", "LISTING": "listing.json"}
    named = [str(request_ / places[word]) if word in places else word for word in words]
    done = _run(sys.executable, "-c", WATCHED, request_, *named)
    assert done.returncode in {0, 8}, done
    assert "TOUCHED" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [["status"], ["plan", "NEW"], ["lint", "live"], ["compile", "--output", "OUT", "--backend", "iptables-nft", "NEW"]],
    ids=lambda words: words[0],
)
def test_a_touch_would_be_seen(words: list[str], request_: Path) -> None:
    places = {"NEW": "new.yaml", "OUT": "out"}
    named = [str(request_ / places[word]) if word in places else word for word in words]
    done = _run(sys.executable, "-c", WATCHED, request_, *named)
    assert done.returncode == 99, done
    assert "TOUCHED" in done.stderr
