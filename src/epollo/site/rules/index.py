"""Patterns compiled: all that match a host and a path, at the price of the path and not of their number.

Facts: a site may have ten thousand rules, and a path matches a handful of them.
Decision: patterns stand in a tree by their segments. A node knows its literal children by name, the
segments with a placeholder by what stands around it, and splats by what stands before and after them;
there are few lengths of these, and each costs one look-up. If many rules about one path ask for a
parameter of the query with one value each, only those of the value that was sent are looked at. What is
behind a node is made when a path leads there: an edit of ten thousand rules is to be in the next
answer.
Price: a tree for each host that patterns name; the first path that leads to a node sorts its patterns.
"""

from collections.abc import Callable, Mapping, Sequence

from epollo.annotations import Final, TypeAlias
from epollo.site.resolve import Names
from epollo.site.rules.pattern import Pattern, Piece, match_pieces

SelectCondition: TypeAlias = Callable[[int], tuple[bytes, bytes] | None]
_NO_PARAMETERS: Final[Mapping[bytes, bytes]] = {}


class _Leaf:
    """The numbers of patterns that are the same, some of them for a value of a parameter only."""

    __slots__ = ("_by_value", "_numbers")

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._by_value: dict[bytes, dict[bytes, list[int]]] = {}

    def add(self, number: int, condition: tuple[bytes, bytes] | None) -> None:
        if condition is None:
            self._numbers.append(number)
        else:
            name, value = condition
            self._by_value.setdefault(name, {}).setdefault(value, []).append(number)

    def find(self, parameters: Mapping[bytes, bytes], found: list[int]) -> None:
        """Append the numbers of those that may match."""
        found += self._numbers
        for name, known in self._by_value.items():
            if name in parameters:
                found += known.get(parameters[name], ())


class _Node:
    """What may follow the same segments.

    The patterns of ``waiting`` numbers are put in when a path leads here.
    """

    __slots__ = ("depth", "end", "literals", "pieces", "splats", "waiting", "waiting_behind")

    def __init__(self, depth: int, waiting: list[int]) -> None:
        self.depth = depth
        self.waiting = waiting
        # What waits in nodes that no path has led to yet, by the literal segment before them.
        self.waiting_behind: dict[bytes, list[int]] = {}
        self.literals: dict[bytes, _Node] = {}
        # By the lengths of head and tail, then by these themselves.
        self.pieces: dict[tuple[int, int], dict[tuple[bytes, bytes], _Node]] = {}
        self.splats: dict[tuple[int, int], dict[tuple[bytes, bytes], _Leaf]] = {}
        self.end: _Leaf | None = None

    def put_in(self, patterns: Sequence[Pattern], select_condition: SelectCondition | None) -> None:
        """Put in what waits; all of it begins with the segments that lead here."""
        waiting, self.waiting = self.waiting, []
        depth, behind = self.depth, self.waiting_behind
        for number in waiting:
            pattern = patterns[number]
            if len(pattern.segments) > depth:
                segment = pattern.segments[depth]
                if isinstance(segment, bytes):
                    behind.setdefault(segment, []).append(number)
                else:
                    self._find_or_make(segment).waiting.append(number)
                continue
            if pattern.splat is None:
                leaf = self.end = self.end or _Leaf()
            else:
                head, tail = pattern.splat
                known = self.splats.setdefault((len(head), len(tail)), {})
                leaf = known.setdefault((head, tail), _Leaf())
            leaf.add(number, None if select_condition is None else select_condition(number))

    def _find_or_make(self, segment: Piece) -> "_Node":
        """Return the node behind a segment with a placeholder."""
        head, _, tail = segment
        known = self.pieces.setdefault((len(head), len(tail)), {})
        return known.setdefault((head, tail), _Node(self.depth + 1, []))

    def find_next(self, name: bytes, found: "list[_Node]") -> None:
        """Append the nodes behind a segment of this name."""
        literal = self.literals.get(name)
        if literal is None and name in self.waiting_behind:
            waiting = self.waiting_behind.pop(name)
            literal = self.literals[name] = _Node(self.depth + 1, waiting)
        if literal is not None:
            found.append(literal)
        octets = len(name)
        for (head, tail), known in self.pieces.items():
            if octets > head + tail:
                node = known.get((name[:head], name[octets - tail :]))
                if node is not None:
                    found.append(node)

    def find_splats(self, rest: bytes, found: list[_Leaf]) -> None:
        """Append the patterns whose splat matches the rest of a path."""
        octets = len(rest)
        for (head, tail), known in self.splats.items():
            if octets >= head + tail:
                leaf = known.get((rest[:head], rest[octets - tail :]))
                if leaf is not None:
                    found.append(leaf)


class RuleIndex:
    """Patterns by their numbers, which are their places in the order of the rules.

    ``select_condition`` returns for the number of a pattern a parameter of the query and the value that
    it has to have, or None.
    """

    def __init__(
        self, patterns: Sequence[Pattern], select_condition: SelectCondition | None = None
    ) -> None:
        self._patterns = patterns
        self._select_condition = select_condition
        self._anywhere = _Node(0, [])
        self._hosts: dict[Names, _Node] = {}
        self._host_patterns: dict[tuple[bytes | Piece, ...], _Node] = {}
        anywhere = self._anywhere.waiting
        for number, pattern in enumerate(patterns):
            if pattern.host is None:
                anywhere.append(number)
            else:
                self._find_root(pattern.host).waiting.append(number)

    @property
    def has_hosts(self) -> bool:
        """Whether a pattern names a host."""
        return bool(self._hosts or self._host_patterns)

    def find(
        self, host: bytes, names: Names, parameters: Mapping[bytes, bytes] = _NO_PARAMETERS
    ) -> list[int]:
        """Return the numbers of the patterns that match a host, in lower case, and a path; ascending.

        One with a condition is left out if the parameters of a query do not meet it.
        """
        path = names[:-1] if names[-1] == b"" else names
        leaves: list[_Leaf] = []
        self._collect(self._anywhere, path, leaves)
        if self.has_hosts:
            labels = tuple(host.split(b"."))
            node = self._hosts.get(labels)
            if node is not None:
                self._collect(node, path, leaves)
            for pieces, node in self._host_patterns.items():
                if match_pieces(pieces, labels, {}):
                    self._collect(node, path, leaves)
        found: list[int] = []
        for leaf in leaves:
            leaf.find(parameters, found)
        found.sort()
        return found

    def _find_root(self, host: tuple[bytes | Piece, ...]) -> _Node:
        if all(isinstance(label, bytes) for label in host):
            return self._hosts.setdefault(host, _Node(0, []))  # type: ignore[arg-type]
        return self._host_patterns.setdefault(host, _Node(0, []))

    def _collect(self, root: _Node, path: Names, found: list[_Leaf]) -> None:
        nodes = [root]
        for depth, name in enumerate(path):
            rest = None
            behind: list[_Node] = []
            for node in nodes:
                if node.waiting:
                    node.put_in(self._patterns, self._select_condition)
                if node.splats:
                    if rest is None:
                        rest = b"/".join(path[depth:])
                    node.find_splats(rest, found)
                node.find_next(name, behind)
            if not behind:
                return
            nodes = behind
        for node in nodes:
            if node.waiting:
                node.put_in(self._patterns, self._select_condition)
            if node.end is not None:
                found.append(node.end)
            node.find_splats(b"", found)
