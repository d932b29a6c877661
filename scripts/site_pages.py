"""The pages of the documentation's site: a hook of mkdocs (`mkdocs.yml`), which `make docs` runs.

The site has the repository's own layout, so that a link that holds in one holds in the other: the pages of the root
beside `docs/`, and every other file that a page links to, as it is.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

FRONT = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md")
_LINK = re.compile(r"\]\((?P<target>[^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put `docs/` into its folder, and the root's pages and all files that pages link to beside it.

    A link to what is not there is left to mkdocs, whose strict mode refuses it.
    """
    docs = Path(config.docs_dir)
    for file in [file for file in files if file.src_dir == config.docs_dir]:
        files.remove(file)
    pages = [*(docs.parent / name for name in FRONT), *sorted(docs.rglob("*.md"))]
    linked = {path for page in pages for path in _linked_files(page, docs.parent)}
    for path in [*pages, *sorted(linked.difference(pages))]:
        uri = path.relative_to(docs.parent).as_posix()
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def _linked_files(page: Path, root: Path) -> list[Path]:
    targets = [match["target"] for match in _LINK.finditer(page.read_text(encoding="utf-8"))]
    paths = [(page.parent / target).resolve() for target in targets if "://" not in target]
    return [path for path in paths if path.is_file() and path.is_relative_to(root)]
