"""The door to iptables and ipset, on the real tools: what is there, what is not, and what it does when it may not."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import ctpolicy
from ctpolicy.errors import HostError, LockError, RefusedError
from ctpolicy.iptables.failures import NotForIptablesError, SetsRefusedError
from ctpolicy.iptables.kernel import IptablesTools
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family
from kernel.namespace import Namespace, skip_but_for_ci
from kernel.raw_tables import change

pytestmark = pytest.mark.kernel

each_variant = pytest.mark.parametrize("variant", Variant, ids=lambda variant: variant.value)
each_family = pytest.mark.parametrize("family", Family, ids=lambda family: family.value)

RULE = "-A OURS -p udp -m udp --dport 4789 -j CT --notrack"
CHANGE = change(":OURS - [0:0]", RULE, "-I OUTPUT -j OURS")


def tools_of(host: Namespace, lock_wait: int = 30) -> IptablesTools:
    return IptablesTools(host.path, lock_wait=lock_wait)


def in_python(code: str) -> list[str]:
    """A command that runs this with our package: in namespaces that this process must not enter itself."""
    source = Path(ctpolicy.__file__).parent.parent
    imports = (
        f"import sys; sys.path.insert(0, {str(source)!r})",
        "from ctpolicy.iptables.kernel import IptablesTools",
        "from ctpolicy.iptables.ruleset import Variant",
        "from ctpolicy.packetspace.fields import Family",
        "from ctpolicy.errors import CtpolicyError",
    )
    return [sys.executable, "-c", "\n".join([*imports, code])]


def legacy_names(host: Namespace) -> str:
    return host.run("sh", "-c", "cat /proc/self/net/ip_tables_names /proc/self/net/ip6_tables_names").stdout


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """A lock that another has."""
    descriptor = os.open(lock, os.O_RDONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@each_variant
@each_family
def test_a_raw_table_that_is_not_there_is_none(variant: Variant, family: Family, namespace: Namespace) -> None:
    assert tools_of(namespace).save(variant, family) is None


def test_looking_for_a_raw_table_makes_none(namespace: Namespace) -> None:
    for variant in Variant:
        for family in Family:
            tools_of(namespace).save(variant, family)
    assert namespace.ruleset() == ""
    if not os.access("/proc/net/ip_tables_names", os.R_OK):
        skip_but_for_ci("an ordinary user may not see which tables legacy has")
    assert legacy_names(namespace) == ""


@each_variant
@each_family
def test_an_empty_raw_table_is_not_none(variant: Variant, family: Family, namespace: Namespace) -> None:
    tools = tools_of(namespace)
    tools.restore(variant, family, change("-A OUTPUT -p udp"))
    tools.restore(variant, family, change("-D OUTPUT -p udp"))
    text = tools.save(variant, family)
    assert text is not None
    assert ":OUTPUT ACCEPT" in text
    assert "-A" not in text


def test_a_table_of_nft_without_a_chain_is_an_empty_raw_table(namespace: Namespace) -> None:
    namespace.load("add table ip raw")
    text = tools_of(namespace).save(Variant.NFT, Family.IPV4)
    assert text is not None
    assert "-A" not in text
    assert tools_of(namespace).save(Variant.NFT, Family.IPV6) is None


@each_variant
@each_family
def test_what_is_restored_is_saved_with_its_counters(variant: Variant, family: Family, namespace: Namespace) -> None:
    tools = tools_of(namespace)
    # ip6tables-nft-restore takes counters and forgets them (1.8.9); all others keep them.
    counters = "[0:0]" if (variant, family) == (Variant.NFT, Family.IPV6) else "[3:300]"
    tools.restore(variant, family, CHANGE.replace(RULE, f"{counters} {RULE}"))
    text = tools.save(variant, family)
    assert text is not None
    assert f"{counters} {RULE}" in text.splitlines()
    assert "[0:0] -A OUTPUT -j OURS" in text.splitlines()
    others = [(one, other) for one in Variant for other in Family if (one, other) != (variant, family)]
    assert [tools.save(*other) for other in others] == [None, None, None]


@each_variant
def test_a_refused_change_changes_nothing(variant: Variant, namespace: Namespace) -> None:
    tools = tools_of(namespace)
    tools.restore(variant, Family.IPV4, CHANGE)
    before = namespace.run(f"iptables-{variant.value}-save", "-t", "raw").stdout.splitlines()[2:-1]
    for fault in ("-D OUTPUT -p sctp", "-A NOWHERE -p udp", "-A OURS -m set --match-set gone src", "-X OURS"):
        with pytest.raises(RefusedError, match="refused all of it"):
            tools.restore(variant, Family.IPV4, change(":NEW - [0:0]", "-D OUTPUT -j OURS", "-I OUTPUT -j OURS", fault))
    assert namespace.run(f"iptables-{variant.value}-save", "-t", "raw").stdout.splitlines()[2:-1] == before


@pytest.mark.parametrize(
    "native",
    [
        "add set ip raw peers { type ipv4_addr; }\nadd rule ip raw OUTPUT ip saddr @peers notrack",
        "add rule ip raw OUTPUT udp dport { 53, 4789 } notrack",
        "add rule ip raw OUTPUT ip saddr . udp dport { 10.0.0.1 . 53 } notrack",
        "add chain ip raw late { type filter hook output priority -290; }\nadd rule ip raw late udp dport 53 notrack",
    ],
    ids=["set", "anonymous set", "concatenation", "base chain"],
)
def test_native_objects_in_ip_raw_are_an_error_and_never_no_rules(native: str, namespace: Namespace) -> None:
    """iptables-nft-save prints a remark, no rules, and exits with 0 (1.8.9)."""
    tools = tools_of(namespace)
    tools.restore(Variant.NFT, Family.IPV4, CHANGE)
    namespace.load(native)
    with pytest.raises(NotForIptablesError, match="nft list table ip raw") as raised:
        tools.save(Variant.NFT, Family.IPV4)
    assert raised.value.exit_status == 5
    assert tools.save(Variant.NFT, Family.IPV6) is None
    assert tools.save(Variant.LEGACY, Family.IPV4) is None


def test_native_tables_of_other_names_are_nothing_to_iptables(namespace: Namespace) -> None:
    namespace.load("table inet raw { chain OUTPUT { type filter hook output priority -300; udp dport 53 notrack; }; }")
    assert tools_of(namespace).save(Variant.NFT, Family.IPV4) is None


@each_variant
def test_bytes_of_others_comments_are_given_back_as_they_were(variant: Variant, namespace: Namespace) -> None:
    comment = os.fsdecode(b"caf\xe9")
    namespace.run(f"iptables-{variant.value}", "-t", "raw", "-A", "OUTPUT", "-m", "comment", "--comment", comment)
    tools = tools_of(namespace)
    text = tools.save(variant, Family.IPV4)
    assert text is not None
    (line,) = (line.split("] ")[1] for line in text.splitlines() if "-A OUTPUT" in line)
    assert comment in line
    tools.restore(variant, Family.IPV4, change(line.replace("-A", "-D", 1)))
    assert "-A OUTPUT" not in (tools.save(variant, Family.IPV4) or "")


@each_variant
def test_ipv6_without_addresses_still_has_tables(variant: Variant, namespace: Namespace) -> None:
    """net.ipv6.conf.all.disable_ipv6 takes addresses away, not netfilter; ipv6.disable=1 at boot takes both."""
    namespace.write("ipv6/conf/all/disable_ipv6", 1)
    tools = tools_of(namespace)
    tools.restore(variant, Family.IPV6, CHANGE)
    assert RULE in (tools.save(variant, Family.IPV6) or "")


def test_sets_are_saved_and_restored(namespace: Namespace) -> None:
    tools = tools_of(namespace)
    assert tools.sets() == ""
    tools.restore_sets("create peers hash:net\nadd peers 10.0.0.0/8\n")
    saved = tools.sets()
    assert saved is not None
    assert saved.startswith("create peers hash:net family inet")
    assert saved.splitlines()[1:] == ["add peers 10.0.0.0/8"]


def test_a_refused_line_of_ipset_keeps_those_before_and_says_so(namespace: Namespace) -> None:
    tools = tools_of(namespace)
    with pytest.raises(SetsRefusedError, match=r"line 2.*does not exist.*before it was carried out"):
        tools.restore_sets("create peers hash:net\nadd others 10.0.0.0/8\ncreate third hash:net\n")
    assert (tools.sets() or "").count("create") == 1


def test_a_set_in_use_is_not_destroyed_and_says_so(namespace: Namespace) -> None:
    tools = tools_of(namespace)
    tools.restore_sets("create peers hash:net\n")
    tools.restore(Variant.LEGACY, Family.IPV4, change("-A OUTPUT -m set --match-set peers dst -j CT --notrack"))
    with pytest.raises(SetsRefusedError, match="in use"):
        tools.restore_sets("destroy peers\n")


def test_a_lock_that_another_holds_is_waited_for_and_then_told(namespace: Namespace) -> None:
    tools = tools_of(namespace, lock_wait=1)
    with held(_lock_of_legacy(namespace)):
        with pytest.raises(LockError, match="held the lock") as raised:
            tools.restore(Variant.LEGACY, Family.IPV4, CHANGE)
        assert raised.value.exit_status == 6
        tools.restore(Variant.NFT, Family.IPV4, CHANGE)  # which needs no lock
    assert "OURS" not in (tools.save(Variant.LEGACY, Family.IPV4) or "")
    tools.restore(Variant.LEGACY, Family.IPV4, CHANGE)


def _lock_of_legacy(host: Namespace) -> Path:
    return Path("/run/xtables.lock") if os.access("/run", os.W_OK) else host.path


@each_variant
def test_an_ordinary_user_is_told_to_be_root(variant: Variant, namespace: Namespace) -> None:
    tools_of(namespace).restore(variant, Family.IPV4, CHANGE)
    code = f"""
tools, variant = IptablesTools(), Variant.{variant.name}
calls = [
    lambda: tools.save(variant, Family.IPV4),
    lambda: tools.restore(variant, Family.IPV4, {CHANGE!r}),
    lambda: tools.sets(),
    lambda: tools.restore_sets("create one hash:net\\n"),
]
for call in calls:
    try:
        print("done", call())
    except CtpolicyError as error:
        print(type(error).__name__, error.exit_status, error)
"""
    said = namespace.run("unshare", "-U", *in_python(code)).stdout.splitlines()
    assert len(said) == 4
    assert all(line.startswith("HostError 5 ") and "run this as root (sudo)" in line for line in said), said


def test_another_namespace_may_not_be_entered_without_privilege(namespace: Namespace) -> None:
    code = f"""
from pathlib import Path
try:
    IptablesTools(Path("/proc/{os.getpid()}/ns/net")).sets()
except CtpolicyError as error:
    print(error)
"""
    assert "needs CAP_SYS_ADMIN" in namespace.run("unshare", "-U", *in_python(code)).stdout


NO_PLACE_FOR_A_LOCK = 'mount -t tmpfs -o ro tmpfs /run && exec "$@"'


def test_in_a_user_namespace_the_network_namespace_is_the_lock() -> None:
    """/run/xtables.lock is mostly not ours to open there."""
    code = f"""
import fcntl, os
tools = IptablesTools(lock_wait=1)
tools.restore(Variant.LEGACY, Family.IPV4, {CHANGE!r})
print("OURS" in tools.save(Variant.LEGACY, Family.IPV4))
held = os.open("/proc/self/ns/net", os.O_RDONLY)
fcntl.flock(held, fcntl.LOCK_EX)
try:
    tools.restore(Variant.LEGACY, Family.IPV4, {CHANGE!r})
except CtpolicyError as error:
    print(type(error).__name__)
"""
    command = ["unshare", "-Urnm", "sh", "-c", NO_PLACE_FOR_A_LOCK, "sh", *in_python(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["True", "LockError"], done.stderr


def test_root_of_the_machine_without_a_lock_file_is_told(namespace: Namespace) -> None:
    if Path("/proc/self/uid_map").read_text().split() != ["0", "0", "4294967295"] or os.geteuid():
        skip_but_for_ci("only root of the machine has to share the machine's lock")
    code = f"""
try:
    IptablesTools(lock_wait=1).restore(Variant.LEGACY, Family.IPV4, {CHANGE!r})
except CtpolicyError as error:
    print(type(error).__name__, error)
"""
    said = namespace.run("unshare", "-m", "sh", "-c", NO_PLACE_FOR_A_LOCK, "sh", *in_python(code)).stdout
    assert said.startswith("HostError The lock file of iptables cannot be opened")


@each_variant
def test_a_table_that_no_tool_is_there_to_read_is_an_error(
    variant: Variant, namespace: Namespace, tmp_path: Path
) -> None:
    tools = IptablesTools(namespace.path, path=str(tmp_path))
    if variant is Variant.NFT or os.access("/proc/net/ip_tables_names", os.R_OK):
        assert tools.save(variant, Family.IPV4) is None
    tools_of(namespace).restore(variant, Family.IPV4, CHANGE)
    with pytest.raises(HostError, match="apt-get install iptables"):
        tools.save(variant, Family.IPV4)


@each_variant
def test_the_program_that_is_all_tools_works_as_one(variant: Variant, namespace: Namespace, tmp_path: Path) -> None:
    (tmp_path / f"xtables-{variant.value}-multi").symlink_to(f"/usr/sbin/xtables-{variant.value}-multi")
    tools = IptablesTools(namespace.path, path=str(tmp_path))
    tools.restore(variant, Family.IPV6, CHANGE)
    assert RULE in (tools.save(variant, Family.IPV6) or "")


@each_variant
def test_a_plain_tool_of_the_right_variant_will_do(variant: Variant, namespace: Namespace, tmp_path: Path) -> None:
    for action in ("save", "restore"):
        (tmp_path / f"iptables-{action}").symlink_to(f"/usr/sbin/iptables-{variant.value}-{action}")
    tools = IptablesTools(namespace.path, path=str(tmp_path))
    tools.restore(variant, Family.IPV4, CHANGE)
    assert RULE in (tools.save(variant, Family.IPV4) or "")
    other = Variant.NFT if variant is Variant.LEGACY else Variant.LEGACY
    with pytest.raises(HostError, match="not installed"):
        tools.restore(other, Family.IPV4, CHANGE)
