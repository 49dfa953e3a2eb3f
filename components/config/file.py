"""A YAML file as plain values, whatever someone has written into it: bounded, and each fault one sentence."""

import math
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

from components.errors import BEGIN, ConfigError

DEPTH = 32  # levels of nesting
VALUES = 100_000  # in all, each alias counted as what it stands for


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping that a file holds; an empty file holds none.

    Raises:
        ConfigError: it can't be read, is no YAML or no mapping, or is nested or expanded beyond all use.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing: {BEGIN}") from None
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8: byte {error.start} can't be read; save it in that encoding") from None
    raw = read_value(str(path), text)
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} must hold a mapping of sections")
    return raw


def read_value(where: str, text: str) -> Any:
    """The plain value that `text` is in YAML; `where` it stands, a message says.

    Raises:
        ConfigError: it is no YAML, or is nested or expanded beyond all use.
    """
    try:
        _check_depth(where, text)
        raw = YAML(typ="safe").load(text)
    except MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ConfigError(f"{where} is no valid YAML: {line}{_one_line(error.problem or error)}") from None
    except (YAMLError, ValueError, TypeError) as error:  # such as a date or a number that there can't be
        raise ConfigError(f"{where} is no valid YAML: {_one_line(error)}") from None
    extent = _extent(raw, {})
    if extent.values > VALUES:
        raise ConfigError(f"{where} stands for more than {VALUES:,} values, its aliases (*NAME) written out")
    if extent.depth > DEPTH:
        raise ConfigError(f"{where} is nested more than {DEPTH} levels deep, its aliases (*NAME) written out")
    return raw


def _check_depth(where: str, text: str) -> None:
    depth = 0
    for event in YAML(typ="safe").parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > DEPTH:
            raise ConfigError(f"{where}, line {event.start_mark.line + 1} is nested more than {DEPTH} levels deep")


class _Extent(NamedTuple):
    """How many values there are, and on how many levels, as if every alias were written out."""

    values: float
    depth: int


def _extent(value: Any, known: dict[int, _Extent]) -> _Extent:
    if not isinstance(value, dict | list):
        return _Extent(1, 0)
    if id(value) not in known:
        known[id(value)] = _Extent(math.inf, 0)  # of a value that holds itself
        parts = [_extent(part, known) for part in (value.values() if isinstance(value, dict) else value)]
        depth = 1 + max((part.depth for part in parts), default=0)
        known[id(value)] = _Extent(1 + sum(part.values for part in parts), depth)
    return known[id(value)]


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:300]
