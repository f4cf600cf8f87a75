"""The program's configuration: a YAML file, `OSAPI_*` variables over it, and every problem told at once."""

# The layout, in the order in which a value passes through it:
#
#   schema.py       every key, its kind, range and default; broker.py those below `nats`, kinds.py the kinds
#   document.py     YAML text into nodes that know their line; nothing is executed, nothing grows
#   environment.py  variables into the same nodes
#   reading.py      nodes into the schema's types, problems collected
#   durations.py    30s, 1h30m, 720h
#   checks.py       what one key demands of another
#   idle.py         what nothing acts upon, and what may do harm
#   loading.py      which file, and all of the above
#   showing.py      the configuration as YAML or JSON, without its secrets

from __future__ import annotations

from osapi_cli.configuration.loading import Loaded, load, require
from osapi_cli.configuration.schema import Configuration
from osapi_cli.problems import ConfigurationError, ProblemError

__all__ = ["Configuration", "ConfigurationError", "Loaded", "ProblemError", "load", "require"]
