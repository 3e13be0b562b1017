"""What a file is to be, a policy or invariants, and the keys at its head that say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ctpolicy.language.diagnostics import nearest
from ctpolicy.language.mistakes import Mistakes
from ctpolicy.language.names import name_mistake
from ctpolicy.language.nodes import Mapping, Scalar


@dataclass(frozen=True, slots=True)
class Form:
    """What a file is to be.

    Args:
        schema: the name of its schema, among language.schema.SCHEMAS.
        version: what its `apiVersion` says.
        noun: what to call it: `a policy`.
        keys: the most important ones, for somebody whose file is something else.
        takes_dates: whether plain text that some readers of YAML take for a date is taken, as text.
    """

    schema: str
    version: str
    noun: str
    keys: str
    takes_dates: bool = False


POLICY: Final = Form("policy", "ctpolicy/v1", "a policy", "apiVersion, name, bypass, track")
INVARIANTS: Final = Form(
    "invariants", "ctpolicy/invariants-v1", "a file of invariants", "apiVersion, name, invariants, waivers", True
)
_FORMS: Final = {form.version: form for form in (POLICY, INVARIANTS)}


def check_head(tree: Mapping, form: Form, mistakes: Mistakes) -> None:
    """Tell a version that is not the form's, and a name that is none."""
    version = tree.get("apiVersion")
    if isinstance(version, Scalar) and version.value not in {form.version, None}:
        _tell_version(version, form, mistakes)
    name = tree.get("name")
    if isinstance(name, Scalar) and isinstance(name.value, str) and (mistake := name_mistake(name.value)):
        mistakes.tell(name, mistake.message, mistake.expected, mistake.suggestion)


def _tell_version(version: Scalar, form: Form, mistakes: Mistakes) -> None:
    text = str(version.value)
    if text in _FORMS:
        mistakes.tell(version, f"this is {_FORMS[text].noun}, and {form.noun} belongs here", form.version)
        return
    expected = f"{form.version}, the version that this ctpolicy reads"
    suggestion = nearest(text, [form.version])
    mistakes.tell(version, f"`{text[:40]}` is not a version of the language", expected, suggestion)
