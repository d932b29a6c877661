"""Domains: what is asked, what is true, and how an answer is judged. One folder each, found by its `kind`.

CORTEX_DOMAINS lists further folders of domains, as PATH does for programs: a domain can be tried outside the kit.
"""

import os

FOLDERS = [folder for folder in os.environ.get("CORTEX_DOMAINS", "").split(os.pathsep) if folder]
"""Further folders of domains, from CORTEX_DOMAINS."""

__path__ += FOLDERS
