"""A model's YAML as nested nodes that know where they stand in the text."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from fitrec.errors import ModelError
from fitrec.neurons.expression import Place

if TYPE_CHECKING:
    import yaml


def suggestion(name: str, known: Collection[str]) -> str:
    """Return "; did you mean ..." for a name that is not known, or what is known."""
    by_lower = {k.lower(): k for k in known}
    near = [by_lower[k] for k in get_close_matches(name.lower(), by_lower, n=2, cutoff=0.6)]
    if near:
        return f"; did you mean {' or '.join(repr(n) for n in near)}?"
    return f"; known are {', '.join(known)}" if known else ""


@dataclass(frozen=True)
class Node:
    """A scalar, a list or a mapping of the text.

    Attributes
    ----------
    at : Place
        Where it begins; of a block of lines, the place of its first character.
    text : str
        Of a scalar; as written, whatever YAML makes of it.
    items : dict or None
        Of a mapping: place of the key, and the value.
    elements : tuple of Node or None
        Of a list.

    """

    at: Place
    text: str = ""
    items: "dict[str, tuple[Place, Node]] | None" = None
    elements: "tuple[Node, ...] | None" = None

    def mapping(self, what: str) -> "Iterator[tuple[str, Place, Node]]":
        """Keys, their places and values; refuse anything but a mapping."""
        if self.items is None:
            self._refuse(f"{what} must be a mapping of keys, one per line, as in 'name: value'")
        assert self.items is not None
        return ((key, at, node) for key, (at, node) in self.items.items())

    def section(self, what: str, keys: Collection[str]) -> "dict[str, Node]":
        """Values of a mapping that may hold `keys` only."""
        found = {}
        for key, at, node in self.mapping(what):
            if key not in keys:
                raise ModelError(f"{what} has no key {key!r}{suggestion(key, keys)}", at.line, at.column)
            found[key] = node
        return found

    def scalar(self, what: str) -> str:
        """Text of a scalar; refuse anything else."""
        if self.items is not None or self.elements is not None or not self.text.strip():
            self._refuse(f"{what} must be a single value")
        return self.text

    def names(self, what: str) -> tuple[str, ...]:
        """Texts of a list of scalars."""
        if self.elements is None:
            self._refuse(f"{what} must be a list, as in [v, g]")
        assert self.elements is not None
        return tuple(element.scalar(f"an element of {what}") for element in self.elements)

    def _refuse(self, message: str) -> None:
        found = "a list" if self.elements is not None else "a mapping" if self.items is not None else repr(self.text)
        raise ModelError(f"{message}, not {found}", self.at.line, self.at.column)


def read(text: str) -> Node:
    """Read YAML.

    Raises
    ------
    ModelError
        With the place, if it is no YAML, or holds a key twice.

    """
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise ModelError(f"this is no valid YAML: {error.problem or error.context}", line, column) from None
    except yaml.YAMLError as error:
        raise ModelError(f"this is no valid YAML: {' '.join(str(error).split())}", 1, 1) from None
    if root is None:
        raise ModelError("the text is empty", 1, 1)
    return _node(root, text.splitlines(), ())


def _node(node: "yaml.Node", lines: list[str], above: "tuple[yaml.Node, ...]") -> Node:
    import yaml

    at = Place(node.start_mark.line + 1, node.start_mark.column + 1)
    if any(node is other for other in above):
        raise ModelError("this refers to a part of the text that it stands in", at.line, at.column)
    within = (*above, node)
    if isinstance(node, yaml.MappingNode):
        items: dict[str, tuple[Place, Node]] = {}
        for key, value in node.value:
            place = Place(key.start_mark.line + 1, key.start_mark.column + 1)
            if not isinstance(key, yaml.ScalarNode):
                raise ModelError("a key must be a single word", place.line, place.column)
            if key.value in items:
                raise ModelError(f"the key {key.value!r} stands twice here", place.line, place.column)
            items[key.value] = place, _node(value, lines, within)
        return Node(at, items=items)
    if isinstance(node, yaml.SequenceNode):
        return Node(at, elements=tuple(_node(element, lines, within) for element in node.value))
    return Node(_scalar_place(node, lines), text=node.value)


def _scalar_place(node: "yaml.Node", lines: list[str]) -> Place:
    """Place of the first character of a scalar's text."""
    first = node.start_mark.line
    style = node.style  # type: ignore[attr-defined]
    if style == ">":
        raise ModelError("write '|' instead of '>', which joins lines", first + 1, node.start_mark.column + 1)
    if style == "|":
        filled = (line for line in lines[first + 1 :] if line.strip())
        indent = next((len(line) - len(line.lstrip(" ")) for line in filled), 0)
        return Place(first + 2, indent + 1)
    if node.end_mark.line > first and node.end_mark.column > 0:
        raise ModelError("several lines need '|' after the key, and a deeper indent", first + 1, node.start_mark.column + 1)
    return Place(first + 1, node.start_mark.column + 1 + (style in ("'", '"')))
