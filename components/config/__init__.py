"""params.yaml, typed: a wrong key, type or value is one clear sentence before any work starts."""

from components.config.base import Section
from components.config.load import Params, VariantSettings, load_params, variant_settings

__all__ = ["Params", "Section", "VariantSettings", "load_params", "variant_settings"]
