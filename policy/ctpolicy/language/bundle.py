"""A JSON Schema that refers to other files of its directory, as one that stands alone.

The schema of invariants takes what it says of traffic from that of policies, so that it is written once. An editor that
is given the file follows the references to the file beside it; whoever gets the schema by itself gets it bundled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]


def bundled(schema: Schema, load: Callable[[str], Schema]) -> Schema:
    """The same schema with the definitions of the files that it refers to, and references to these alone.

    Args:
        schema: as it is in its file.
        load: the schema in a file beside it, by the file's name.
    """
    files: set[str] = set()
    own = _localized(schema, files)
    definitions = {name: part for file in sorted(files) for name, part in load(file)["$defs"].items()}
    if not definitions:
        return schema
    theirs = own.pop("$defs", {})
    assert not theirs.keys() & definitions.keys(), "a definition has one meaning"
    return {**own, "$defs": {**theirs, **definitions}}


def _localized(part: Any, files: set[str]) -> Any:
    """The same with references into the schema itself; the files that they led to are noted."""
    if isinstance(part, list):
        return [_localized(item, files) for item in part]
    if not isinstance(part, dict):
        return part
    kept = {key: _localized(item, files) for key, item in part.items()}
    if isinstance(reference := part.get("$ref"), str):
        file, _, pointer = reference.partition("#")
        if file:
            files.add(file)
            kept["$ref"] = f"#{pointer}"
    return kept


def meant(reference: str, schema: Schema) -> Any:
    """The part of a schema that a reference into it means."""
    part: Any = schema
    for step in reference.removeprefix("#/").split("/"):
        part = part[step]
    return part
