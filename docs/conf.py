"""How Sphinx builds these pages: `python -m sphinx -n -W -b html docs docs/_build`."""

from __future__ import annotations

import sys
from pathlib import Path

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE))

from lifecycle_diagram import draw  # noqa: E402 - found beside this file

(_HERE / "reference" / "_lifecycle.svg").write_text(draw(), encoding="utf-8")

project = "osapi"
author = "The osapi authors"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
exclude_patterns = ["_build"]
myst_heading_anchors = 3
autodoc_typehints = "none"
autodoc_member_order = "bysource"
# Python's own classes; their documentation is not linked, so that the build needs no network.
nitpick_ignore_regex = [("py:class", r"Exception|ValueError|LookupError")]
