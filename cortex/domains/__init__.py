"""Domains: what is asked, what is true, and how an answer is judged. One folder each, found by its `kind`.

CORTEX_DOMAINS names further folders of domains, as PATH does of programs, so that one can be tried outside of the kit.
"""

import os

FOLDERS = [folder for folder in os.environ.get("CORTEX_DOMAINS", "").split(os.pathsep) if folder]
"""Further folders of domains, from CORTEX_DOMAINS."""

__path__ += FOLDERS
