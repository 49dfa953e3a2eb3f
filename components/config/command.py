"""The parameters of one command: params.yaml, a profile, what `--set` replaces, and the variants that it trains."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from components.config.load import Params, load_params, variant_settings
from components.config.settings import EACH, for_each, require_effect


class Command(NamedTuple):
    """Attributes:
    params: with the settings.
    variants: that are trained.
    settings: KEY=VALUE each, `variants.*` written out for each of `variants`.
    """

    params: Params
    variants: list[str]
    settings: list[str]


def command_params(
    variants: Sequence[str] | None = None, settings: Iterable[str] | None = None, profile: str | None = None
) -> Command:
    """The parameters of a command that trains `variants` (default: `experiment.variants`) under `settings`.

    Raises:
        ConfigError: a setting that params.yaml has no place for or that has no effect on any of the variants, a value
            that its key refuses, or an unknown variant.
    """
    given = list(settings or ())
    if not variants:
        variants = load_params(
            profile=profile, settings=[text for text in given if not text.startswith(EACH)]
        ).experiment.variants
    else:
        params = load_params(profile=profile)
        for name in variants:
            variant_settings(params, name)  # before a setting's key names it
    given = for_each(given, variants)
    params = load_params(profile=profile, settings=given)
    for name in variants:
        variant_settings(params, name)
    require_effect(given, params.variants, variants)
    return Command(params, list(variants), given)
