"""Keys of params.yaml replaced for one command: `training.learning_rate=3e-5`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from components.config.file import read_value
from components.config.names import meant
from components.config.variants import Variant
from components.errors import ConfigError

EACH = "variants.*."  # begins a key of every variant that the command trains


class Setting(NamedTuple):
    """A key of params.yaml, step by step, and the value that it gets."""

    path: tuple[str, ...]
    value: Any

    @property
    def key(self) -> str:
        return ".".join(self.path)


def parse_setting(text: str) -> Setting:
    """`KEY=VALUE` with a dotted key as in params.yaml and a value in YAML.

    Raises:
        ConfigError: it has no key, no `=`, or a value that is no YAML.
    """
    key, sign, value = text.partition("=")
    path = tuple(key.strip().split("."))
    if not sign or not all(path):
        raise ConfigError(f"{text!r} sets no key: write KEY=VALUE, such as training.learning_rate=3e-5")
    return Setting(path, read_value(key.strip(), value))


def for_each(settings: Iterable[str] | None, variants: Sequence[str]) -> list[str]:
    """`settings` with `variants.*` written out for each of `variants`."""
    found = []
    for text in settings or ():
        key, sign, value = text.partition("=")
        own = key.strip().removeprefix(EACH)
        found += [text] if own == key.strip() else [f"variants.{name}.{own}{sign}{value}" for name in variants]
    return found


def with_settings(raw: dict[str, Any], settings: Iterable[Setting]) -> dict[str, Any]:
    """`raw`, params.yaml and its profile before they are checked, with the values of `settings`, applied in order.

    Raises:
        ConfigError: a key leads nowhere.
    """
    for setting in settings:
        raw = _replaced(raw, setting.path, setting.value, "")
    return raw


def require_effect(settings: Iterable[str], variants: Mapping[str, Variant], trained: Sequence[str]) -> None:
    """See that no setting of `training` or `encoder` is overridden by all variants that are `trained`.

    Raises:
        ConfigError: one is.
    """
    for setting in map(parse_setting, settings):
        section, *rest = setting.path
        own = section in ("training", "encoder") and rest
        if own and all(rest[0] in getattr(variants[name], section) for name in trained):
            raise ConfigError(
                f"{setting.key} has no effect on {', '.join(trained)}: variants.{trained[0]}.{section} overrides it; "
                f"set variants.{trained[0]}.{setting.key}"
            )


def _replaced(value: Any, path: tuple[str, ...], new: Any, where: str) -> Any:
    """`value` with `new` at `path`; containers on the way are copies, since an alias in YAML shares them."""
    if not path:
        return new
    if isinstance(value, list):
        step = path[0]
        if not (step.isdecimal() and int(step) < len(value)):
            raise ConfigError(
                f"{where} is a list of {len(value)}, which has no {step!r}: its places count from 0, and a list is "
                f"replaced by {where}=[…]"
            )
        place = int(step)
        return [*value[:place], _replaced(value[place], path[1:], new, f"{where}.{step}"), *value[place + 1 :]]
    if not isinstance(value, dict):
        raise ConfigError(f"{where} is {value!r}, which holds no key {path[0]!r}")
    step, rest = _step(value, path)
    if where == "variants" and step not in value:
        raise ConfigError(f"variants: no variant named {step!r}{meant(step, value)}")
    inner = value.get(step)
    return value | {step: _replaced({} if inner is None else inner, rest, new, f"{where}.{step}".lstrip("."))}


def _step(value: dict[str, Any], path: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The key of `value` that `path` begins with, and the rest; a key may hold dots itself."""
    for end in range(1, len(path) + 1):
        if (key := ".".join(path[:end])) in value:
            return key, path[end:]
    return path[0], path[1:]
