"""The schema explains every key to an editor, and agrees with the stages after it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ctpolicy.language.diagnostics import PolicyError
from ctpolicy.language.entries import EVERYWHERE, KINDS
from ctpolicy.language.load import load_text
from ctpolicy.language.match import KEYS as MATCH_KEYS
from ctpolicy.language.presets import PRESETS
from ctpolicy.language.schema import policy_schema

SCHEMA = policy_schema()
DEFINITIONS = SCHEMA["$defs"]
VALUES = {
    "overlay": "vxlan",
    "host-service": "tcp/9100",
    "host-client": "udp/123",
    "forward": "tcp/11211",
    "ports": "udp/53",
    "match": {"protocol": "udp"},
    "peers": "10.0.0.1",
    "local": "10.0.0.2",
    "clients": "10.0.0.3",
    "servers": "10.0.0.4",
    "paths": ["in", "out"],
    "interfaces": ["eth0"],
}


def keys_of(schema: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key and list item that the schema describes, with its own schema, references followed one step."""
    if isinstance(schema, list):
        for index, part in enumerate(schema):
            yield from keys_of(part, f"{at}[{index}]")
    elif isinstance(schema, dict):
        for name, part in (schema.get("properties") or {}).items():
            if part is not False:
                yield f"{at}.{name}", resolved(part)
        if isinstance(schema.get("items"), dict):
            yield f"{at}[]", resolved(schema["items"])
        for name, part in schema.items():
            if name not in {"examples", "default"}:
                yield from keys_of(part, f"{at}/{name}")


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref", "").rpartition("/")[2]
    return {**DEFINITIONS.get(reference, {}), **schema}


def editor_accepts(document: Any) -> bool:
    return Draft202012Validator(SCHEMA).is_valid(document)


def ctpolicy_accepts(document: Any) -> bool:
    try:
        load_text(as_flow(document))
    except PolicyError:
        return False
    return True


def as_flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {as_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_flow, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)


def policy_with(entry: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "ctpolicy/v1", "name": "x", "bypass": [{"name": "a", **entry}]}


def test_it_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    ("where", "schema"), list(keys_of(SCHEMA)), ids=lambda value: value if isinstance(value, str) else ""
)
def test_key_has_title_description_and_examples(where: str, schema: dict[str, Any]) -> None:
    assert schema.get("title") and schema.get("description") and schema.get("examples"), where


@pytest.mark.parametrize(
    ("where", "schema"), list(keys_of(SCHEMA)), ids=lambda value: value if isinstance(value, str) else ""
)
def test_examples_are_what_they_show(where: str, schema: dict[str, Any]) -> None:
    validator = Draft202012Validator({**schema, "$defs": DEFINITIONS})
    for example in schema["examples"]:
        assert validator.is_valid(example), (where, example)


def test_every_definition_is_described_and_used() -> None:
    text = str(SCHEMA)
    for name, schema in DEFINITIONS.items():
        assert schema["title"] and schema["description"] and schema["examples"], name
        assert f"#/$defs/{name}'" in text, name


def test_it_knows_the_keys_and_presets_that_the_language_knows() -> None:
    entry = DEFINITIONS["entry"]["properties"]
    assert set(entry) == {*EVERYWHERE, *KINDS, *(key for keys in KINDS.values() for key in keys)}
    assert set(entry["match"]["properties"]) == MATCH_KEYS
    assert DEFINITIONS["preset"]["enum"] == list(PRESETS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", sorted({key for keys in KINDS.values() for key in keys}))
def test_it_agrees_with_the_language_about_which_keys_go_with_a_kind(kind: str, key: str) -> None:
    document = policy_with({kind: VALUES[kind], key: VALUES[key]})
    assert editor_accepts(document) == ctpolicy_accepts(document) == (key in KINDS[kind])


@pytest.mark.parametrize("kinds", list(combinations(KINDS, 2)), ids="+".join)
def test_two_kinds_in_one_entry_are_refused_by_both(kinds: tuple[str, str]) -> None:
    document = policy_with({kind: VALUES[kind] for kind in kinds})
    assert not editor_accepts(document)
    assert not ctpolicy_accepts(document)


def test_an_entry_without_a_kind_is_refused_by_both() -> None:
    assert not editor_accepts(policy_with({}))
    assert not ctpolicy_accepts(policy_with({}))
