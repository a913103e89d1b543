"""The house itself: small rooms, small modules, and no way back to where one came from."""

from collections import Counter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
CODE = ("soundalike", "encoders", "retrieval", "indexer", "api", "migrations", "benchmarks", "tests")
MODULES = sorted(path.relative_to(ROOT) for room in CODE for path in (ROOT / room).rglob("*.py"))
MOST_LINES = 350
MOST_MODULES = 15


def test_no_module_is_longer_than_a_reader_keeps_in_mind() -> None:
    lines = {str(path): len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


def test_no_folder_holds_more_modules_than_one_glance_takes_in() -> None:
    folders = Counter(str(path.parent) for path in MODULES if path.name != "__init__.py")
    assert {folder: count for folder, count in folders.items() if count > MOST_MODULES} == {}


@pytest.mark.parametrize("package", CODE[:5])
def test_every_folder_of_a_package_says_what_it_is_for(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        head = path.parent / "__init__.py"
        assert head.read_text(encoding="utf-8").startswith('"""'), f"{head.relative_to(ROOT)} has no docstring"


def test_no_module_imports_itself_by_a_detour() -> None:
    """Not even for the sake of types; the import linter looks at packages, this at modules."""
    graph = grimp.build_graph(*CODE[:5], cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    circling = set(imports)
    while idle := {module for module in circling if not imports[module] & circling} | {
        module for module in circling if not any(module in imports[other] for other in circling - {module})
    }:
        circling -= idle
    assert sorted(circling) == []
