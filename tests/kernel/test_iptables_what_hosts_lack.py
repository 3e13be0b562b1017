"""What a host lacks is told with exit status 5, and nothing is left half done: through the command line.

The kernel and the tools here lack nothing. So the commands run where another /usr/sbin is mounted: the tools that a
host does not have are missing there, and others are programs that end as the tools do where a module is missing.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

import pytest

import ctpolicy
from ctpolicy.apply.protocol import ONLY_TRIED
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family
from iptables_backend.fake_programs import program
from kernel.command_line import EXAMPLES, Ran, done
from kernel.namespace import Namespace
from kernel.raw_tables import restore, rules

pytestmark = pytest.mark.kernel

each_variant = pytest.mark.parametrize("variant", Variant, ids=lambda variant: variant.value)

WITH_SETS: Final = EXAMPLES / "openshift-worker.yaml"
ONLY_V4: Final = """
apiVersion: ctpolicy/v1
name: only-v4
bypass:
  - {name: vxlan, overlay: vxlan, families: [ipv4]}
  - {name: metrics, host-service: tcp/9100, peers: [192.0.2.0/24, 198.51.100.1]}
"""

TOOLS: Final = Path("/usr/sbin")
MOUNTS: Final = 'mount --bind /usr/sbin "$0" && mount --bind "$1" /usr/sbin && shift && exec "$@"'


@dataclass(frozen=True, slots=True)
class Host:
    """A host in a scratch namespace, with its own /usr/sbin.

    Args:
        namespace: where its rules are.
        sbin: what is mounted at /usr/sbin while ctpolicy runs.
        real: where the tools of this machine are, meanwhile.
    """

    namespace: Namespace
    sbin: Path
    real: Path

    def lacks(self, *patterns: str) -> None:
        """These tools are not installed."""
        gone = [path for path in self.sbin.iterdir() if any(fnmatch(path.name, pattern) for pattern in patterns)]
        assert gone
        for path in gone:
            path.unlink()

    def has(self, name: str, script: str) -> None:
        """A tool is this script."""
        (self.sbin / name).unlink()
        program(self.sbin, name, script)

    def fails(self, name: str, status: int, errors: str) -> None:
        """A tool ends like this."""
        self.has(name, f"/bin/cat >/dev/null\nprintf %s {shlex.quote(errors)} >&2\nexit {status}")

    def ctpolicy(self, *arguments: str | Path, backend: str) -> Ran:
        """Run the command."""
        source = Path(ctpolicy.__file__).parent.parent
        code = f"import sys; sys.path.insert(0, {str(source)!r}); from ctpolicy.cli.main import main; main()"
        command = [sys.executable, "-c", code, *map(str, arguments), "--backend", backend]
        ended = self.namespace.run(*("unshare", "-m", "sh", "-c", MOUNTS, self.real, self.sbin), *command, check=False)
        return Ran(ended.returncode, ended.stdout, ended.stderr)

    def is_bare(self, variant: Variant) -> bool:
        """Whether nothing of ours is there."""
        lines = [line for family in Family for line in rules(self.namespace, variant, family)]
        return not any("CTPOLICY" in line for line in lines) and not self.namespace.run("ipset", "save").stdout


@pytest.fixture
def host(namespace: Namespace, tmp_path: Path) -> Host:
    """A host that lacks nothing yet."""
    made = Host(namespace, tmp_path / "sbin", tmp_path / "real")
    for directory in (made.sbin, made.real):
        directory.mkdir()
    for tool in TOOLS.iterdir():
        (made.sbin / tool.name).symlink_to(made.real / tool.name)
    return made


NO_CT: Final = {
    Variant.LEGACY: (
        *(
            1,
            "Warning: Extension CT revision 0 not supported, missing kernel module?\niptables-restore: line 4 failed\n",
        ),
    ),
    Variant.NFT: (
        4,
        "Warning: Extension CT revision 0 not supported, missing kernel module?\niptables-nft-restore v1.8.9 "
        "(nf_tables): \nline 3: RULE_APPEND failed (No such file or directory): rule in chain CTPOLICY-OUTPUT\n",
    ),
}
NO_TABLE: Final = "iptables-restore v1.8.9 (legacy): iptables-restore: unable to initialize table 'raw'\n\n"


def refused(host: Host, variant: Variant, says: str) -> None:
    """Applying ends with exit status 5, says this, and leaves nothing."""
    ended = host.ctpolicy("apply", WITH_SETS, "--yes", backend=f"iptables-{variant.value}")
    assert ended.status == 5, ended
    assert says in ended.errors
    assert ONLY_TRIED in ended.errors
    assert host.is_bare(variant)


@each_variant
def test_what_is_not_missing_is_used(host: Host, variant: Variant) -> None:
    """The control: with all tools in their place it is applied."""
    assert host.ctpolicy("apply", WITH_SETS, "--yes", backend=f"iptables-{variant.value}").status == 0
    assert not host.is_bare(variant)


@each_variant
@pytest.mark.parametrize("tool", ["iptables", "ip6tables"])
def test_a_kernel_without_xt_ct(host: Host, variant: Variant, tool: str) -> None:
    """For ip6tables, the ipsets and the rules of IPv4 are there by then."""
    host.fails(f"{tool}-{variant.value}-restore", *NO_CT[variant])
    refused(host, variant, "modprobe xt_CT")


@pytest.mark.parametrize(
    ("tool", "reason", "says"),
    [
        ("iptables", "Table does not exist (do you need to insmod?)", "modprobe iptable_raw"),
        ("ip6tables", "Table does not exist (do you need to insmod?)", "modprobe ip6table_raw"),
        ("ip6tables", "Address family not supported by protocol", "families: [ipv4]"),
    ],
)
def test_a_kernel_without_a_raw_table_or_ipv6(host: Host, tool: str, reason: str, says: str) -> None:
    host.fails(f"{tool}-legacy-restore", 2, NO_TABLE)
    host.fails(f"{tool}-legacy-save", 1, f"{tool}-save v1.8.9 (legacy): Cannot initialize: {reason}\n\n")
    refused(host, Variant.LEGACY, says)


@each_variant
def test_a_kernel_that_cannot_ask_ipsets(host: Host, variant: Variant) -> None:
    said = f"iptables-restore v1.8.9 ({variant.value}): Can't open socket to ipset.\n\n"
    host.fails(f"iptables-{variant.value}-restore", 2, said)
    refused(host, variant, "modprobe xt_set, or do without (--no-ipset)")


@each_variant
def test_a_kernel_without_a_type_of_ipset(host: Host, variant: Variant) -> None:
    """What ipset was given before that type is there by then, in the scratch namespace where it was tried."""
    error = "ipset v7.17: Error in line 2: Kernel error received: set type not supported"
    host.has(
        "ipset",
        f'[ "$1" = save ] && exec {host.real}/ipset save\n/bin/cat >{host.real.parent}/given\n'
        f"if /bin/grep -q ^destroy {host.real.parent}/given; then exec {host.real}/ipset restore "
        f"<{host.real.parent}/given; fi\n/usr/bin/head -n 1 {host.real.parent}/given | {host.real}/ipset restore\n"
        f"echo '{error}' >&2; exit 1",
    )
    refused(host, variant, "modinfo ip_set_hash_net")
    assert (host.real.parent / "given").read_text().startswith("create ctpolicy"), "it was tried, and never on the host"


@each_variant
def test_without_ipset_plain_rules_are_used(host: Host, variant: Variant) -> None:
    backend = f"iptables-{variant.value}"
    host.lacks("ipset")
    ended = host.ctpolicy("apply", WITH_SETS, "--yes", backend=backend)
    assert ended.status == 0, ended
    assert not host.namespace.run("ipset", "save").stdout
    assert host.ctpolicy("plan", WITH_SETS, "--detailed-exitcode", backend=backend).status == 0
    assert host.ctpolicy("remove", "--yes", backend=backend).status == 0
    assert host.is_bare(variant)


def test_a_kernel_without_ipset_is_a_host_without_it(host: Host) -> None:
    host.fails("ipset", 1, "ipset v7.17: Cannot open session to kernel.\n")
    ended = host.ctpolicy("apply", WITH_SETS, "--yes", backend="iptables-nft")
    assert ended.status == 0, ended
    assert not host.namespace.run("ipset", "save").stdout


@each_variant
def test_a_host_without_iptables(host: Host, variant: Variant) -> None:
    host.lacks("iptables*", "ip6tables*", "xtables*")
    refused(host, variant, "apt-get install iptables")


@each_variant
def test_a_policy_of_ipv4_alone_needs_no_ip6tables(host: Host, variant: Variant, tmp_path: Path) -> None:
    backend = f"iptables-{variant.value}"
    host.lacks("ip6tables*", "xtables*")
    policy = tmp_path / "only-v4.yaml"
    policy.write_text(ONLY_V4)
    for command in (("plan", policy), ("apply", policy, "--yes"), ("status", policy, "--detailed-exitcode")):
        ended = host.ctpolicy(*command, backend=backend)
        assert ended.status == 0, ended
    assert host.ctpolicy("remove", "--yes", backend=backend).status == 0
    assert host.is_bare(variant)


@each_variant
def test_a_policy_of_both_families_needs_ip6tables(host: Host, variant: Variant) -> None:
    host.lacks("ip6tables*", "xtables*")
    refused(host, variant, "ip6tables")


@each_variant
def test_rules_of_ipv6_that_no_tool_is_there_to_read_are_never_none(host: Host, variant: Variant) -> None:
    done("apply", WITH_SETS, "--backend", f"iptables-{variant.value}", "--netns", host.namespace.path, "--yes")
    before = [rules(host.namespace, variant, family) for family in Family]
    host.lacks("ip6tables*", "xtables*")
    ended = host.ctpolicy("remove", "--yes", backend=f"iptables-{variant.value}")
    assert ended.status == 5, ended
    assert f"ip6tables-{variant.value}-save cannot be run" in ended.errors
    assert [rules(host.namespace, variant, family) for family in Family] == before


def test_another_variant_that_cannot_be_read_is_said(host: Host) -> None:
    """It is none of ours, so it stops nothing."""
    restore(host.namespace, Variant.LEGACY, "-A OUTPUT -p udp -j NOTRACK")
    host.lacks("iptables-legacy*", "xtables-legacy*")
    ended = host.ctpolicy("apply", WITH_SETS, "--yes", backend="iptables-nft")
    assert ended.status == 0, ended
    assert "Not read: the raw tables of iptables-legacy" in ended.output
