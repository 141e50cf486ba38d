"""The settings: one YAML file, the environment above it, secrets from files; all problems at once."""

from connector.config.model import Config
from connector.config.reading import (
    Parsed,
    examine,
    load,
    load_extend,
    parse,
    read_key,
    read_registry_secret,
    read_signing_secrets,
)
from connector.config.registry import Registry
from connector.config.secret import Secret

__all__ = [
    "Config",
    "Parsed",
    "Registry",
    "Secret",
    "examine",
    "load",
    "load_extend",
    "parse",
    "read_key",
    "read_registry_secret",
    "read_signing_secrets",
]
