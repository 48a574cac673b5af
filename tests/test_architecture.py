"""The layers of the package: imports only point down, engines stay where they belong."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import recexp

PACKAGE = Path(recexp.__file__).parent

LAYERS = {
    0: {"errors", "rng", "arrays", "progress", "lifecycle", "child"},
    1: {"data"},
    2: {"algorithms", "splits"},
    3: {"evaluation", "profiling"},
    4: {
        *("tracking", "reporting", "artifact", "fitted", "writeback", "testing", "provenance"),
        *("early_stopping", "streaming"),
    },
    5: {
        *("config", "build", "plan", "experiment", "recording", "sweep", "library", "commands"),
        *("tuning", "study", "serving", "replay"),
        *("comparable", "comparison", "reproduction", "page", "reference", "verify"),
    },
    6: {"__main__"},
}
LAYER_OF = {name: layer for layer, names in LAYERS.items() for name in names}
SIBLINGS = {"algorithms", "splits"}
# Who may import an engine, at module level or inside a function.
ENGINES = {
    "mlflow": {"tracking"},
    "hydra": {"config", "sweep"},
    "omegaconf": {"config", "build", "commands"},
    "surprise": {"algorithms"},
    "lightfm": {"algorithms"},
    "implicit": {"algorithms"},
    "matplotlib": {"reporting"},
    "jinja2": {"reporting"},
    "pooch": {"data"},
    "sqlalchemy": {"data", "writeback", "streaming"},
    "optuna": {"tuning"},
    "confluent_kafka": {"streaming"},
}
# What may be imported before it is used: everything else waits inside a function.
AT_MODULE_LEVEL = {"numpy", "recexp"} | set(sys.stdlib_module_names)
# Folders that are themselves imported only when used may import what they are made of.
AT_MODULE_LEVEL_OF = {
    "serving": {
        *("fastapi", "starlette", "uvicorn", "pydantic", "pydantic_core", "prometheus_client")
    },
}


def modules() -> list[Path]:
    paths = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]
    assert len(paths) > 30
    return sorted(paths)


def part(path: Path) -> str:
    """The name of the module or folder directly below the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every imported dotted name, and whether it is imported when the module is."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only: set[ast.AST] = set()
    inside: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            typing_only.update(child for one in node.body for child in ast.walk(one))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inside.update(ast.walk(node))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module or ""]
            if node.module == "recexp":
                names = [f"recexp.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield name, node not in inside and node not in typing_only


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_point_down(path: Path) -> None:
    own = part(path)
    for name, _ in imports(path):
        if not name.startswith("recexp."):
            continue
        other = name.split(".")[1]
        if other == "__version__":
            continue
        assert LAYER_OF[other] <= LAYER_OF[own], f"{own} imports {name}, which lies above it"
        if own in SIBLINGS:
            assert other == own or other not in SIBLINGS, f"{own} imports its sibling {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_engines_are_imported_where_they_belong_and_when_used(path: Path) -> None:
    for name, at_import in imports(path):
        engine = name.split(".")[0]
        assert part(path) in ENGINES.get(engine, {part(path)}), f"{part(path)} imports {engine}"
        if at_import:
            allowed = AT_MODULE_LEVEL | AT_MODULE_LEVEL_OF.get(part(path), set())
            assert engine in allowed, f"{engine} is imported before it is used"
        if name.startswith("recexp.") and (folder := name.split(".")[1]) in AT_MODULE_LEVEL_OF:
            assert not at_import or folder == part(path), f"{name} is imported before it is used"


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    stems = {path.stem for path in modules()}
    assert not stems & {"utils", "util", "helpers", "helper", "manager", "common", "misc"}


@pytest.mark.parametrize("command", [["--help"], ["--version"], ["run", "--help"], ["list"]])
def test_help_loads_nothing_heavy(command: list[str]) -> None:
    heavy = {"mlflow", "sklearn", "pandas", "scipy", "matplotlib", "hydra", "surprise", "lightfm"}
    code = (
        "import sys; sys.argv = ['recexp', *sys.argv[1:]]\n"
        "from recexp.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted(name for name in sys.modules if '.' not in name), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=True
    )
    loaded = set(ast.literal_eval(done.stderr.splitlines()[-1]))
    assert not loaded & heavy
    assert len(done.stdout.split()) > 1


def test_the_package_itself_loads_nothing() -> None:
    code = "import recexp, sys; assert 'numpy' not in sys.modules; print(recexp.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == recexp.__version__
