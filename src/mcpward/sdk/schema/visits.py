"""The work of checking one value against a schema, counted before that is begun (attack 121).

A value that several alternatives may take is looked at by each of them, and so are its parts: if two alternatives
contain themselves, twice as often at each level. A visit is one schema that looks at one value. They are counted only
by the shape of the value: which schemas see each part of it, and how often.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from mcpward.core.pace import step

_MOST_PROFILES: Final = 4096
#: A schema with more places than these, or one that grows with each level, has its values counted.
_MOST_KNOWN: Final = 1024
#: An error holds its value. To show both costs a fraction of a visit for each part of that.
_PARTS_PER_VISIT: Final = 8
#: Parts of a value between two looks at the clock.
_STRIDE: Final = 512
#: Objects of one list are mostly alike: so many kinds of them, of so many names, are judged once.
_MOST_SHAPES: Final = 64
_LONGEST_SHAPE: Final = 64
_CONTAINERS: Final = (dict, list)
_Seen = Mapping["Node", int]


class Node:
    """One schema, as far as its cost goes.

    ``beside`` see the same value. ``fields`` see its members by name, ``others`` any other member, ``items`` each item,
    ``first`` those at the beginning instead. ``weight`` is what it costs itself, in visits; ``each`` what it adds for
    each part of its value, ``letters`` for each character of a text. It keeps an error for each missing name of
    ``required``, and for each unknown name if it ``is_closed``. ``tag`` names the member that chooses one of
    ``tagged``.
    """

    __slots__ = (
        "beside", "each", "fields", "first", "is_closed", "items", "letters", "others", "required", "tag", "tagged",
        "weight",
    )  # fmt: skip

    def __init__(self, *beside: "Node") -> None:
        self.weight = 1
        self.each = 0
        self.letters = 0
        self.beside: list[Node] = [*beside]
        self.fields: dict[str, list[Node]] = {}
        self.others: list[Node] = []
        self.items: list[Node] = []
        self.first: list[list[Node]] = []
        self.required: frozenset[str] = frozenset()
        self.is_closed = False
        self.tag = ""
        self.tagged: dict[Any, Node] = {}


class Visits:
    """Counts the visits of one schema."""

    def __init__(self, root: Node) -> None:
        self._profiles: dict[frozenset[tuple[Node, int]], _Profile] = {}
        self._root = root

    def count(self, value: Any, most: int) -> int:
        """Return how many visits it may take to check ``value``; if they are more than ``most``, a number above."""
        visits, parts = 0, 0
        profile = self.profile({self._root: 1})
        rest: list[tuple[Any, _Profile, int]] = [(value, profile, -1)]
        errors: list[int] = []
        sizes: list[int] = []
        above: list[int] = []
        while rest and visits <= most:
            part, profile, parent = rest.pop()
            own = len(errors)
            above.append(parent)
            sizes.append(1)
            if type(part) is dict:
                profile = profile.at(part)
                errors.append(profile.errors(part))
                for name, member in part.items():
                    child = profile.member(name)
                    if type(member) in _CONTAINERS:
                        rest.append((member, child, own))
                    else:
                        visits += child.visits + (child.letters * len(member) if type(member) is str else 0)
            elif type(part) is list:
                errors.append(0)
                first, others = profile.first_items, profile.item(profile.first_items)
                for at, item in enumerate(part):
                    child = others if at >= first else profile.item(at)
                    if type(item) in _CONTAINERS:
                        rest.append((item, child, own))
                    else:
                        visits += child.visits + (child.letters * len(item) if type(item) is str else 0)
            else:
                errors.append(0)
            size = len(part) if type(part) in _CONTAINERS else 0
            sizes[own] += size
            visits += profile.visits + profile.each * size
            parts += size + 1
            if parts >= _STRIDE:
                parts = step(0)
        if visits > most:
            return visits
        for own in range(len(sizes) - 1, -1, -1):  # what is within stands behind what it is in
            visits += errors[own] * sizes[own] // _PARTS_PER_VISIT
            if above[own] >= 0:
                sizes[above[own]] += sizes[own]
        return visits

    def per_part(self, most: int) -> int:
        """Return how many visits one part of any value may take; 0 if that is more than ``most``, or has no bound.

        Each alternative of those that exclude each other counts, and each error that names by themselves may leave.
        """
        rest, known, worst = [self.profile({self._root: 1})], set[_Profile](), 0
        while rest:
            profile = rest.pop()
            if profile in known:
                continue
            known.add(profile)
            worst = max(worst, profile.worst())
            if worst > most or len(known) > _MOST_KNOWN:
                return 0
            rest += profile.below()
        return worst

    def profile(self, seen: _Seen, tags: Mapping[str, Any] | None = None) -> "_Profile":
        """Return the profile of a place that these nodes see; the same one for the same."""
        spread = _spread(seen, tags)
        key = frozenset(spread.items())
        found = self._profiles.get(key)
        if found is None:
            if len(self._profiles) >= _MOST_PROFILES:  # a caller's values choose among them
                self._profiles.clear()
            found = self._profiles[key] = _Profile(self, seen, spread)
        return found


def _spread(seen: _Seen, tags: Mapping[str, Any] | None) -> dict[Node, int]:
    """Return all nodes that see a value together with these, and how often. None stands beside itself."""
    spread: dict[Node, int] = {}
    rest = list(seen.items())
    while rest:
        node, times = rest.pop()
        spread[node] = spread.get(node, 0) + times
        rest += [(other, times) for other in node.beside]
        if tags is not None and node.tagged:
            chosen = node.tagged.get(tags[node.tag])
            if chosen is not None:
                rest.append((chosen, times))
    return spread


class _Profile:
    """All that see one place. ``visits`` is what one value there costs, ``each`` what each of its parts adds."""

    __slots__ = (
        "_children", "_fields", "_named", "_nodes", "_of", "_others", "_seen", "_shapes", "_tags", "each",
        "first_items", "letters", "visits",
    )  # fmt: skip

    def __init__(self, of: Visits, seen: _Seen, spread: _Seen) -> None:
        self._of = of
        self._seen = seen
        self._nodes = tuple(spread.items())
        self._children: dict[Any, _Profile] = {}
        self._others: _Profile | None = None
        self._shapes: dict[tuple[str, ...], int] = {}
        self._fields = frozenset(name for node in spread for name in node.fields)
        self._tags = _tags(spread)
        self._named = tuple((node, times) for node, times in self._nodes if node.is_closed or node.required)
        self.visits = sum(node.weight * times for node, times in self._nodes)
        self.each = sum(node.each * times for node, times in self._nodes)
        self.letters = sum(node.letters * times for node, times in self._nodes)
        self.first_items = max((len(node.first) for node in spread), default=0)

    def at(self, value: Mapping[str, Any]) -> "_Profile":
        """Return the profile with those alternatives that the object chooses by its tags."""
        if not self._tags:
            return self
        said = {name: _known(value.get(name), known) for name, known in self._tags.items()}
        key = tuple(said.values())
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = self._of.profile(self._seen, said)
        return found

    def errors(self, value: Mapping[str, Any]) -> int:
        """Return how many errors an object here leaves only by its names."""
        if not self._named:
            return 0
        shape = tuple(value)
        found = self._shapes.get(shape)
        if found is None:
            found = 0
            for node, times in self._named:
                missing = len(node.required) - len(value.keys() & node.required)
                strange = len(value) - len(value.keys() & node.fields.keys()) if node.is_closed else 0
                found += times * (missing + strange)
            if len(self._shapes) < _MOST_SHAPES and len(shape) <= _LONGEST_SHAPE:
                self._shapes[shape] = found
        return found

    def worst(self) -> int:
        """Return how many visits one part here takes at most, with what it adds to those of what it is in."""
        required = sum(len(node.required) * times for node, times in self._named)
        return self.visits + self.each + required + sum(times for node, times in self._named if node.is_closed)

    def below(self) -> "Iterator[_Profile]":
        """Return the profiles of all parts that a value here may have, and of this place under each choice of tags."""
        for name, known in self._tags.items():
            for value in known:
                yield self._of.profile(self._seen, dict.fromkeys(self._tags) | {name: value})
        yield from (self.member(name) for name in self._fields)
        yield self.member("")
        yield from (self.item(at) for at in range(self.first_items + 1))

    def member(self, name: str) -> "_Profile":
        """Return the profile of a member."""
        found = self._children.get(name)
        if found is None:
            if name not in self._fields:  # callers' names are not kept
                if self._others is None:
                    self._others = self._made((part, times) for node, times in self._nodes for part in node.others)
                return self._others
            found = self._children[name] = self._made(
                (part, times) for node, times in self._nodes for part in node.fields.get(name, node.others)
            )
        return found

    def item(self, at: int) -> "_Profile":
        """Return the profile of the item at a place, up to :attr:`first_items`; all further ones are like that."""
        found = self._children.get(at)
        if found is None:
            found = self._children[at] = self._made(
                (part, times)
                for node, times in self._nodes
                for part in (node.first[at] if at < len(node.first) else node.items)
            )
        return found

    def _made(self, nodes: Iterable[tuple[Node, int]]) -> "_Profile":
        seen: dict[Node, int] = {}
        for node, times in nodes:
            seen[node] = seen.get(node, 0) + times
        return self._of.profile(seen)


def _tags(nodes: Iterable[Node]) -> dict[str, frozenset[Any]]:
    """Return the members by which nodes, and those that these choose, tell alternatives apart, with their values."""
    tags: dict[str, frozenset[Any]] = {}
    rest, known = list(nodes), set[Node]()
    while rest:
        node = rest.pop()
        if node in known:
            continue
        known.add(node)
        if node.tagged:
            tags[node.tag] = tags.get(node.tag, frozenset()) | node.tagged.keys()
            rest += node.tagged.values()
        rest += node.beside
    return tags


def _known(value: Any, known: frozenset[Any]) -> Any:
    return value if isinstance(value, str | int) and value in known else None
