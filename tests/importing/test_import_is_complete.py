"""Policies of which imports once left something out, each named after what was in the way."""

from __future__ import annotations

import pytest

from ctpolicy.importing.space_to_policy import import_untracked
from ctpolicy.language.load import load_text
from ctpolicy.meaning_space import bypass_space
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.space import table_space
from policies import policy

LEFT_OUT = {
    "ports that nobody uses are tracked on some interfaces alone": """
bypass:
  - {name: high, match: {source-ports: udplite/1024-65535, interfaces: ["eth1*"]}}
""",
    "a service has an answer among the ports that nobody uses": """
bypass:
  - {name: high, match: {source-ports: udp/1024-65535}}
  - {name: service, host-service: udp/9100-9300}
""",
    "a tracked tunnel has the port of a client": """
bypass:
  - {name: last, host-service: udp/65535, interfaces: [ens192]}
track:
  - {name: tunnel, overlay: gtp-u}
""",
    "by lo, a tracked service has the port of a client, in one family": """
bypass:
  - {name: high, host-service: udp/1024-65535}
track:
  - {name: low, host-service: udp/20, families: [ipv6]}
""",
    "what is sent to a loopback address has an interface with a name, and is tracked on some": """
bypass:
  - {name: loopback, match: {protocol: udp, destination: "::1"}}
  - {name: dns, match: {protocol: udp, destination-ports: 53}}
track:
  - {name: vxlan, match: {paths: [out], destination: "::1", destination-ports: udp/4789, interfaces: ["eth*"]}}
""",
    "a tracked answer, and ports that are exceptions to something else": """
bypass:
  - {name: ssh, host-service: tcp/22, acknowledge: tested}
  - name: high
    match:
      paths: [out]
      source: [224.0.0.0/4, "fd00::/8"]
      destination: [128.0.0.0/1, "2001:db8::/32"]
      source-ports: [tcp/1024-65535, udplite/1024-65535]
      destination-ports: [tcp/1-1023, udplite/123]
      interfaces: ["eth1*"]
    acknowledge: tested
track:
  - {name: answers, host-service: tcp/22, peers: "fd00::/8", local: "::1", interfaces: ["eth*"]}
""",
    "all but some interfaces, at addresses where others are all there is": """
bypass:
  - {name: all, match: {paths: [in], protocol: udp}}
track:
  - {name: some, match: {paths: [in], destination-ports: udp/53, source: 192.0.2.0/24, interfaces: ["l*"]}}
  - {name: one, match: {paths: [in], destination-ports: udp/53, source: 192.0.2.1, interfaces: [eth1]}}
""",
    "patterns without a name between them, and names of both that are tracked for some": """
bypass:
  - {name: both, host-service: udp/1-100, interfaces: ["eth1*", "eth2*"]}
track:
  - {name: some, host-client: udp/1-100, peers: 127.0.0.0/8, interfaces: [eth1, "eth25*"]}
""",
    "lo is in a tracked pattern on one path alone": """
bypass:
  - {name: dns, match: {interfaces: ["l*", a], destination-ports: udp/53, destination: 192.0.2.1}}
track:
  - {name: service, host-service: udp/53}
  - {name: some, match: {paths: [forward, out], destination-ports: udp/50-60000, interfaces: ["lo*"], both-ways: true}}
""",
}


@pytest.mark.parametrize("entries", LEFT_OUT.values(), ids=LEFT_OUT)
def test_nothing_is_left_out(entries: str) -> None:
    read = policy(entries)
    found = import_untracked(table_space(compile_policy(read)), "imported")
    assert found.is_complete
    assert bypass_space(load_text(found.text)) == bypass_space(read)


def test_a_match_on_some_interfaces_comes_back_as_it_was() -> None:
    read = policy(LEFT_OUT["ports that nobody uses are tracked on some interfaces alone"])
    found = import_untracked(table_space(compile_policy(read)), "imported").policy
    assert [entry.name for entry in found.entries()] == ["from-udplite-1024-65535"]
