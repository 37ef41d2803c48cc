"""Who imports whom: the table of the architecture as data, and every import of nmtkit checked against it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import zip_longest
from pathlib import Path

import pytest
from conftest import ROOT, environment

PACKAGE = ROOT / "nmtkit"

LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"words"}),
    frozenset(
        {
            "specials",
            "console",
            "evaluation",
            "encoding",
            "files",
            "packed",
            "workers",
            "settings",
            "memory",
            "locks",
            "devices",
            "interrupts",
            "ragged",
            "features",
            "partial",
        }
    ),
    frozenset({"tokenizer", "models", "guide"}),
    frozenset({"batches", "decoding", "preflight"}),
    frozenset({"checkpoint", "glossary"}),
    frozenset({"translator", "interop"}),
    frozenset({"training", "blame", "serving"}),
    frozenset({"inspection", "comparison"}),
    frozenset({"report"}),
    frozenset({"cli"}),
    frozenset({"__init__", "__main__"}),  # what others start from: the Python API and the command
)
"""Bottom-up: a part imports from the levels below its own."""

WITHIN_A_LEVEL = {
    ("evaluation", "settings"),
    ("devices", "settings"),
    ("files", "encoding"),
    ("files", "packed"),
    ("ragged", "specials"),
    ("features", "files"),
    ("partial", "files"),
    ("partial", "locks"),
}
"""Imports between parts of one level; `settings` stands on nothing."""

ONLY: dict[str, frozenset[str]] = {
    "decoding": frozenset(
        {
            "nmtkit.models.distribution",
            "nmtkit.models.interface",
            "nmtkit.ragged",
            "nmtkit.specials",
            "nmtkit.settings",
        }
    ),
    "models": frozenset({"nmtkit.specials", "nmtkit.settings"}),
}
"""Parts that see less than their level allows: search knows models by their interface, models know only tensors."""

WORDLESS = ("blame", "inspection", "comparison", "preflight")
"""Rooms of facts: what people read stands in report, but for errors and warnings."""

WITHOUT_TORCH = (
    "specials",
    "console",
    "evaluation",
    "encoding",
    "files",
    "packed",
    "settings",
    "memory",
    "interrupts",
    "guide",
    "preflight",
    "report",
    "cli",
    "__main__",
)


@dataclass(frozen=True)
class Import:
    """One import: which part of nmtkit, in which line, imports which module (nmtkit.settings, torch.nn, …), and in
    which module it stands."""

    part: str
    line: str
    module: str
    origin: str

    @property
    def target(self) -> str | None:
        """The part of nmtkit that is imported; None for another library or the version in nmtkit/__init__.py."""
        names = self.module.split(".")
        return names[1] if names[0] == "nmtkit" and len(names) > 1 else None

    def __str__(self) -> str:
        return f"{self.line} imports {self.module}"


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imports_of(path: Path) -> Iterator[Import]:
    """All imports of a file, those inside functions and under TYPE_CHECKING too."""
    inside = path.relative_to(PACKAGE)
    part = inside.parts[0].removesuffix(".py")
    origin = ".".join(("nmtkit", *inside.with_suffix("").parts)).removesuffix(".__init__")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        line = f"nmtkit/{inside}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            yield from (Import(part, line, name.name, origin) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{line}: imports are absolute here"
            for name in node.names:
                full = f"{node.module}.{name.name}"
                inner = node.module.split(".")[0] == "nmtkit" and is_module(full)
                yield Import(part, line, full if inner else node.module, origin)


IMPORTS = [found for path in sorted(PACKAGE.rglob("*.py")) for found in imports_of(path)]


def level(part: str) -> int:
    return next(number for number, parts in enumerate(LEVELS) if part in parts)


def test_the_parser_sees_imports_inside_functions_and_for_types() -> None:
    modules = {(found.part, found.module) for found in IMPORTS}
    assert ("cli", "nmtkit.translator") in modules  # inside a function
    assert ("blame", "nmtkit.translator") in modules  # under TYPE_CHECKING
    assert ("checkpoint", "nmtkit.files") in modules and ("cli", "nmtkit.checkpoint") in modules


def test_every_part_has_a_level() -> None:
    parts = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    unknown = parts - {"__pycache__"} - frozenset().union(*LEVELS)
    assert not unknown, f"{unknown} stand in no level of the table"


def test_nothing_points_up_or_sideways() -> None:
    wrong = [
        str(found)
        for found in IMPORTS
        if found.target not in (None, found.part)
        and level(str(found.target)) >= level(found.part)
        and (found.part, found.target) not in WITHIN_A_LEVEL
    ]
    assert not wrong


def test_of_the_package_itself_only_the_version_is_used_inside() -> None:
    """nmtkit/__init__.py stands on everything, so nothing but its version may be taken from it."""
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            taken: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.module == "nmtkit":
                taken = [name.name for name in node.names if not is_module(f"nmtkit.{name.name}")]
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nmtkit":
                taken = [node.attr]
            wrong += [f"{path.relative_to(ROOT)}:{node.lineno} takes {name}" for name in taken if name != "__version__"]
    assert not wrong


def test_there_is_no_cycle() -> None:
    graph: dict[str, set[str]] = {}
    for found in IMPORTS:
        if found.target not in (None, found.part):
            graph.setdefault(found.part, set()).add(str(found.target))
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"cycle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("part", ONLY)
def test_what_sees_little(part: str) -> None:
    wrong = [str(one) for one in IMPORTS if one.part == part and one.target not in (None, part)]
    assert not [text for text in wrong if text.split(" imports ")[1] not in ONLY[part]]


def test_lightness_is_written_in_the_source() -> None:
    heavy = {"torch", "safetensors"}
    assert not [str(one) for one in IMPORTS if one.part in WITHOUT_TORCH and one.module.split(".")[0] in heavy]


def test_evaluation_and_report_load_no_torch() -> None:
    """Nor does anything that they import."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for part in ("evaluation", "report")
        for path in sorted((PACKAGE / part).glob("*.py"))
        if path.stem != "__init__"
    ]
    code = f"import sys, {', '.join(names)}; print(*sorted({{'torch', 'safetensors'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def wordless(node: ast.AST) -> Iterator[ast.AST]:
    """All that may hold words: docstrings, errors with what is assigned just before them, and warnings."""
    for inside in ast.walk(node):
        body = getattr(inside, "body", None)
        statements = body if isinstance(body, list) else []
        for one, after in zip_longest(statements, statements[1:]):
            if isinstance(one, ast.Raise) or (isinstance(one, ast.Assign) and isinstance(after, ast.Raise)):
                yield from ast.walk(one)
            if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant):
                yield one.value
        if isinstance(inside, ast.Call):
            called = inside.func.attr if isinstance(inside.func, ast.Attribute) else getattr(inside.func, "id", "")
            if called == "warn":
                yield from ast.walk(inside)


def sentences(code: str) -> list[str]:
    """Texts of three or more words that people would read; of an f-string its words together."""
    tree = ast.parse(code)
    exempt = set(wordless(tree))
    found = []
    for node in ast.walk(tree):
        if node in exempt:
            continue
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        text = " ".join(one.value for one in parts if isinstance(one, ast.Constant) and isinstance(one.value, str))
        if sum(any(map(str.isalpha, word)) for word in text.split()) >= 3:
            found.append(text)
    return found


def test_sentences_are_seen_where_they_stand() -> None:
    assert sentences('x = "who is to blame"') and sentences('x = f"beam {width} is best"')
    assert sentences('def f():\n    x = 1\n    return ["the search", "of all errors"]') == ["of all errors"]
    for code in (
        '"""A docstring of words."""',
        'raise ValueError(f"give {one} of these")',
        'warn("look at this line")',
    ):
        assert not sentences(code)
    assert not sentences('def f():\n    which = "all of the lines"\n    raise ValueError(which)')
    assert not sentences('x = "sources_sha256 references_sha256"')


@pytest.mark.parametrize("part", WORDLESS)
def test_facts_are_told_elsewhere(part: str) -> None:
    wrong = {
        path.name: found
        for path in sorted((PACKAGE / part).glob("*.py"))
        if (found := sentences(path.read_text(encoding="utf-8")))
    }
    assert not wrong, "words for people belong to nmtkit/report/"


LONGEST_FUNCTION, LONGEST_FILE = 60, 300
"""Lines."""


def functions() -> Iterator[tuple[str, int]]:
    """Every function of nmtkit with its lines, decorators not counted."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno is not None
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def test_no_function_is_longer_than_a_screen() -> None:
    assert not [f"{where}: {lines} lines" for where, lines in functions() if lines > LONGEST_FUNCTION]


def test_no_file_holds_two_ideas() -> None:
    sizes = {path: path.read_bytes().count(b"\n") for path in sorted(PACKAGE.rglob("*.py"))}
    assert not [f"{path.relative_to(ROOT)}: {lines} lines" for path, lines in sizes.items() if lines > LONGEST_FILE]


def test_there_is_no_cycle_inside_a_package_either() -> None:
    """Module by module, imports inside functions and for types among them."""
    graph: dict[str, set[str]] = {}
    for found in IMPORTS:
        if found.module.split(".")[0] == "nmtkit":
            graph.setdefault(found.origin, set()).add(found.module)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"cycle: {' -> '.join(error.args[1])}")


def test_nobody_asks_what_a_model_is() -> None:
    """Values that come from outside (files, options) may be asked; models, searches and sources may not."""
    wrong = []
    for part in ("models", "decoding", "batches"):
        for path in sorted((PACKAGE / part).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    of_a_model = node.func.id == "isinstance" and not _plain(node.args[1])
                    if node.func.id == "hasattr" or of_a_model:
                        wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    assert not wrong


PLAIN = {
    *("int", "float", "str", "bool", "bytes", "dict", "list", "tuple", "type", "Mapping", "Sequence", "Path"),
    "slice",
    *("Tensor", "Exception", "MemoryError", "RuntimeError", "OSError", "StrEnum", "MISSING"),
}
"""Types of plain data."""


def _plain(kinds: ast.expr) -> bool:
    names = {node.id for node in ast.walk(kinds) if isinstance(node, ast.Name)}
    return names <= PLAIN or "kind" in names
