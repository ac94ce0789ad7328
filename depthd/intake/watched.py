"""The folders that are watched, as a tree, so that a renamed folder takes its sub-folders along.

Knows numbers and names; asks no system.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from depthd.intake.candidate import top_of

Identity = tuple[int, int]  # device and inode


@dataclass(slots=True, eq=False)
class Node:
    """One watched folder."""

    watch: int  # the kernel's number
    identity: Identity
    outer: Node | None
    name: str
    age: int  # how often the tree was doubted before this was known
    inner: dict[str, Node] = field(default_factory=dict)


class Tree:
    """Watched folders below the inbox.

    Methods that end watches return their numbers, for the kernel to forget them.
    """

    def __init__(self, watch: int, identity: Identity) -> None:
        self._age = 0
        self.root = Node(watch, identity, None, "", 0)
        self._nodes = {watch: self.root}
        self._sizes: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, watch: int) -> Node | None:
        return self._nodes.get(watch)

    def size_of(self, top: str) -> int:
        """How many watches a folder below the inbox has, with all that is in it."""
        return self._sizes[top]

    def path(self, node: Node) -> str:
        """Its path inside the inbox; empty for the inbox."""
        parts = []
        while node.outer is not None:
            parts.append(node.name)
            node = node.outer
        return "/".join(reversed(parts))

    def doubt(self) -> None:
        """Events were lost: each folder is to be watched anew by the next scan of it."""
        self._age += 1

    def watches(self, path: str, identity: Identity) -> bool:
        """Whether this very folder is watched under this path."""
        node = self._find(path)
        return node is not None and node.identity == identity and node.age == self._age

    def add(self, path: str, watch: int, identity: Identity) -> list[int]:
        """A folder is watched now; whatever had its path or its number before is not."""
        parent, _, name = path.rpartition("/")
        outer = self._find(parent)
        if outer is None:  # its folder is not watched, so that nobody would tell of its end
            return [watch]
        known = self._nodes.get(watch)
        if known is not None and known is outer.inner.get(name):
            known.identity, known.age = identity, self._age
            return []
        gone: list[int] = []
        for former in (self._nodes.get(watch), outer.inner.get(name)):
            if former is not None and former is not self.root:
                gone += self.cut(former)
        node = Node(watch, identity, outer, name, self._age)
        outer.inner[name] = node
        self._nodes[watch] = node
        self._sizes[top_of(path)] += 1
        return [number for number in gone if number != watch]

    @staticmethod
    def detach(node: Node) -> None:
        """A folder is on its way to another name: whatever has this one is another folder."""
        if node.outer is not None and node.outer.inner.get(node.name) is node:
            del node.outer.inner[node.name]

    def move(self, node: Node, outer: Node, name: str) -> list[int]:
        """A folder was renamed; into another one below the inbox it does not take its watches.

        Nor does it into one that is known to lie in it: what is known is not true any more, because
        events were lost or a scan went on under a former name.
        """
        former = outer.inner.get(name)
        gone = self.cut(former) if former is not None and former is not node else []
        if self._nodes.get(node.watch) is not node:
            return gone
        is_elsewhere = outer.outer is None or self._top(node) != self._top(outer)
        if is_elsewhere or node in _with_outer(outer):
            return gone + self.cut(node)
        self.detach(node)
        node.outer, node.name = outer, name
        outer.inner[name] = node
        return gone

    def cut(self, node: Node) -> list[int]:
        """A folder is gone with all that is in it."""
        if self._nodes.get(node.watch) is not node:
            return []
        top = self._top(node)
        self.detach(node)
        gone = []
        nodes = [node]
        while nodes:
            one = nodes.pop()
            gone.append(one.watch)
            del self._nodes[one.watch]
            nodes += one.inner.values()
        self._sizes[top] -= len(gone)
        if not self._sizes[top]:
            del self._sizes[top]
        return gone

    def _top(self, node: Node) -> str:
        while node.outer is not None and node.outer.outer is not None:
            node = node.outer
        return node.name

    def _find(self, path: str) -> Node | None:
        node: Node | None = self.root
        for part in path.split("/") if path else ():
            node = node.inner.get(part) if node is not None else None
        return node


def _with_outer(node: Node) -> Iterator[Node]:
    """A folder and all that it lies in."""
    yield node
    while node.outer is not None:
        node = node.outer
        yield node
