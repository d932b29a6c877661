"""One reader for every YAML file that a user writes: profiles, SkyPilot's tasks and settings, a stack's settings.

PyYAML takes the last of two equal keys, and reads `1:30` as 90, `012` as 10 and `no` as false, as YAML 1.1 says. Here
such a file is refused with its line, since nobody can tell what was meant.
"""

import math
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml

from cortex.errors import ConfigError

LARGEST_FILE = 1024 * 1024
"""Bytes. A file of this kind has a few thousand; a minute would go by before a larger one is parsed."""

MOST_NODES = 100_000
"""Values in a document, counted anew at each alias: a few lines of aliases to aliases can stand for billions."""

_TAG = "tag:yaml.org,2002:"
_READ_DIFFERENTLY = {
    f"{_TAG}int": re.compile(r"^[-+]?0[0-9]|^[-+]?0b|.*[_:]", re.DOTALL),
    f"{_TAG}float": re.compile(r".*[_:]", re.DOTALL),
    f"{_TAG}bool": re.compile(r"^(?!true$|false$)", re.IGNORECASE),
}
"""What YAML 1.1 takes for a number or a boolean, and YAML 1.2 for a text or for another number."""

_EXPONENT = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$")


def read_yaml(path: Path, *, exponents: bool = False) -> Any:
    """The one document of a file, of mappings, lists, texts, numbers, booleans and null alone.

    With `exponents`, `1e-5` is a number, as YAML 1.2 reads it; without, it is a text, as SkyPilot reads it.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: it cannot be read, or says something twice or ambiguously; the line is named.
    """
    documents = _read(path, exponents)
    if len(documents) > 1:
        raise ConfigError(f"{path} holds {len(documents)} documents, parted by `---`: write one")
    return documents[0] if documents else None


def read_yaml_value(text: str, where: str) -> Any:
    """One value, written as in a profile: `1e-5` is a number. `where` names it in the error.

    Raises:
        ConfigError: it is no YAML, or ambiguous.
    """
    documents = _parse(text, where, exponents=True)
    if len(documents) > 1:
        raise ConfigError(f"{where} holds {len(documents)} documents, parted by `---`: write one value")
    return documents[0] if documents else None


def read_yaml_documents(path: Path, *, texts: Collection[str] = ()) -> list[Any]:
    """The documents of a file, which `---` parts: as `read_yaml`.

    What stands below one of the keys `texts` is text as it is written, or null: `1.10` stays that, and is no number.
    """
    return _read(path, exponents=False, texts=texts)


def _read(path: Path, exponents: bool, texts: Collection[str] = ()) -> list[Any]:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > LARGEST_FILE:
        raise ConfigError(f"{path} is larger than {LARGEST_FILE:,} bytes: this is no file of settings")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path} is not YAML: line {line} is not UTF-8 text; save it as UTF-8") from error
    return _parse(text, str(path), exponents, texts)


def _parse(text: str, where: str, exponents: bool, texts: Collection[str] = ()) -> list[Any]:
    try:
        return list((_ExponentLoader if exponents else _Loader)(text).documents(texts))
    except _RefusedError as error:
        raise ConfigError(f"{where}, line {error.line}: {error}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        problem = " ".join(f"{error.problem or error.context}".split())
        raise ConfigError(f"{where} is not YAML: {line}{problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ConfigError(f"{where} is nested too deeply: write it flatter") from error


class _RefusedError(yaml.YAMLError):
    """The file is YAML, and is refused all the same."""

    def __init__(self, node: yaml.Node, problem: str) -> None:
        super().__init__(problem)
        self.line = node.start_mark.line + 1


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, less what is ambiguous or has no counterpart in JSON. A date stays the text that it is."""

    def documents(self, texts: Collection[str]) -> Iterator[Any]:
        """The document after document, each checked before anything is made of it."""
        while self.check_node():
            node = self.get_node()
            assert node is not None
            if texts and isinstance(node, yaml.MappingNode):
                node.value = [(key, _as_text(value) if key.value in texts else value) for key, value in node.value]
            self._check(node)
            yield self.construct_document(node)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError) as error:
            # Such as `!!int word`, `!!bool maybe`, or a number of more digits than Python reads.
            raise _RefusedError(node, f"{_shown(node)} cannot be read as {node.tag.removeprefix(_TAG)}") from error

    def _check(self, root: yaml.Node) -> None:
        sizes: dict[int, int] = {}
        open_nodes: set[int] = set()

        def measure(node: yaml.Node) -> int:
            if id(node) in sizes:
                return sizes[id(node)]
            if id(node) in open_nodes:
                raise _RefusedError(node, "an alias stands within what it names: write it out")
            open_nodes.add(id(node))
            size = 1
            if isinstance(node, yaml.ScalarNode):
                self._check_scalar(node)
            elif isinstance(node, yaml.SequenceNode):
                size += sum(measure(item) for item in node.value)
            elif isinstance(node, yaml.MappingNode):
                size += sum(measure(key) + measure(value) for key, value in node.value)
                self._check_keys(node)
            if size > MOST_NODES:
                raise _RefusedError(node, f"stands for more than {MOST_NODES:,} values: write fewer aliases")
            open_nodes.discard(id(node))
            sizes[id(node)] = size
            return size

        measure(root)

    def _check_scalar(self, node: yaml.ScalarNode) -> None:
        ambiguous = _READ_DIFFERENTLY.get(node.tag)
        if ambiguous and ambiguous.match(node.value):
            meant = self.construct_object(node)
            meant = str(meant).lower() if isinstance(meant, bool) else meant
            raise _RefusedError(
                node, f'{_shown(node)} is read as {meant} or as a text: write {meant}, or "{node.value}"'
            )
        if node.tag == f"{_TAG}float" and not math.isfinite(self.construct_object(node)):
            raise _RefusedError(node, f"{_shown(node)} is no finite number: write one, or a text in quotes")

    def _check_keys(self, mapping: yaml.MappingNode) -> None:
        lines: dict[Any, int] = {}
        for node, _ in mapping.value:
            if not isinstance(node, yaml.ScalarNode):
                raise _RefusedError(node, "a list or a mapping stands as a key: write a text")
            # A merge (`<<`) has no value of its own; what it brings may be said anew beside it.
            key = "<<" if node.tag == f"{_TAG}merge" else self.construct_object(node)
            line = node.start_mark.line + 1
            if key in lines:
                raise _RefusedError(
                    node, f"{_shown(node)} is given twice, first in line {lines[key]}: keep one of them"
                )
            lines[key] = line


class _ExponentLoader(_Loader):
    """Reads `1e-5` as a number."""


def _as_text(node: yaml.Node) -> yaml.Node:
    """The scalars of a mapping as the texts that they are written as. A copy, for an alias may stand elsewhere too."""
    if isinstance(node, yaml.MappingNode):
        pairs = [(key, _as_text(value)) for key, value in node.value]
        return yaml.MappingNode(node.tag, pairs, node.start_mark, node.end_mark, node.flow_style)
    if isinstance(node, yaml.ScalarNode) and node.tag != f"{_TAG}null":
        return yaml.ScalarNode(f"{_TAG}str", node.value, node.start_mark, node.end_mark, node.style)
    return node


def _shown(node: yaml.Node) -> str:
    value = str(node.value)
    return repr(value if len(value) <= 60 else value[:60] + "...")


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != f"{_TAG}timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.yaml_constructors = {
    tag: construct
    for tag, construct in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.removeprefix(_TAG) in ("null", "bool", "int", "float", "str", "seq", "map")
}
_ExponentLoader.add_implicit_resolver(f"{_TAG}float", _EXPONENT, list("-+.0123456789"))
