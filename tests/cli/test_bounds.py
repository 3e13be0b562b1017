"""What is too large to be told exactly is said to be, and what needs no bound has none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ctpolicy.cli import diff, import_
from ctpolicy.errors import InputError
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.render_json import load_document
from ctpolicy.nftables.ruleset import Table
from ctpolicy.nftables.space import table_space
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.packet import parse_packet
from ctpolicy.packetspace.space import bounded
from ctpolicy.plan.explain import explain_live
from ctpolicy.plan.live import Live
from policies import METRICS, VXLAN, table

SMALL = 3_000


def crossing(count: int) -> Table:
    """Somebody else's table, in which services and clients have peers of their own: it has no small diagram."""
    entries = "".join(
        f"  - {{name: service-{n}, host-service: udp/{1000 + n}, peers: 10.0.{n}.0/24}}\n"
        f"  - {{name: client-{n}, host-client: udp/{3000 + n}, peers: 10.1.{n}.0/24}}\n"
        for n in range(count)
    )
    return replace(table(f"bypass:\n{entries}"), name="foreign")


def test_one_packet_is_explained_where_the_whole_is_too_large() -> None:
    foreign = crossing(30)
    with bounded(SMALL), pytest.raises(TooLargeError):
        table_space(foreign)
    asked = parse_packet("in udp 10.0.7.9:40000 -> 192.0.2.1:1007")
    with bounded(SMALL):
        both = explain_live(NFTABLES, asked, Live((foreign, table(VXLAN))))
        elsewhere, _ = explain_live(NFTABLES, replace(asked, destination_port=1008), Live((foreign,)))
    assert [explanation.untracked for explanation in both] == [True, True]
    assert [bypass.is_certain for explanation in both for bypass in explanation.foreign] == [True, True]
    assert elsewhere.untracked is False


def _listing(directory: Path) -> Path:
    path = directory / "listing.json"
    commands = load_document(table(METRICS))["nftables"]
    path.write_text(json.dumps({"nftables": [command["add"] for command in commands if "add" in command]}))
    return path


def test_diff_says_that_there_is_too_much_to_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = str(_listing(tmp_path))
    assert diff.command.main([listing, listing], standalone_mode=False) == 0
    monkeypatch.setattr(diff, "MOST_WORK", 10)
    with pytest.raises(InputError, match="too many different packets to compare exactly"):
        diff.command.main([listing, listing], standalone_mode=False)


def test_import_says_that_there_is_too_much_to_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = str(_listing(tmp_path))
    assert import_.command.main([listing], standalone_mode=False) == 0
    monkeypatch.setattr(import_, "MOST_WORK", 10)
    with pytest.raises(InputError, match="tells too many different packets apart to be imported"):
        import_.command.main([listing], standalone_mode=False)
