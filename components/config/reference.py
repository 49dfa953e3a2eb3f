"""`python -m components.config.reference > docs/configuration.md`: every key of params.yaml, from the typed sections.

What a key may be and its default come from the types. What it means comes from the section's docstring and the comment
beside the key.
"""

import argparse
import ast
import html
import inspect
import io
import json
import re
import sys
import textwrap
import tokenize
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args, get_origin

from components.config.base import Section
from components.config.load import Params

INTRODUCTION = """# Configuration

<!-- Written by `python -m components.config.reference`. Change the types in components/config/ instead. -->

Every key that `params.yaml` may have. A profile (`profiles/<name>.yaml`) and `--set KEY=VALUE` take the same keys. An
unknown key, a wrong type or an impossible value is refused when the file is loaded, in one sentence that names the key.
The defaults are those of the code; `params.yaml` shows the values of the embedded profile.

`NAME` stands for a name that you choose, `[]` for each item of a list.
"""
HEAD = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
SIGNS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def reference() -> str:
    """The page docs/configuration.md, in Markdown."""
    return "\n".join([INTRODUCTION, *(_section(section, path) for path, section in _sections(Params, ""))])


def _sections(section: type[Section], path: str) -> Iterator[tuple[str, type[Section]]]:
    """`section` and all that its keys hold, each with the path of keys that leads to it."""
    yield path, section
    for key, field in section.model_fields.items():
        for inner, place in _inner(field.annotation, f"{path}.{key}".lstrip(".")):
            yield from _sections(inner, place)


def _inner(annotation: Any, path: str) -> Iterator[tuple[type[Section], str]]:
    """The sections that a value of type `annotation` may be or hold."""
    if isinstance(annotation, type) and not get_args(annotation):
        if issubclass(annotation, Section):
            yield annotation, path
        return
    place = path + {dict: ".NAME", list: "[]"}.get(get_origin(annotation), "")
    for argument in get_args(annotation):
        yield from _inner(argument, place)


def _section(section: type[Section], path: str) -> str:
    level = "###" if "." in path.removesuffix(".NAME") else "##"
    text = [f"{level} {', '.join(f'`{each}`' for each in _title(section, path)) or 'The sections'}", ""]
    for docstring in _docstrings(section) if path else []:
        text += [docstring, ""]
    rows = [_row(section, path, key, spec) for key, spec in _keys(section).items() if "const" not in spec]
    return "\n".join([*text, *(HEAD + rows if rows else ["No other keys."]), ""])


def _title(section: type[Section], path: str) -> list[str]:
    """Its path, and what tells it from others of the same path, such as `kind: identity`."""
    constants = [f"{key}: {spec['const']}" for key, spec in _keys(section).items() if "const" in spec]
    return [each for each in (path, *constants) if each]


def _keys(section: type[Section]) -> dict[str, dict[str, Any]]:
    """Key → its JSON schema."""
    properties: dict[str, dict[str, Any]] = section.model_json_schema()["properties"]
    return properties


def _row(section: type[Section], path: str, key: str, spec: dict[str, Any]) -> str:
    field, value = section.model_fields[key], _value(spec)
    inner = next(_inner(field.annotation, f"{path}.{key}".lstrip(".")), None)
    if inner is not None:
        anchor = re.sub(r"[^\w -]", "", " ".join(_title(*inner)).lower()).replace(" ", "-")
        value = re.sub(r"(sections?) below", rf"[\1](#{anchor})", value)
    if field.is_required():
        default = "required"
    elif inner is not None and (given := field.get_default(call_default_factory=True)):
        default = f"list of {len(given)}" if isinstance(given, list) else "its own defaults"
    else:
        default = f"`{json.dumps(field.get_default(call_default_factory=True), ensure_ascii=False)}`"
    return f"| `{key}` | {value} | {default} | {_comment(section, key)} |"


def _value(spec: dict[str, Any]) -> str:
    """What a value may be, in words, from its JSON schema."""
    if "anyOf" in spec:
        return " or ".join(dict.fromkeys(_value(each) for each in spec["anyOf"]))
    if "$ref" in spec or "allOf" in spec:
        return "section below"
    if "oneOf" in spec:
        return "one of the sections below"
    if "enum" in spec:
        return ", ".join(f"`{each}`" for each in spec["enum"])
    kind = spec.get("type")
    if kind == "array":
        items, least = _value(spec.get("items", {})), spec.get("minItems", 0)
        if least and least == spec.get("maxItems"):
            return f"`[{', '.join([items] * least)}]`"
        return f"list of {items}{', not empty' if least else ''}"
    if kind == "object":
        names, inner = spec.get("propertyNames", {}), spec.get("additionalProperties")
        by = _value(names) if "enum" in names else "name"
        return f"{_value(inner)} by {by}" if isinstance(inner, dict) and inner else "keys and values"
    if kind in ("integer", "number"):
        bounds = ", ".join(f"{sign} {spec[name]:,.10g}" for name, sign in SIGNS.items() if name in spec)
        return f"{'whole number' if kind == 'integer' else 'number'} {bounds}".rstrip()
    if kind == "string" and "pattern" in spec:
        return f"text of the form <code>{html.escape(spec['pattern']).replace('|', '&#124;')}</code>"
    return {"boolean": "true, false", "string": "text", "null": "null"}.get(str(kind), "any value")


def _lineage(section: type[Section]) -> list[type[Section]]:
    """`section` and the sections that it inherits keys from."""
    return [each for each in section.__mro__ if issubclass(each, Section) and each is not Section]


def _docstrings(section: type[Section]) -> list[str]:
    return [inspect.cleandoc(each.__dict__["__doc__"]) for each in _lineage(section) if each.__dict__.get("__doc__")]


def _comment(section: type[Section], key: str) -> str:
    """The comment beside the key, of the nearest section of the lineage that has one."""
    return next((found for each in _lineage(section) if (found := _comments(each).get(key))), "").replace("|", "\\|")


@cache
def _comments(section: type[Section]) -> dict[str, str]:
    """Key → the comment beside it, of the keys that the section itself declares."""
    source = textwrap.dedent(inspect.getsource(section))
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    (tree,) = ast.parse(source).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for line in tree.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            lines = range(line.lineno, (line.end_lineno or line.lineno) + 1)
            found[line.target.id] = " ".join(comments[number] for number in lines if number in comments)
    return found


def main() -> None:
    argparse.ArgumentParser(
        prog="python -m components.config.reference",
        description="print docs/configuration.md, made from the typed sections",
    ).parse_args()
    sys.stdout.write(reference())


if __name__ == "__main__":
    main()
