"""The direction of imports and the sizes of files and functions, read from the source with ast."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = [
    ROOT / "beam_runner.py",
    *sorted(path for folder in ("pipelines", "analysis", "reports") for path in (ROOT / folder).rglob("*.py")),
]
NAMES = [path.relative_to(ROOT).as_posix() for path in FILES]
OURS = ("pipelines", "analysis", "reports", "beam_runner")


def imports(tree: ast.AST) -> list[tuple[int, str]]:
    """Return line and full dotted name of everything imported; relative imports start with a dot."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            found += [(node.lineno, f"{base}.{alias.name}") for alias in node.names]
    return found


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def wrong(path: str, name: str) -> str | None:
    """Say why a file may not import a name; None if it may."""
    if name.startswith("."):
        return "relative import"
    if within(name, "apache_beam") and not path.startswith("pipelines/beam/") and path != "beam_runner.py":
        return "Beam outside pipelines/beam"
    package = path.split("/")[0]
    ours = within(name, *OURS)
    if package == "pipelines":
        if within(name, "analysis", "reports", "torch", "duckdb", "beam_runner"):
            return "pipelines imports no analysis, reports, torch, DuckDB"
        if path.startswith("pipelines/contracts/") and ours and not within(name, "pipelines.contracts"):
            return "contracts import nothing else of ours"
    if package == "analysis" and ours and not within(name, "analysis", "pipelines.contracts", "pipelines.kernels"):
        return "analysis imports pipelines.contracts and pipelines.kernels only"
    # reports need the rules behind a profile name, so ops.rules is allowed
    allowed = ("reports", "analysis.records", "pipelines.contracts", "pipelines.ops.rules")
    if package == "reports" and ours and not within(name, *allowed):
        return "reports import analysis.records, pipelines.contracts, pipelines.ops.rules only"
    return None


@pytest.mark.parametrize(("path", "name"), [
    ("pipelines/ops/x.py", "torch.nn"),
    ("pipelines/ops/x.py", "apache_beam"),
    ("pipelines/contracts/x.py", "pipelines.ops.rules"),
    ("analysis/x.py", "pipelines.ops.rules"),
    ("analysis/x.py", "pipelines.stages"),
    ("reports/x.py", "analysis.slices"),
    ("reports/x.py", ".html"),
])  # fmt: skip
def test_the_rule_refuses_what_it_should(path: str, name: str) -> None:
    assert wrong(path, name)


@pytest.mark.parametrize("path", NAMES)
def test_imports_flow_one_way(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    faults = [f"{path}:{line} {name}: {why}" for line, name in imports(tree) if (why := wrong(path, name))]
    assert faults == []


@pytest.mark.parametrize("path", NAMES)
def test_files_and_functions_are_small(path: str) -> None:
    text = (ROOT / path).read_text("utf-8")
    assert len(text.splitlines()) <= 500
    assert Path(path).name not in ("utils.py", "util.py", "helpers.py")
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [f"{path}:{n.lineno} {n.name}" for n in functions if n.end_lineno - n.lineno + 1 > 80]
    assert long == []
