"""The second stage: the shape of a policy or of invariants, held against its JSON Schema; and the schemas themselves.

The schema is written for editors too. What it says of shape (keys, types, choices) is told from here; what a value
means is told by the stages after this one, in better words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, cast

from ctpolicy.language.bundle import Schema, bundled, meant
from ctpolicy.language.diagnostics import nearest
from ctpolicy.language.mistakes import Mistakes
from ctpolicy.language.nodes import Mapping, Node, Scalar, Sequence, plain

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

SCHEMAS: Final = (
    *("policy", "invariants", "plan", "saved-plan", "diff", "explain", "status", "history", "drain", "diagnostics"),
    *("lint", "conntrack-stats", "advise", "doctor", "review", "trace"),
)
"""What is shipped: the schemas of policies and invariants, and those of what commands print with `--json` or write."""


def policy_schema() -> Schema:
    """The JSON Schema (2020-12) of the policy language, as it is shipped."""
    return shipped_schema("policy")


def shipped_schema(name: str) -> Schema:
    """A JSON Schema (2020-12) by its name, one of SCHEMAS; it refers to no other file."""
    return bundled(_file(f"{name}-v1.schema.json"), _file)


def _file(name: str) -> Schema:
    schema: Schema = json.loads(files("ctpolicy").joinpath("schemas", name).read_text("utf-8"))
    return schema


def misfit(document: Any, name: str) -> str | None:
    """Where and how a JSON document is not as a shipped schema says, in words; None if it is."""
    from jsonschema import Draft202012Validator  # late, as below

    error = next(iter(Draft202012Validator(shipped_schema(name)).iter_errors(document)), None)
    if error is None:
        return None
    place = error.json_path.removeprefix("$").lstrip(".")[:80] or "the whole"
    return f"{place} does not fit the schema ({error.validator}: {json.dumps(error.validator_value)[:80]})"


def check_shape(tree: Mapping, mistakes: Mistakes, name: str = "policy") -> None:
    """Tell where the shape of a policy, or what else the schema of this name is for, is not the schema's."""
    for error in _validator(name).iter_errors(plain(tree)):
        _tell(error, tree, mistakes)


@cache
def _validator(name: str) -> Validator:
    from jsonschema import Draft202012Validator  # late: importing it takes longer than all else (0.1 s)

    whole = shipped_schema(name)
    schema = {key: part for key, part in whole.items() if key != "$defs"}
    validator: Validator = Draft202012Validator(_inlined(schema, whole))
    return validator


def _inlined(schema: Any, whole: Schema) -> Any:
    """The same schema as it is fast to hold a policy against.

    Each reference is replaced by what it means (following them doubles the time), and `allOf` is left out: it tells
    editors which keys exclude each other, which `entries` tells in better words. A test holds that the two agree.
    """
    if isinstance(schema, list):
        return [_inlined(part, whole) for part in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    base = _inlined(meant(reference, whole), whole) if isinstance(reference, str) else {}
    own = {key: _inlined(part, whole) for key, part in schema.items() if key not in {"$ref", "allOf"}}
    return {**base, **own}


def _tell(error: ValidationError, tree: Mapping, mistakes: Mistakes) -> None:
    path = list(error.absolute_path)
    node = _at(tree, path)
    if isinstance(node, Scalar) and node.value is None:
        return  # refused by the reading stage, which has told it
    if error.validator == "anyOf":
        for inner in _nearest_branch(error):
            _tell(inner, tree, mistakes)
    elif error.validator == "additionalProperties":
        _tell_unknown_keys(error, node, mistakes)
    elif error.validator == "required":
        _tell_missing_keys(error, node, mistakes)
    else:
        message, expected, suggestion = _MESSAGES.get(str(error.validator), _malformed)(error)
        mistakes.tell(node, message, expected, suggestion)


def _at(tree: Mapping, path: Iterable[str | int]) -> Node:
    node: Node = tree
    for step in path:
        if isinstance(node, Sequence) and isinstance(step, int):
            node = node.items[step]
        elif isinstance(node, Mapping):
            node = node.pairs[str(step)][1]
    return node


def _nearest_branch(error: ValidationError) -> list[ValidationError]:
    """What is wrong by that branch of an `anyOf` which was meant: the first that wants a value of this type."""
    branches: dict[int, list[ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(int(inner.relative_schema_path[0]), []).append(inner)
    meant = [
        errors
        for errors in branches.values()
        if not any(inner.validator in {"type", "enum"} and not inner.relative_path for inner in errors)
    ]
    return (meant or list(branches.values()))[0]


def _tell_unknown_keys(error: ValidationError, node: Node, mistakes: Mistakes) -> None:
    assert isinstance(node, Mapping)
    known = list(_schema(error)["properties"])
    free = [key for key in known if key not in node.pairs]
    for name, key, _ in node:
        if name not in known:
            suggestion = mistakes.nearest(name, free)
            expected = "" if suggestion else "one of " + ", ".join(free or known)
            mistakes.tell(key, f"`{name[:40]}` is not a key of {_called(error)}", expected, suggestion)


def _tell_missing_keys(error: ValidationError, node: Node, mistakes: Mistakes) -> None:
    assert isinstance(node, Mapping)
    if node.is_torn:
        return
    known = _schema(error).get("properties", {})
    misspelt = [key for key in node.pairs if key not in known]
    missing = [key for key in _value(error) if key not in node.pairs and not mistakes.nearest(key, misspelt)]
    if not missing:
        return  # what is misspelt is told as an unknown key
    examples = [f"{key}: {_flow(known[key]['examples'][0])}" for key in missing if key in known]
    mistakes.tell(node, f"{_called(error)} has no `{'` and no `'.join(missing)}`", f"`{'`, `'.join(examples)}`")


_Message = tuple[str, str, str]
"""What is wrong, what was expected, what was probably meant."""

_TYPES: Final = {
    "string": "text",
    "integer": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}


def _wrong_type(error: ValidationError) -> _Message:
    wanted = _value(error) if isinstance(_value(error), list) else [_value(error)]
    examples = [example for example in _schema(error).get("examples", ()) if _type_of(example) in wanted]
    *most, last = [_TYPES[name] for name in wanted]
    expected = f"{', '.join(most)} or {last}" if most else last
    such_as = f", such as {_flow(examples[0])}" if examples and wanted != ["boolean"] else ""
    return f"{_kind(error)} does not belong here", expected + such_as, ""


def _not_a_choice(error: ValidationError) -> _Message:
    choices = [str(choice) for choice in _value(error)]
    if isinstance(error.instance, list | dict):
        return f"{_kind(error)} does not belong here", "one of " + ", ".join(choices), ""
    word = str(error.instance)
    message = f"`{word[:40]}` is not {_called(error)}"
    return message, "one of " + ", ".join(choices), nearest(word.lower(), choices)


def _empty(error: ValidationError) -> _Message:
    return f"{_kind(error)} with nothing in it does not belong here", _example(error), ""


def _out_of_bounds(error: ValidationError) -> _Message:
    side = "below" if error.validator == "minimum" else "above"
    return f"{error.instance} is {side} {_value(error)}", _example(error), ""


def _malformed(error: ValidationError) -> _Message:
    shown = f"`{str(error.instance)[:40]}`" if isinstance(error.instance, str | int) else "this"
    return f"{shown} is not {_called(error)}", str(_schema(error).get("description", "")).partition("\n")[0], ""


_MESSAGES: Final[dict[str, Callable[[ValidationError], _Message]]] = {
    "type": _wrong_type,
    "enum": _not_a_choice,
    "minItems": _empty,
    "minLength": _empty,
    "minProperties": _empty,
    "minimum": _out_of_bounds,
    "maximum": _out_of_bounds,
}


def _schema(error: ValidationError) -> Schema:
    """The part of the schema that is not met."""
    schema: Any = error.schema  # never `false`: `_inlined` leaves none
    return cast(Schema, schema)


def _value(error: ValidationError) -> Any:
    """The value of the keyword that is not met."""
    return error.validator_value


def _called(error: ValidationError) -> str:
    """What a part of the schema describes, with its article: an entry, a policy."""
    title = str(_schema(error).get("title", "value")).partition(",")[0]
    title = title[0].lower() + title[1:]
    return f"{'an' if title[0] in 'aeiou' else 'a'} {title}"


def _example(error: ValidationError) -> str:
    examples = [example for example in _schema(error).get("examples", ()) if example]
    return f"{_flow(examples[0])} or the like" if examples else ""


def _kind(error: ValidationError) -> str:
    return _TYPES[_type_of(error.instance)]


def _type_of(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case list():
            return "array"
        case dict():
            return "object"
    return "string"


def _flow(value: Any) -> str:
    """A value as it may be written in a policy, in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    return json.dumps(value) if isinstance(value, bool) or (isinstance(value, str) and "*" in value) else str(value)
