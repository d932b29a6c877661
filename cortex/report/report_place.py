"""Places of reports on this machine, and the desktop's browser to open them in."""

import os
import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path

PAGE = "report.html"
COMPARISON = "comparison.html"


def report_path(home: Path, run: str) -> Path:
    """The place of a run's page."""
    return home.absolute() / "reports" / run / PAGE


def has_browser(variables: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """True on a desktop. Elsewhere the standard library would start a browser for terminals, if there is one."""
    return platform in ("darwin", "win32") or bool(variables.get("DISPLAY") or variables.get("WAYLAND_DISPLAY"))


def open_page(path: Path) -> bool:
    """Open a page in the desktop's browser; False where there is none."""
    return has_browser() and webbrowser.open_new_tab(path.as_uri())
