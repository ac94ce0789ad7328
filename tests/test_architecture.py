"""Who may import whom. A room that wants more is a change of the design: change the table."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "depthd"

# From the ground up: each room may import those named here, and itself.
MAY_IMPORT: dict[str, set[str]] = {
    "contract": set(),
    "system": set(),
    "metres": set(),
    "config": {"contract", "metres", "system"},
    "channel": {"config", "contract"},
    "decode": {"contract", "metres"},
    "model": {"config", "contract", "system"},
    "estimate": {"config", "contract", "decode", "metres", "model"},
    "render": {"config", "contract", "estimate", "metres"},
    "publish": {"contract", "system"},
    "intake": {"config", "contract", "system"},
    "spool": {"config", "contract", "intake", "publish", "system"},
    "hooks": {"config", "contract", "system"},
    "retention": {"config", "contract", "intake", "publish", "spool", "system"},
    "worker": {
        *("channel", "config", "contract", "decode", "estimate", "model", "render", "system"),
    },
    "supervisor": {
        *("channel", "config", "contract", "hooks", "intake", "publish", "spool", "system"),
    },
    "service": {"contract", "system"},
    "history": {"config", "contract", "intake", "publish", "spool", "supervisor", "system"},
    "bench": {
        *("channel", "config", "contract", "decode", "estimate", "model", "publish", "render"),
        *("system", "worker"),
    },
    "page": {"config", "contract", "intake", "metres", "publish", "system"},
    "backfill": {
        *("channel", "config", "contract", "intake", "model", "supervisor", "system"),
    },
    "cli": {
        *(
            "backfill",
            "bench",
            "channel",
            "config",
            "contract",
            "estimate",
            "history",
            "hooks",
            "intake",
            "model",
        ),
        *("metres", "page", "publish", "render", "retention", "service", "spool", "supervisor"),
        *("system", "worker"),
    },
    "training": {"config", "contract", "decode", "estimate", "metres", "model", "render", "system"},
    "samples": set(),
}
# Nothing here may load these: they cost more memory than all the rest of the supervisor.
HEAVY = {"torch", "torchvision", "timm", "cv2", "numpy", "openvino", "PIL", "isal"}
LIGHT_ROOMS = {
    "contract",
    "system",
    "config",
    "channel",
    "publish",
    "intake",
    "hooks",
    "retention",
    "spool",
    "supervisor",
    "history",
    "page",
}
ONLY_CLI_PRINTS = {"click", "rich"}


def modules() -> Iterator[tuple[str, Path, ast.AST]]:
    """Room, path and syntax tree of every module inside a room."""
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0]
        if room in MAY_IMPORT:
            yield room, path, ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names of all that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:  # a module of a package, or a name in a module
                inner = f"{node.module}.{alias.name}"
                yield inner if _is_module(inner) else node.module


def _is_module(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def test_every_room_is_in_the_table() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert rooms <= MAY_IMPORT.keys()
    assert MAY_IMPORT.keys() - rooms <= {"samples", "training"}


def test_no_room_imports_what_it_may_not_know() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for room, path, tree in modules()
        for name in imports(tree)
        if name.startswith("depthd.")
        and (other := name.split(".")[1]) in MAY_IMPORT
        and other != room
        and other not in MAY_IMPORT[room]
    ]
    assert not wrong, "\n".join(wrong)


def test_the_table_has_no_ring() -> None:
    order: list[str] = []
    while len(order) < len(MAY_IMPORT):
        free = [
            room for room, known in MAY_IMPORT.items() if room not in order and known <= set(order)
        ]
        assert free, f"a ring among {sorted(MAY_IMPORT.keys() - set(order))}"
        order += free


def test_no_module_is_in_a_ring() -> None:
    """Within a room too. Imports inside functions and for types alone are no ring."""
    needs: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(("depthd", *path.relative_to(PACKAGE).with_suffix("").parts))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = ast.Module([node for node in tree.body if not isinstance(node, ast.If)], [])
        for node in list(ast.walk(top)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                node.body = []
        needs[name.removesuffix(".__init__")] = set(imports(top))
    for start, first in needs.items():
        seen: set[str] = set()
        waiting = [name for name in first if name in needs]
        while waiting:
            name = waiting.pop()
            assert name != start, f"{start} imports itself by way of others"
            if name not in seen:
                seen.add(name)
                waiting += [other for other in needs[name] if other in needs]


@pytest.mark.parametrize("room", sorted(LIGHT_ROOMS))
def test_what_the_supervisor_loads_is_light(room: str) -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for this, path, tree in modules()
        if this == room
        for name in imports(tree)
        if name.partition(".")[0] in HEAVY
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_commands_print() -> None:
    wrong = [
        str(path.relative_to(PACKAGE))
        for room, path, tree in modules()
        if room not in ("cli", "bench", "training") and path.name != "example.py"
        if ONLY_CLI_PRINTS & {name.partition(".")[0] for name in imports(tree)}
        or any(
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "print"
            for node in ast.walk(tree)
        )
    ]
    assert not wrong, "\n".join(wrong)


def test_only_spool_publish_and_retention_rename_or_remove_files_of_users() -> None:
    """`system/files.py` holds the primitives, the model's folders in state/ are our own."""
    calls = {"rename", "replace", "unlink", "rmdir", "link", "remove", "renames"}
    allowed = {
        "spool",
        "publish",
        "retention",
        "hooks",
        "system",
        "model",
        "training",
        "bench",
        "cli",
    }
    wrong = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for room, path, tree in modules()
        if room not in allowed
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in calls
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("os", "shutil")
    ]
    assert not wrong, "\n".join(wrong)
