"""Saved plans: kept and read back as they were, refused when damaged, and stale by name when anything has moved."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ctpolicy.errors import InputError
from ctpolicy.iptables.backend import IptablesBackend
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.language.diagnostics import PolicyError
from ctpolicy.language.load import Texts, load_and_keep, load_kept
from ctpolicy.language.schema import shipped_schema
from ctpolicy.netfilter.backend import Backend
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.read import read_document
from ctpolicy.nftables.ruleset import Rule, Table, Unmodelled
from ctpolicy.plan.live import Live
from ctpolicy.plan.plan import Plan, plan_policy
from ctpolicy.plan.saved import (
    LARGEST,
    SavedPlan,
    fingerprint,
    is_saved_plan,
    read_saved,
    save,
    saved_text,
    what_moved,
)
from ctpolicy.plan.standing import Others
from policies import METRICS, VXLAN, policy

POLICY: Final = """apiVersion: ctpolicy/v1
name: kept
groups: {nodes: {file: lists/nodes.txt}}
bypass: [{name: vxlan, overlay: vxlan, peers: nodes}, {name: web, host-service: tcp/80}]
track: [{name: ssh, host-service: tcp/22}]
"""
MORE: Final = "apiVersion: ctpolicy/v1\nname: more\nbypass: [{name: dns, host-client: udp/53, peers: 10.0.0.53}]\n"
MADE: Final = "2026-11-22T21:00:00Z"
BACKENDS: Final[list[Backend[Any]]] = [
    NFTABLES,
    *(IptablesBackend(variant, with_sets) for variant in Variant for with_sets in (True, False)),
]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two policy files, and the list that one of them names."""
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "nodes.txt").write_text("# nodes\n10.0.0.0/24\nfd00::/64\n")
    (tmp_path / "kept.yaml").write_text(POLICY)
    (tmp_path / "more.yaml").write_text(MORE)
    return [tmp_path / "kept.yaml", tmp_path / "more.yaml"]


def planned(backend: Backend[Any], files: list[Path], live: Any, others: Others = Others()) -> SavedPlan:  # noqa: B008
    kept, texts = load_and_keep(files)
    return save(replace(plan_policy(backend, kept, live), others=others), texts, "0.1.0", MADE)


def moved(saved: SavedPlan, backend: Backend[Any], live: Any, others: Others = Others()) -> tuple[str, ...]:  # noqa: B008
    fresh = plan_policy(backend, load_kept(saved.texts), live)
    return what_moved(saved, replace(fresh, others=others))


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda one: f"{one.name}-{getattr(one, 'with_sets', True)}")
def test_a_plan_is_read_back_as_it_was_saved(backend: Backend[Any], files: list[Path]) -> None:
    for live in (None, backend.compile(policy(METRICS))):
        saved = planned(backend, files, live)
        text = saved_text(saved)
        assert is_saved_plan(text)
        assert read_saved(text) == saved
        Draft202012Validator(shipped_schema("saved-plan")).validate(json.loads(text))
        assert moved(read_saved(text), backend, live) == ()


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(shipped_schema("saved-plan"))


def test_what_was_reviewed_is_planned_whatever_becomes_of_the_files(files: list[Path]) -> None:
    saved = planned(NFTABLES, files, None)
    before, _ = load_and_keep(files)
    assert [name for name, _ in saved.texts.policies] == [str(path) for path in files]
    assert [name for name, _ in saved.texts.lists] == [str(files[0].parent / "lists" / "nodes.txt")]
    files[0].write_text(MORE)
    files[1].unlink()
    (files[0].parent / "lists" / "nodes.txt").write_text("0.0.0.0/0\n")
    assert load_kept(read_saved(saved_text(saved)).texts) == before


def test_a_fingerprint_is_what_sha256sum_prints_of_the_file(files: list[Path]) -> None:
    import hashlib

    saved = json.loads(saved_text(planned(NFTABLES, files, None)))
    assert [one["sha256"] for one in saved["policies"]] == [
        hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    ]


def test_no_file_is_read_for_a_list_that_was_not_kept(files: list[Path]) -> None:
    saved = planned(NFTABLES, files, None)
    with pytest.raises(PolicyError, match="is not among the texts that were kept"):
        load_kept(replace(saved.texts, lists=()))


def test_a_policy_that_was_forged_with_its_fingerprint_is_checked_as_any_other(files: list[Path]) -> None:
    """It may not bypass ssh without saying why, nor say what it means otherwise than it is compiled."""
    saved = planned(NFTABLES, files, None)
    forged = replace(saved, texts=Texts((("p.yaml", POLICY.replace("tcp/80", "tcp/22")),), saved.texts.lists))
    with pytest.raises(PolicyError):
        load_kept(read_saved(saved_text(forged)).texts)
    forged = replace(saved, texts=Texts((("p.yaml", MORE),), ()))
    assert moved(read_saved(saved_text(forged)), NFTABLES, None) == (
        "~ ctpolicy: 0.1.0 made the plan, and compiled the policy otherwise than this one does",
    )


Damage = Callable[[dict[str, Any]], object]

DAMAGES: Final[dict[str, Damage]] = {
    "another form": lambda plan: plan.update(apiVersion="ctpolicy.saved-plan/v2"),
    "no form": lambda plan: plan.pop("apiVersion"),
    "a number for the form": lambda plan: plan.update(apiVersion=1),
    "no version": lambda plan: plan.pop("version"),
    "a version with a control character": lambda plan: plan.update(version="0.1\x1b[2J"),
    "a version that is a list": lambda plan: plan.update(version=["0.1.0"]),
    "a time that is none": lambda plan: plan.update(made="yesterday"),
    "no time": lambda plan: plan.pop("made"),
    "another backend": lambda plan: plan["backend"].update(name="pf"),
    "a backend that is text": lambda plan: plan.update(backend="nftables"),
    "ipset neither true nor false": lambda plan: plan["backend"].update(ipset="yes"),
    "no policies": lambda plan: plan.update(policies=[]),
    "policies that are text": lambda plan: plan.update(policies=POLICY),
    "a policy without a text": lambda plan: plan["policies"][0].pop("text"),
    "a policy without a name": lambda plan: plan["policies"][0].update(name=""),
    "a policy that was edited": lambda plan: plan["policies"][0].update(text=POLICY.replace("80", "81")),
    "a fingerprint that was edited": lambda plan: plan["policies"][1].update(sha256="0" * 64),
    "a fingerprint that is too short": lambda plan: plan["policies"][1].update(sha256="0" * 63),
    "a fingerprint in capitals": lambda plan: plan["policies"][0].update(sha256=fingerprint(POLICY).upper()),
    "a list that was edited": lambda plan: plan["lists"][0].update(text="0.0.0.0/0\n"),
    "a list that is there twice": lambda plan: plan["lists"].append(plan["lists"][0]),
    "no lists": lambda plan: plan.pop("lists"),
    "what was live edited": lambda plan: plan["live"].update(text=plan["live"]["text"] + " "),
    "what was live without its fingerprint": lambda plan: plan.update(live={"text": ""}),
    "what was live as false": lambda plan: plan.update(live=False),
    "others that are no lines": lambda plan: plan.update(others=[1]),
    "others that are one line": lambda plan: plan.update(others="line"),
    "desired as text": lambda plan: plan.update(desired="0" * 64),
    "desired without its fingerprint": lambda plan: plan.update(desired={}),
    "commands": lambda plan: plan.update(commands=["rm -rf /"]),
    "a key more in a policy": lambda plan: plan["policies"][0].update(run="id"),
    "a key more in the backend": lambda plan: plan["backend"].update(path="/usr/sbin/nft"),
}


@pytest.fixture
def text(files: list[Path]) -> str:
    """A plan as it is saved, with something live."""
    return saved_text(planned(NFTABLES, files, NFTABLES.compile(policy(METRICS))))


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_plan_is_refused(what: str, text: str) -> None:
    document = json.loads(text)
    DAMAGES[what](document)
    with pytest.raises(InputError) as refused:
        read_saved(json.dumps(document))
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    "damaged",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text[:-3],
        lambda text: text + text,
        lambda text: f"[{text}]",
        lambda text: text.replace('"others": []', '"others": [], "others": []'),
        lambda text: text.replace('"others": []', '"others": NaN'),
        lambda text: text.replace('"others": []', '"others": ' + "[" * 100_000),
        lambda text: text.replace('"others": []', '"others": ' + "9" * 5000),
        lambda text: text.replace("'", "\x00") + "\x00",
        lambda text: " " * (LARGEST + 1),
    ],
)
def test_a_text_that_is_no_plan_is_refused(damaged: Callable[[str], str], text: str) -> None:
    with pytest.raises(InputError):
        read_saved(damaged(text))


def test_what_was_live_must_be_what_the_backend_writes(text: str) -> None:
    document = json.loads(text)
    document["live"] = {"text": "{}", "sha256": fingerprint("{}")}
    saved = read_saved(json.dumps(document))
    with pytest.raises(InputError):
        moved(saved, NFTABLES, None)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def _example() -> dict[str, Any]:
    texts = Texts((("p.yaml", MORE),), (("n.txt", "10.0.0.1\n"),))
    saved = SavedPlan("0.1.0", MADE, "nftables", True, texts, "{}", ("udp  by x",), fingerprint("x"))
    document: dict[str, Any] = json.loads(saved_text(saved))
    return document


@given(data=st.data())
def test_no_edit_of_a_plan_is_anything_but_refused_or_the_same_plan(data: st.DataObject) -> None:
    document = _example()
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = document
        while True:
            key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
                break
            place = place[key]
        place[key] = data.draw(_json)
    try:
        saved = read_saved(json.dumps(document))
    except InputError:
        return
    assert read_saved(saved_text(saved)) == saved
    assert saved.texts == Texts((("p.yaml", MORE),), (("n.txt", "10.0.0.1\n"),)) or _is_renamed(saved)


def _is_renamed(saved: SavedPlan) -> bool:
    """Names are told, and found lists by; the texts are as their fingerprints say."""
    return {text for _, text in saved.texts.policies} == {MORE}


@given(st.text() | st.binary().map(lambda some: some.decode(errors="replace")) | _json.map(json.dumps))
def test_any_text_is_refused(some: str) -> None:
    with pytest.raises(InputError):
        read_saved(some)


@given(st.data())
def test_any_byte_that_is_changed_is_refused_or_makes_no_difference(data: st.DataObject) -> None:
    text = json.dumps(_example())
    at = data.draw(st.integers(0, len(text) - 1))
    edited = text[:at] + data.draw(st.characters()) + text[at + 1 :]
    try:
        saved = read_saved(edited)
    except InputError:
        return
    assert [found for _, found in saved.texts.policies] == [MORE]


def test_a_policy_as_json_is_no_saved_plan() -> None:
    assert not is_saved_plan('{"apiVersion": "ctpolicy/v1", "name": "x"}')
    assert not is_saved_plan(POLICY)
    assert is_saved_plan('\n {"apiVersion":"ctpolicy.saved-plan/v1", "cut')


def _edited(table: Table, chain: str, *rules: Rule) -> Table:
    chains = (replace(one, rules=(*one.rules, *rules)) if one.name == chain else one for one in table.chains)
    return replace(table, chains=tuple(chains))


def test_an_element_that_came_or_went_is_named(files: list[Path]) -> None:
    live = NFTABLES.compile(policy(METRICS))
    saved = planned(NFTABLES, files, live)
    now = NFTABLES.compile(policy(METRICS.replace("10.1.0.0/16", "10.2.0.0/16")))
    assert [line.strip() for line in moved(saved, NFTABLES, now) if line.strip()[0] in "+-"] == [
        "- 10.1.0.0/16",
        "+ 10.2.0.0/16",
    ]


def test_a_rule_that_was_edited_is_named(files: list[Path]) -> None:
    live = NFTABLES.compile(policy(METRICS))
    saved = planned(NFTABLES, files, live)
    drop = Rule((Unmodelled('{"drop":null}'),), handle=9)
    lines = moved(saved, NFTABLES, _edited(live, "track_ssh", drop))
    assert lines[0] == "~ what is live of ctpolicy's:"
    assert "chain track_ssh" in "".join(lines)
    assert sum(line.strip()[0] in "+-" for line in lines) == 1


def test_a_table_that_is_gone_or_has_come_is_named(files: list[Path]) -> None:
    live = NFTABLES.compile(policy(METRICS))
    assert moved(planned(NFTABLES, files, live), NFTABLES, None) == (
        "~ what is live of ctpolicy's:",
        "  - table inet ctpolicy",
    )
    come = moved(planned(NFTABLES, files, None), NFTABLES, live)
    assert come[:2] == ("~ what is live of ctpolicy's:", "  + table inet ctpolicy")


def test_flags_of_the_table_are_named(files: list[Path]) -> None:
    live = NFTABLES.compile(policy(METRICS))
    listed = json.loads(NFTABLES.written(live))["nftables"]
    listed[0]["table"]["flags"] = "dormant"
    (dormant,) = read_document({"nftables": listed})
    assert "    + the flags dormant of the table" in moved(planned(NFTABLES, files, live), NFTABLES, dormant)


def test_counters_move_nothing(files: list[Path]) -> None:
    live = NFTABLES.compile(policy(METRICS))
    counted = NFTABLES.read_written(NFTABLES.written(live).replace('"packets": 0', '"packets": 7'))
    assert moved(planned(NFTABLES, files, live), NFTABLES, counted) == ()


@pytest.mark.parametrize("variant", Variant, ids=lambda variant: variant.value)
def test_what_moved_in_raw_tables_is_named(variant: Variant, files: list[Path]) -> None:
    backend = IptablesBackend(variant)
    live = backend.compile(policy(METRICS))
    saved = planned(backend, files, live)
    now = backend.compile(policy(METRICS.replace("10.1.0.0/16", "10.2.0.0/16")))
    lines = [line.strip() for line in moved(saved, backend, now)]
    assert "- 10.1.0.0/16" in lines
    assert "+ 10.2.0.0/16" in lines
    assert any("CTPOLICY-PREROUTING" in line for line in moved(saved, backend, None))


def test_an_ipset_that_cannot_be_told_is_named(files: list[Path]) -> None:
    backend = IptablesBackend(Variant.LEGACY)
    live = backend.compile(policy(METRICS))
    assert live is not None
    odd = tuple(replace(one, unmodelled="timeout 30") for one in live.sets)
    lines = "\n".join(moved(planned(backend, files, live), backend, RawTables(live.tables, odd)))
    assert live.sets[0].name in lines
    assert "timeout 30" in lines


THEIRS: Final = {
    "nftables": [
        {"table": {"family": "ip", "name": "theirs"}},
        {
            "chain": {
                **{"family": "ip", "table": "theirs", "name": "p", "type": "filter", "hook": "prerouting"},
                **{"prio": -300, "policy": "accept"},
            }
        },
        {
            "rule": {
                **{"family": "ip", "table": "theirs", "chain": "p"},
                "expr": [
                    {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 99}},
                    {"notrack": None},
                ],
            }
        },
    ]
}


def test_a_bypass_of_others_that_came_or_went_is_named(files: list[Path]) -> None:
    theirs = Live(read_document(THEIRS))
    others = plan_policy(NFTABLES, policy(VXLAN), None, lambda: theirs.foreign(NFTABLES)).others
    line = "in,forward ipv4 udp any -> any:99  by table ip theirs, chain p"
    assert moved(planned(NFTABLES, files, None), NFTABLES, None, others) == (
        "~ what others' rules leave untracked:",
        f"    + {line}",
    )
    assert moved(planned(NFTABLES, files, None, others), NFTABLES, None) == (
        "~ what others' rules leave untracked:",
        f"    - {line}",
    )
    assert moved(planned(NFTABLES, files, None, others), NFTABLES, None, others) == ()


def test_another_version_is_told_if_it_compiles_otherwise(files: list[Path]) -> None:
    saved = replace(planned(NFTABLES, files, None), version="0.0.9")
    assert moved(saved, NFTABLES, None) == ()
    assert moved(replace(saved, desired=fingerprint("what it was then")), NFTABLES, None) == (
        "~ ctpolicy: 0.0.9 made the plan, and compiled the policy otherwise than this one does",
    )


def test_ipset_that_is_gone_is_told(files: list[Path]) -> None:
    with_sets, without = (IptablesBackend(Variant.NFT, with_sets) for with_sets in (True, False))
    assert moved(planned(with_sets, files, None), without, None) == (
        "- ipset: it was there, and this host has none now",
    )


def test_a_plan_whose_end_is_live_already_is_not_stale(files: list[Path]) -> None:
    saved = planned(NFTABLES, files, None)
    kept, _ = load_and_keep(files)
    fresh: Plan[Table] = plan_policy(NFTABLES, kept, NFTABLES.compile(kept))
    assert what_moved(saved, fresh) == ()
