"""Files of invariants: what they say, where it stands, and that their schema agrees with the stages after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from ctpolicy.language.diagnostics import PolicyError
from ctpolicy.language.invariants import load_invariants, load_invariants_files
from ctpolicy.language.load import load_text
from ctpolicy.language.rules import (
    AlwaysBypass,
    AtMostEntries,
    Invariants,
    NeverBypass,
    NoAcknowledged,
    OnlyBypassWithin,
)
from ctpolicy.language.schema import shipped_schema
from ctpolicy.language.source import Source
from ctpolicy.meaning_space import entries_space

SCHEMAS = Path(__file__).parents[2] / "schemas"
SCHEMA = shipped_schema("invariants")

ALL_OF_THE_LANGUAGE = """apiVersion: ctpolicy/invariants-v1
name: platform-team
description: what the platform team answers for
groups: {services: [172.30.0.0/16], metrics: [tcp/9100]}
sensitive:
  - match: {destination: services, both-ways: true}
invariants:
  - name: ssh-stays-tracked
    description: the bastions' firewall is stateful
    never-bypass: {ports: tcp/22}
  - name: vxlan-is-bypassed
    always-bypass: [{overlay: vxlan, peers: 192.168.7.0/24}]
  - name: overlays-and-metrics-only
    only-bypass-within: [{overlay: vxlan}, {host-service: metrics, families: [ipv4]}]
  - name: few-entries
    at-most-entries: 20
  - name: few-for-dns
    at-most-entries: {limit: 3, meeting: {ports: udp/53, paths: [in, out], interfaces: "eth*"}}
  - name: nobody-acknowledges
    no-acknowledged: true
  - name: nobody-acknowledges-ssh
    no-acknowledged: [{host-service: tcp/22}, {forward: tcp/22, clients: services}]
waivers:
  - invariant: ssh-stays-tracked
    entries: [jump-host]
    packets: {match: {source: 10.0.0.7}}
    owner: network-team
    reason: migration of the jump hosts
    expires: 2027-01-31
  - {invariant: few-entries, owner: network-team, reason: many racks, expires: "2027-02-01", entries: vxlan}
"""


def loaded(text: str, name: str = "invariants.yaml") -> Invariants:
    return load_invariants([Source(name, text)])


def test_the_whole_language_loads() -> None:
    found = loaded(ALL_OF_THE_LANGUAGE)
    assert found.name == "platform-team"
    assert {invariant.name: type(invariant.rule) for invariant in found.invariants} == {
        "ssh-stays-tracked": NeverBypass,
        "vxlan-is-bypassed": AlwaysBypass,
        "overlays-and-metrics-only": OnlyBypassWithin,
        "few-entries": AtMostEntries,
        "few-for-dns": AtMostEntries,
        "nobody-acknowledges": NoAcknowledged,
        "nobody-acknowledges-ssh": NoAcknowledged,
    }
    assert found.invariants[0].description == "the bastions' firewall is stateful"
    first, second = found.waivers
    assert (first.owner, first.reason, first.expires) == (
        "network-team",
        "migration of the jump hosts",
        date(2027, 1, 31),
    )
    assert first.entries == frozenset({"jump-host"})
    assert first.packets is not None
    assert second.entries == frozenset({"vxlan"})
    assert second.packets is None


def test_packets_are_what_an_entry_of_a_policy_would_cover() -> None:
    policy = load_text(
        "apiVersion: ctpolicy/v1\nname: x\ngroups: {metrics: [tcp/9100]}\nbypass:\n"
        "  - {name: a, overlay: vxlan}\n  - {name: b, host-service: metrics, families: [ipv4]}\n"
    )
    rule = loaded(ALL_OF_THE_LANGUAGE).invariants[2].rule
    assert isinstance(rule, OnlyBypassWithin)
    assert entries_space(rule.packets) == entries_space(policy.bypass)


def test_places_are_where_names_stand_and_are_no_part_of_what_is_said() -> None:
    found, moved = loaded(ALL_OF_THE_LANGUAGE), loaded("# moved\n" + ALL_OF_THE_LANGUAGE, "other.yaml")
    assert str(found.invariants[0].place) == "invariants.yaml:8:11"
    assert str(found.waivers[0].place) == "invariants.yaml:24:16"
    assert str(moved.invariants[0].place) == "other.yaml:9:11"
    assert found == moved
    assert found != loaded(ALL_OF_THE_LANGUAGE.replace("2027-01-31", "2027-01-30"))


def test_several_files_are_read_together_and_waivers_may_have_one_of_their_own() -> None:
    invariants, _, waivers = ALL_OF_THE_LANGUAGE.partition("waivers:\n")
    head = "apiVersion: ctpolicy/invariants-v1\nname: granted\ngroups: {services: [10.0.0.0/8]}\nwaivers:\n"
    found = load_invariants([Source("a.yaml", invariants), Source("b.yaml", head + waivers)])
    whole = loaded(ALL_OF_THE_LANGUAGE)
    assert found.name == "platform-team + granted"
    assert (found.invariants, found.waivers, found.sensitive) == (whole.invariants, whole.waivers, whole.sensitive)


def test_files_that_cannot_be_read_are_told_with_the_mistakes_of_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(ALL_OF_THE_LANGUAGE.replace("tcp/9100", "tcp/91000"))
    with pytest.raises(PolicyError) as caught:
        load_invariants_files([tmp_path / "a.yaml", tmp_path / "b.yaml"])
    assert [(Path(told.file).name, told.line) for told in caught.value.diagnostics] == [("a.yaml", 4), ("b.yaml", 0)]


def test_addresses_may_be_in_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "services.txt").write_text("172.30.0.0/16\n")
    path = tmp_path / "a.yaml"
    path.write_text(ALL_OF_THE_LANGUAGE.replace("[172.30.0.0/16]", "{file: services.txt}"))
    assert load_invariants_files([path]) == loaded(ALL_OF_THE_LANGUAGE)


def test_aliases_are_refused() -> None:
    with pytest.raises(PolicyError, match="anchors"):
        loaded(ALL_OF_THE_LANGUAGE.replace("{ports: tcp/22}", "&ssh {ports: tcp/22}"))


# The schema.


def keys_of(schema: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key and list item that the file itself describes; what only refers to another is described there."""
    if isinstance(schema, list):
        for index, part in enumerate(schema):
            yield from keys_of(part, f"{at}[{index}]")
    elif isinstance(schema, dict):
        for name, part in (schema.get("properties") or {}).items():
            if part.keys() not in ({"const"}, {"$ref"}):
                yield f"{at}.{name}", part
        if isinstance(schema.get("items"), dict) and schema["items"].keys() != {"$ref"}:
            yield f"{at}[]", schema["items"]
        for name, part in schema.items():
            if name not in {"examples", "default"}:
                yield from keys_of(part, f"{at}/{name}")


FILE = json.loads((SCHEMAS / "invariants-v1.schema.json").read_text())


@pytest.mark.parametrize(
    ("where", "schema"), list(keys_of(FILE)), ids=lambda value: value if isinstance(value, str) else ""
)
def test_key_is_explained_and_its_examples_are_what_they_show(where: str, schema: dict[str, Any]) -> None:
    assert schema["title"] and schema["description"] and schema["examples"], where
    local = json.loads(json.dumps(schema).replace("policy-v1.schema.json#", "#"))
    for example in schema["examples"]:
        assert Draft202012Validator({**local, "$defs": SCHEMA["$defs"]}).is_valid(example), (where, example)


def test_it_is_a_valid_schema_that_stands_alone() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert "schema.json" not in json.dumps(SCHEMA)
    assert accepted(SCHEMA, ALL_OF_THE_LANGUAGE)


def test_the_file_means_the_same_beside_the_schema_of_policies_as_it_is_taken_by_editors() -> None:
    """A reference without a base leads to the file beside the one that it stands in."""
    directory = "file:///schemas/"
    files = {directory + path.name: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}
    registry: Registry[Any] = Registry().with_resources(
        (uri, Resource.from_contents(schema)) for uri, schema in files.items()
    )
    validator = Draft202012Validator({"$ref": f"{directory}invariants-v1.schema.json"}, registry=registry)
    assert validator.is_valid(document(ALL_OF_THE_LANGUAGE))
    assert not validator.is_valid(document(ALL_OF_THE_LANGUAGE.replace("{overlay: vxlan}", "{overlay: vlxan}")))


def document(text: str) -> Any:
    """As YAML 1.2 and so editors have it: days are text."""
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


def accepted(schema: Any, text: str) -> bool:
    return Draft202012Validator(schema).is_valid(document(text))


HEAD = "apiVersion: ctpolicy/invariants-v1\nname: x\n"


@pytest.mark.parametrize(
    "invariant",
    [
        "{name: a}",
        "{name: a, never-bypass: {ports: tcp/22}, no-acknowledged: true}",
        "{name: a, no-acknowledged: false}",
        "{name: a, never-bypass: {ports: tcp/22, overlay: vxlan}}",
        "{name: a, never-bypass: {peers: 10.0.0.1}}",
        "{name: a, never-bypass: {name: b, ports: tcp/22}}",
        "{name: a, never-bypass: []}",
        "{name: a, at-most-entries: -1}",
        "{name: a, at-most-entries: true}",
    ],
)
def test_what_the_schema_refuses_is_refused_after_it(invariant: str) -> None:
    text = f"{HEAD}invariants: [{invariant}]\n"
    assert not accepted(SCHEMA, text)
    with pytest.raises(PolicyError):
        loaded(text)


@pytest.mark.parametrize(
    "invariant",
    [
        "{name: a, never-bypass: {match: {}}}",
        "{name: a, never-bypass: [{ports: tcp/22}, {forward: udp/53, servers: 10.0.0.1}]}",
        "{name: a, at-most-entries: 0}",
        "{name: a, at-most-entries: {limit: 0}}",
        "{name: a, no-acknowledged: true}",
        "{name: a, no-acknowledged: {overlay: {preset: vxlan, port: 4788}}}",
    ],
)
def test_what_the_schema_takes_is_taken_after_it(invariant: str) -> None:
    text = f"{HEAD}invariants: [{invariant}]\n"
    assert accepted(SCHEMA, text)
    assert len(loaded(text).invariants) == 1
