"""Design files that extend others."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.design_file import load_design
from pipelines.contracts.errors import ConfigError

BASE = """
name: base
slices: {a: {where: "source = 'a'"}, b: {where: "source = 'b'"}}
leave_out: [a]
proxy: {layers: 3, d_model: 32}
blocks: 7
"""


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return str(folder / name)


def test_keys_that_a_design_lacks_are_those_of_its_base(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", BASE)
    write(tmp_path, "sub/middle.yaml", "extends: ../base.yaml\nname: middle\nproxy: {model: ngram}\n")
    made = load_design(write(tmp_path, "top.yaml", "extends: sub/middle.yaml\nblocks: 9\n"))
    assert (made.name, made.blocks, made.leave_out) == ("middle", 9, ("a",))
    assert (made.proxy.model, made.proxy.layers) == ("ngram", 2)  # a key is taken over whole
    alone = load_design(write(tmp_path, "alone.yaml", BASE.replace("base", "middle").replace("blocks: 7", "blocks: 9")))
    assert made.model_copy(update={"proxy": alone.proxy}) == alone


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("extends: none.yaml\nname: x\n", r"none.yaml: no such file"),
        ("extends: a.yaml\nname: x\n", r"a.yaml extends: a circle"),
        ("extends: base.yaml\nname: x\n\nblock: 3\n", r"a.yaml:4:1 block: unknown key.*blocks"),
        ("extends: base.yaml\nname: x\nleave_out: [c]\n", r"a.yaml:1:1 .*names of slices, not 'c'"),
        ("- extends\n", r"a.yaml: not a mapping"),
    ],
)
def test_faults_name_the_file_and_the_place(tmp_path: Path, text: str, expected: str) -> None:
    write(tmp_path, "base.yaml", BASE)
    with pytest.raises(ConfigError, match=expected):
        load_design(write(tmp_path, "a.yaml", text))
