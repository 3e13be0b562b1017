"""`ctpolicy diff`: policies, listings and hosts, compared as sets of packets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from ctpolicy.nftables.render_json import load_document
from kernel.live import apply_in
from kernel.namespace import Namespace
from policies import METRICS, VXLAN, policy, table

SCHEMA = Path(__file__).parents[2] / "schemas" / "diff-v1.schema.json"
OVN = """
table inet ovn_notrack {
  chain prerouting { type filter hook prerouting priority raw; udp dport 6081 notrack; }
  chain output { type filter hook output priority raw; udp dport 6081 notrack; }
}
"""


def _diff(*arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from ctpolicy.cli.main import main; main()", "diff", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120)


def _write(directory: Path, name: str, entries: str) -> Path:
    path = directory / name
    path.write_text(f"apiVersion: ctpolicy/v1\nname: {path.stem}\n{entries}")
    return path


def _listing(entries: str) -> str:
    commands = load_document(table(entries))["nftables"]
    return json.dumps({"nftables": [command["add"] for command in commands if "add" in command]})


def test_the_same_packets_in_other_words_are_equal(tmp_path: Path) -> None:
    one = _write(tmp_path, "one.yaml", "bypass: [{name: dns, host-service: udp/53}]")
    other = _write(
        tmp_path,
        "other.yaml",
        "bypass:\n  - name: x\n    match: {paths: [in], protocol: udp, destination-ports: 53, both-ways: true}",
    )
    done = _diff(one, other)
    assert (done.returncode, done.stdout) == (0, "Both leave the same packets untracked.\n")


def test_a_difference_is_told_with_a_witness_and_status_8(tmp_path: Path) -> None:
    one = _write(tmp_path, "one.yaml", "bypass: [{name: dns, ports: udp/53, paths: [forward]}]")
    other = _write(tmp_path, "other.yaml", "bypass: [{name: dns, ports: udp/54, paths: [forward]}]")
    done = _diff(one, other)
    assert done.returncode == 8
    assert done.stdout.splitlines()[:3] == [
        "becomes untracked",
        "  + forward udp any:54 -> any:not 53  by dns",
        "      such as forward udp 198.51.100.1:54 -> 192.0.2.1:40000",
    ]


def test_a_policy_and_the_listing_of_its_table_are_equal(tmp_path: Path) -> None:
    one = _write(tmp_path, "one.yaml", METRICS)
    assert _diff(one, "-", stdin=_listing(METRICS)).returncode == 0
    listing = tmp_path / "listing.json"
    listing.write_text(_listing(VXLAN))
    assert _diff(listing, one).returncode == 8
    assert _diff(listing, listing).returncode == 0


def test_as_json_it_is_as_its_schema_says(tmp_path: Path) -> None:
    one, other = _write(tmp_path, "one.yaml", VXLAN), _write(tmp_path, "other.yaml", METRICS)
    found = json.loads(_diff("--json", one, other).stdout)
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(found)
    assert not found["equal"]
    assert found["complete"]
    assert {name for shift in found["tracked"] for name in shift["by"]} == {"vxlan"}


def test_what_cannot_be_modelled_is_possible_and_never_certain(tmp_path: Path) -> None:
    listing = json.loads(_listing(VXLAN))
    statement = {"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 1}}
    for listed in listing["nftables"]:
        if "rule" in listed and listed["rule"]["chain"] == "bypass_vxlan":
            listed["rule"]["expr"].insert(0, statement)
    done = _diff("--json", "-", _write(tmp_path, "one.yaml", VXLAN), stdin=json.dumps(listing))
    assert done.returncode == 8
    assert not any(shift["certain"] for shift in json.loads(done.stdout)["untracked"])


def test_a_side_that_is_not_there_is_told() -> None:
    done = _diff("nowhere.yaml", "nowhere.json")
    assert done.returncode == 2
    assert "nowhere.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_whoever_reads_no_further_is_no_error(tmp_path: Path) -> None:
    one, other = _write(tmp_path, "one.yaml", VXLAN), _write(tmp_path, "other.yaml", METRICS)
    command = f"{sys.executable} -c 'from ctpolicy.cli.main import main; main()' compile {one} {other} | true; echo ${{PIPESTATUS[0]}}"  # noqa: E501
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() in {"0", "141"}
    assert done.stderr == ""


@pytest.mark.kernel
def test_live_is_the_whole_ruleset_whoever_made_it(tmp_path: Path, namespace: Namespace) -> None:
    geneve = _write(tmp_path, "one.yaml", "bypass: [{name: ovn, overlay: geneve, paths: [in, forward, out]}]")
    namespace.load(OVN)
    assert _diff("live", geneve, "--netns", namespace.path).returncode == 0
    apply_in(namespace, policy(VXLAN))
    done = _diff("live", geneve, "--netns", namespace.path, "--json")
    assert done.returncode == 8
    found = json.loads(done.stdout)
    assert not found["untracked"]
    assert {name for shift in found["tracked"] for name in shift["by"]} == {"vxlan"}
