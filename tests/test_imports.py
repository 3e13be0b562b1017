"""Imports go one way, and few modules touch the running system: the rules of docs/architecture.md, held."""

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

PACKAGE: Final = Path(__file__).parent.parent / "policy" / "ctpolicy"

# What each part may import of ours, besides itself and `errors`.
BELOW_BACKENDS: Final = {"netfilter", "meaning", "meaning_space", "language", "packetspace"}
BACKENDS: Final = {"nftables", "iptables"}
EVERYTHING: Final = (
    {"boundaries", "oracle"}
    | BELOW_BACKENDS
    | BACKENDS
    | {"namespaces", "hazards", "importing", "plan", "apply", "review", "conntrack", "metrics", "doctor"}
)
MAY_IMPORT: Final[dict[str, set[str]]] = {
    "errors": set(),
    "namespaces": set(),
    "packetspace": set(),
    "language": {"packetspace", "meaning"},  # the loader's last stage asks what was read (decision 0004)
    "meaning": {"language.policy", "packetspace"},
    "meaning_space": {"language.policy", "meaning", "packetspace"},
    "boundaries": {"meaning", "language.policy", "packetspace"},
    "netfilter": {"meaning", "language.policy", "packetspace"},
    "hazards": BELOW_BACKENDS | {"importing"},  # which writes entries as text
    "nftables": BELOW_BACKENDS | {"hazards"},  # which they tell their rules in the form of
    "iptables": BELOW_BACKENDS | {"hazards"},
    "conntrack": BELOW_BACKENDS | {"namespaces"},
    "importing": BELOW_BACKENDS,
    "plan": BELOW_BACKENDS | BACKENDS | {"hazards"},
    "apply": BELOW_BACKENDS | {"namespaces"} | BACKENDS | {"plan"},
    "oracle": BELOW_BACKENDS | BACKENDS,
    "review": BELOW_BACKENDS | BACKENDS | {"boundaries", "hazards", "oracle", "plan"},
    "metrics": BELOW_BACKENDS | {"plan", "apply", "conntrack"},
    "doctor": BELOW_BACKENDS | {"namespaces"} | BACKENDS | {"plan", "apply", "conntrack"},
    "__main__": {"cli"},
    "cli": EVERYTHING,
    "testing": EVERYTHING,
}
ON_ITS_OWN: Final = {"packetspace"}  # not even errors

# Modules through which a program reaches the running system.
SYSTEM: Final = {
    *("asyncio", "ctypes", "fcntl", "http", "multiprocessing", "nftables", "os", "pty", "pyroute2", "resource"),
    *("select", "shutil", "signal", "socket", "socketserver", "subprocess", "tempfile", "termios", "time"),
    *("threading", "tty"),
}
FILES: Final = {"pathlib", "io", "glob"}
# Address families, the conversion between addresses' text and bytes, paths as text: functions of their arguments alone.
PURE: Final = {f"socket.{name}" for name in ("AF_INET", "AF_INET6", "inet_ntop", "inet_pton")} | {
    "pathlib.PurePosixPath"
}
DYNAMIC: Final = {"importlib.import_module", "__import__", "exec", "eval"}

# The doors: modules that may, with what each may and why.
MAY_TOUCH: Final[dict[str, set[str]]] = {
    "namespaces": SYSTEM | FILES,  # enters and makes network namespaces
    "nftables.kernel": SYSTEM | FILES,  # talks to libnftables, in a child with a deadline
    "nftables.worker": SYSTEM | FILES,  # is that child
    "iptables.kernel": SYSTEM | FILES,  # the same for the iptables and ipset tools
    "iptables.worker": SYSTEM | FILES,  # is the child that becomes such a tool
    "iptables.installed": SYSTEM | FILES,  # looks for them
    "conntrack.sockets": SYSTEM | FILES,  # opens netlink sockets in network namespaces
    "conntrack.reader": SYSTEM | FILES,  # reads the live table
    "conntrack.shares": SYSTEM | FILES,  # reads large saved tables in several processes
    "conntrack.kernel_facts": SYSTEM | FILES,  # reads what is known of it without its entries
    "doctor.this_machine": SYSTEM | FILES,  # reads files and runs programs, to say how the host is
    "apply.files": SYSTEM | FILES,  # keeps snapshots
    "apply.lock": SYSTEM | FILES,
    "apply.place": SYSTEM | FILES,  # tells network namespaces apart
    "apply.clock": SYSTEM | FILES,  # clocks, and who is there
    "apply.signals": SYSTEM,  # lets them wait
    "apply.timer": SYSTEM | FILES,  # starts the process that takes back what nobody confirms
    "apply.state": FILES,  # names directories
    "apply.unit_file": SYSTEM | FILES,  # writes the systemd unit
    "review.git": SYSTEM | FILES,  # asks git what a repository holds
    "review.revisions": {"os", "pathlib"},  # tells files from revisions, and reads what a review compares with
    "metrics.gathering": {"threading", "time"},  # asks with a time bound
    "metrics.server": {"http", "signal", "socket", "threading"},
    "metrics.textfile": SYSTEM | FILES,  # writes one
    "oracle.namespace": SYSTEM | FILES,  # makes scratch namespaces and enters them
    "oracle.worlds": {"socket", "time"},  # sends packets there
    "oracle.asking": SYSTEM | FILES,  # is the child that leaves the host's namespace first
    "language": FILES,  # takes the names of policies and of the address files that they name
    "language.source": {"os"},  # reads them, and refuses what is no file or too large
    "language.trust": {"os"},  # looks who else could write them
    "cli": FILES,  # takes file names
    "cli.repeated": {"threading"},  # reads the host while somebody looks
    "cli.terminal": SYSTEM,  # keys and signals
    "cli.main": {"os", "importlib"},  # NO_COLOR, a closed pipe; imports the command that was called, by its name
    "cli.conntrack": {"importlib"},  # imports the command that was called, by its name
    "testing": SYSTEM | FILES | {"importlib"},  # is shipped for tests, and imported by nothing; names are lazy
}

# Third-party packages, by the part that has a reason for them.
BELONGS_TO: Final = {
    "click": "cli",
    "hypothesis": "review",  # and testing's, which may use whatever users' tests do
    "jsonschema": "language",
    "pytest": "testing",
    "prometheus_client": "metrics",
    "rich": "cli",
    "yaml": "language",
}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(source: str, module: str, is_package: bool) -> Iterator[str]:
    """Every module that the source names in an import, by its full name, wherever it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = f"ctpolicy.{module}".rstrip(".").split(".")
                kept = parents[: len(parents) - node.level + is_package]
                base = ".".join([*kept, *([base] if base else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).removeprefix("importlib.") in {
            name.removeprefix("importlib.") for name in DYNAMIC
        }:
            yield f"dynamic:{ast.unparse(node.func)}"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "open":
            yield "io.open"


def doors_of(module: str) -> set[str]:
    """What a module may touch: what it or a package around it has leave for."""
    parts = module.split(".")
    return set().union(*(MAY_TOUCH.get(".".join(parts[:depth]), set()) for depth in range(1, len(parts) + 1)))


def faults(source: str, module: str, is_package: bool = False) -> list[str]:
    """What a module of ours imports and may not."""
    part = module.split(".")[0]
    found = []
    for name in sorted(set(imports(source, module, is_package))):
        first, *rest = name.split(".")
        if name.startswith("dynamic:") and "importlib" not in doors_of(module):
            found.append(f"{module} calls {name.removeprefix('dynamic:')}, which hides what is imported")
        elif first == "ctpolicy" and rest and rest[0] in MAY_IMPORT:
            allowed = MAY_IMPORT[part] | {part} | (set() if part in ON_ITS_OWN else {"errors"})
            if not any(f"{name}.".startswith(f"ctpolicy.{one}.") for one in allowed):
                found.append(f"{module} imports {name}: {part} may not import {rest[0]}")
        elif first in (SYSTEM | FILES) - doors_of(module) and name not in PURE:
            found.append(f"{module} imports {name}, which touches the running system")
        elif BELONGS_TO.get(first, part) != part and part != "testing":
            found.append(f"{module} imports {name}, which only {BELONGS_TO[first]} has a reason for")
    return found


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_imports_only_what_its_part_may(path: Path) -> None:
    module = module_name(path)
    if module == "":  # the package itself: its version, and nothing imported
        assert list(imports(path.read_text(), "", True)) == []
        return
    assert module.split(".")[0] in MAY_IMPORT, f"{module} is a new part: give it a place in MAY_IMPORT"
    assert faults(path.read_text(), module, path.name == "__init__.py") == []


def dependencies(texts: dict[str, str]) -> dict[str, set[str]]:
    """For each module, by its full name, those of the others that it imports from."""
    graph: dict[str, set[str]] = {}
    for module, text in texts.items():
        graph[module] = set()
        for name in imports(text, module, False):
            parts = name.removeprefix("ctpolicy.").split(".")
            prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
            graph[module] |= {found for found in [next((one for one in prefixes if one in texts), None)] if found}
    return graph


def test_no_modules_import_each_other() -> None:
    texts = {module_name(path): path.read_text() for path in sources() if path.name != "__init__.py"}
    graphlib.TopologicalSorter(dependencies(texts)).prepare()


def test_modules_that_import_each_other_are_found() -> None:
    texts = {"meaning": "from ctpolicy.language.load import load", "language.load": "from ctpolicy.meaning import legs"}
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter(dependencies(texts)).prepare()


def test_door_to_the_kernel_is_where_the_rules_say() -> None:
    assert {"nftables.kernel", "iptables.kernel"} <= {module_name(path) for path in sources()}


def test_no_module_is_named_for_nothing_in_particular() -> None:
    names = {part for path in sources() for part in module_name(path).split(".")}
    assert not names & {"utils", "helpers", "common", "manager", "base"}


@pytest.mark.parametrize(
    ("module", "source", "fault"),
    [
        ("packetspace.fields", "from ctpolicy.errors import InputError", "packetspace may not import errors"),
        ("packetspace.packet", "from ctpolicy.meaning import legs", "packetspace may not import meaning"),
        ("packetspace.packet", "from ctpolicy import meaning", "packetspace may not import meaning"),
        ("packetspace.packet", "from .. import meaning", "packetspace may not import meaning"),
        ("meaning", "from ctpolicy.language.load import load_text", "meaning may not import language"),
        ("meaning", "import ctpolicy.nftables.compile", "meaning may not import nftables"),
        ("meaning", "from .nftables import compile", "meaning may not import nftables"),
        ("nftables.compile", "from ctpolicy.iptables import compile", "nftables may not import iptables"),
        ("nftables.compile", "def f():\n    from ctpolicy.cli import main", "nftables may not import cli"),
        ("nftables.compile", "from ctpolicy.plan import compare", "nftables may not import plan"),
        ("plan.compare", "from ctpolicy.apply import commit", "plan may not import apply"),
        ("apply.commit", "from ctpolicy.testing import fake", "apply may not import testing"),
        ("nftables.compile", "import subprocess", "touches the running system"),
        ("nftables.read", "import nftables", "touches the running system"),
        ("plan.compare", "from os import environ", "touches the running system"),
        ("meaning", "from pathlib import Path", "touches the running system"),
        ("meaning", "open('/etc/passwd')", "touches the running system"),
        ("cli.plan", "import subprocess", "touches the running system"),
        ("language.load", "import socket", "touches the running system"),
        ("language.load", "from socket import create_connection", "touches the running system"),
        ("language.load", "import os", "touches the running system"),
        ("plan.compare", "import click", "only cli has a reason for"),
        ("meaning", "import importlib\nimportlib.import_module('os')", "hides what is imported"),
        ("meaning", "from importlib import import_module\nimport_module('os')", "hides what is imported"),
    ],
)
def test_forbidden_import_is_found(module: str, source: str, fault: str) -> None:
    assert any(fault in found for found in faults(source, module))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("cli.apply", "from ctpolicy.apply import transaction\nfrom pathlib import Path\nimport click"),
        ("nftables.kernel", "import subprocess, os"),
        ("language.addresses", "from socket import AF_INET, inet_pton"),
        ("language.source", "import os, stat\nfrom pathlib import Path"),
        ("nftables.compile", "from .ruleset import Ruleset\nfrom ..meaning import legs\nimport re"),
        ("testing", "from ctpolicy.nftables import kernel\nimport subprocess"),
    ],
)
def test_allowed_import_is_no_fault(module: str, source: str) -> None:
    assert faults(source, module) == []


def test_relative_import_in_a_package_is_resolved_from_the_package() -> None:
    assert "ctpolicy.language.policy.Policy" in set(imports("from .policy import Policy", "language", True))
    assert "ctpolicy.language.policy.Policy" in set(imports("from .policy import Policy", "language.load", False))
