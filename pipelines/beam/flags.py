"""Beam flags: Beam only warns about misspelt ones and drops them; here they are errors."""

from __future__ import annotations

import argparse
import difflib
import logging
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from pipelines.contracts.errors import ConfigError, did_you_mean, message

_OWN_FLAGS = ("--out", "--workers", "--engine", "--sample", "--dry-run", "--stall-timeout", "--help")
_PACKAGE = Path(__file__).parents[1]
CONF_FOLDERS = (Path("conf/runners"), _PACKAGE.parent / "conf" / "runners", _PACKAGE / "conf" / "runners")
"""Here, in a checkout, and in an installed wheel."""


@dataclass(frozen=True)
class EngineConfig:
    """A complete argument set for an engine.

    Attributes:
        name: where it came from.
        flags: Beam flags.
        environment: variables to set before Beam starts.
        stall_s: seconds without progress after which the job is cancelled.
    """

    name: str
    flags: tuple[str, ...]
    environment: dict[str, str]
    stall_s: float


def load_engine(name: str) -> EngineConfig:
    """Read `conf/runners/<name>.toml`, or a file by its path. `${NAME}` in a flag is an environment variable.

    Raises:
        ConfigError: if there is none, it is not what it should be, or a variable is not set.
    """
    path = _engine_file(name)
    try:
        body = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(message(str(path), "broken TOML", str(error), "TOML 1.0")) from error
    unknown = set(body) - {"flags", "environment", "stall_timeout_s"}
    if unknown or "flags" not in body:
        raise ConfigError(message(str(path), "wrong keys", sorted(body), "flags, environment, stall_timeout_s"))
    flags = tuple(_expand(str(path), f) for key, value in body["flags"].items() for f in _flag(key, value))
    environment = {key: str(value) for key, value in body.get("environment", {}).items()}
    return EngineConfig(name, flags, environment, float(body.get("stall_timeout_s", 900)))


def _engine_file(name: str) -> Path:
    places = [Path(name)] if name.endswith(".toml") else [folder / f"{name}.toml" for folder in CONF_FOLDERS]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        known = {path.stem for folder in CONF_FOLDERS for path in folder.glob("*.toml")}
        raise ConfigError(
            message(f"--engine {name}", "no such engine file", str(places[0]), "a file", did_you_mean(name, known))
        )
    return found


def _expand(path: str, flag: str) -> str:
    """Put the values of environment variables in."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            hint = f"Set it, or copy the file and write the value in place of {match[0]}."
            raise ConfigError(
                message(path, "a flag needs an environment variable", flag, f"{match[1]} to be set", hint)
            )
        return os.environ[match[1]]

    return re.sub(r"\$\{(\w+)\}", value, flag)


def _flag(key: str, value: object) -> list[str]:
    if value is True:
        return [f"--{key}"]
    if isinstance(value, list):
        return [f"--{key}={item}" for item in value]
    return [f"--{key}={value}"]


def check_flags(flags: tuple[str, ...]) -> None:
    """Refuse flags that no Beam option class knows.

    Raises:
        ConfigError: naming the flag, with a suggestion.
    """
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    from apache_beam.options import pipeline_options

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options in _option_classes(pipeline_options.PipelineOptions):
        options._add_argparse_args(parser)
    known = [option for action in parser._actions for option in action.option_strings]
    for word in flags:
        name = word.split("=", 1)[0]
        if name.startswith("-") and name not in known:
            ours = difflib.get_close_matches(name, _OWN_FLAGS, n=1, cutoff=0.8)
            hint = did_you_mean(name, ours or known)
            raise ConfigError(
                message(f"flag {name}", "unknown flag", word, "a flag of mixtrace or of Beam", hint[:300])
            )
    _, left = parser.parse_known_args(list(flags))
    if left:
        raise ConfigError(message(f"argument {left[0]}", "does not belong to any flag", left[0], "--flag=value"))


def _option_classes(base: type) -> list[type]:
    found = []
    for child in base.__subclasses__():
        if child.__module__.startswith("apache_beam"):
            found += [child, *_option_classes(child)]
    return found


def flag_value(flags: tuple[str, ...], name: str) -> str | None:
    """Return the value of `--name=value` or `--name value`; the last one wins."""
    found = None
    for index, word in enumerate(flags):
        if word.startswith(f"--{name}="):
            found = word.split("=", 1)[1]
        elif word == f"--{name}" and index + 1 < len(flags):
            found = flags[index + 1]
    return found
