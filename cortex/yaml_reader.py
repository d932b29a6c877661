"""One reader for every YAML file that a user writes: profiles, SkyPilot's tasks and settings, a stack's settings.

PyYAML takes the last of two equal keys, and reads `1:30` as 90, `012` as 10 and `no` as false, as YAML 1.1 says. This
reader refuses such a file and names the line, since nobody can tell what was meant.
"""

import math
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml

from cortex.errors import ConfigError

LARGEST_FILE = 1024 * 1024
"""Bytes. A settings file has a few thousand; parsing a larger one would take more than a minute."""

MOST_NODES = 100_000
"""Most values in a document, each alias counted in full: a few lines of nested aliases can stand for billions."""

_TAG = "tag:yaml.org,2002:"
_READ_DIFFERENTLY = {
    f"{_TAG}int": re.compile(r"^[-+]?0[0-9]|^[-+]?0b|.*[_:]", re.DOTALL),
    f"{_TAG}float": re.compile(r".*[_:]", re.DOTALL),
    f"{_TAG}bool": re.compile(r"^(?!true$|false$)", re.IGNORECASE),
}
"""Scalars that YAML 1.1 reads as a number or a boolean, and YAML 1.2 as a text or as another number."""

_EXPONENT = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$")


def read_yaml(path: Path, *, exponents: bool = False) -> Any:
    """The one document of a file. It may hold mappings, lists, texts, numbers, booleans and null alone.

    With `exponents`, `1e-5` is a number, as YAML 1.2 reads it; without, it is a text, as SkyPilot reads it.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: it cannot be read, or has a key twice or an ambiguous value; the message names the line.
    """
    documents = _read(path, exponents)
    if len(documents) > 1:
        raise ConfigError(f"{path} holds {len(documents)} documents, parted by `---`: write one")
    return documents[0] if documents else None


def read_yaml_value(text: str, where: str) -> Any:
    """A single value, written as in a profile: `1e-5` is a number. `where` names its origin in the error.

    Raises:
        ConfigError: the text is no YAML, or ambiguous.
    """
    documents = _parse(text, where, exponents=True)
    if len(documents) > 1:
        raise ConfigError(f"{where} holds {len(documents)} documents, parted by `---`: write one value")
    return documents[0] if documents else None


def read_yaml_documents(path: Path, *, texts: Collection[str] = ()) -> list[Any]:
    """The documents of a file, separated by `---`, each read as by `read_yaml`.

    Below the top-level keys in `texts`, scalars are read as texts, or null: `1.10` stays "1.10".
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
    """The file is valid YAML, but this reader refuses it."""

    def __init__(self, node: yaml.Node, problem: str) -> None:
        super().__init__(problem)
        self.line = node.start_mark.line + 1


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without ambiguous values and without types that JSON does not have. A date is a text."""

    def documents(self, texts: Collection[str]) -> Iterator[Any]:
        """Yield one document after another, each checked before it is constructed."""
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
            raise _RefusedError(node, f"{_quote(node)} cannot be read as {node.tag.removeprefix(_TAG)}") from error

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
                node, f'{_quote(node)} is read as {meant} or as a text: write {meant}, or "{node.value}"'
            )
        if node.tag == f"{_TAG}float" and not math.isfinite(self.construct_object(node)):
            raise _RefusedError(node, f"{_quote(node)} is no finite number: write one, or a text in quotes")

    def _check_keys(self, mapping: yaml.MappingNode) -> None:
        lines: dict[Any, int] = {}
        for node, _ in mapping.value:
            if not isinstance(node, yaml.ScalarNode):
                raise _RefusedError(node, "a list or a mapping stands as a key: write a text")
            # A merge (`<<`) has no value of its own, and the keys that it brings may be overridden beside it.
            key = "<<" if node.tag == f"{_TAG}merge" else self.construct_object(node)
            line = node.start_mark.line + 1
            if key in lines:
                raise _RefusedError(
                    node, f"{_quote(node)} is given twice, first in line {lines[key]}: keep one of them"
                )
            lines[key] = line


class _ExponentLoader(_Loader):
    """Reads `1e-5` as a number."""


def _as_text(node: yaml.Node) -> yaml.Node:
    """A node whose scalars are texts. It is a copy, since an alias may use the node elsewhere too."""
    if isinstance(node, yaml.MappingNode):
        pairs = [(key, _as_text(value)) for key, value in node.value]
        return yaml.MappingNode(node.tag, pairs, node.start_mark, node.end_mark, node.flow_style)
    if isinstance(node, yaml.ScalarNode) and node.tag != f"{_TAG}null":
        return yaml.ScalarNode(f"{_TAG}str", node.value, node.start_mark, node.end_mark, node.style)
    return node


def _quote(node: yaml.Node) -> str:
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
