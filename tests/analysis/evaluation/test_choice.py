import numpy as np
import pytest

from analysis.data import HeldOut
from analysis.evaluation import choice
from analysis.evaluation.choice import build_choice_items, score_items, vocabulary_bytes
from pipelines.contracts.errors import InputError
from tests.analysis.toy import byte_bpe, held_out

LETTERS = [b""] + [bytes([c]) for c in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 "]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A byte-level tokenizer on text whose characters have 1 to 4 bytes and are cut by tokens."""
    tokenizer = byte_bpe([_text(seed) for seed in range(20)])
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(path))
    return tokenizer, path


def _text(seed):
    rng = np.random.default_rng(seed)
    return "".join(rng.choice(list("abc dé語学🙂✓"), 400))


def _held_out(tokenizer, n=24):
    texts = [_text(seed) for seed in range(n)]
    ids = [np.array([*tokenizer.encode(text).ids, 0]) for text in texts]
    offsets = np.concatenate([[0], np.cumsum([len(i) for i in ids])])
    n_bytes = np.array([len(text.encode()) for text in texts])
    components = [f"c{i // 3}" for i in range(n)]
    return HeldOut("t", "kept", np.concatenate(ids), offsets, n_bytes, components, [f"d{i}" for i in range(n)])


def test_bytes_of_the_vocabulary_spell_the_text(tokenizer):
    tok, path = tokenizer
    token_bytes = vocabulary_bytes(path)
    assert len(token_bytes) == tok.get_vocab_size()
    text = _text(99) + "\n\t\0ÿ"
    assert b"".join(token_bytes[i] for i in tok.encode(text).ids) == text.encode()
    assert token_bytes[0] == b""


def test_a_vocabulary_that_is_not_of_bytes_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text('{"model": {"vocab": {"語": 0}}}')
    with pytest.raises(InputError, match="not a byte-level vocabulary"):
        vocabulary_bytes(path)


def test_continuations_are_whole_characters_of_other_components(tokenizer):
    tok, path = tokenizer
    token_bytes, heldout = vocabulary_bytes(path), _held_out(tok)
    items = build_choice_items(heldout, 16, 1, token_bytes)
    assert len(items) == 16
    for item in items:
        assert len(item.prefix) == 32
        owners = []
        for continuation, n_bytes in zip(item.continuations, item.n_bytes, strict=True):
            spelt = b"".join(token_bytes[i] for i in continuation)
            assert len(spelt) == n_bytes
            spelt.decode()  # raises where a character is cut
            assert 24 <= len(continuation) <= 31
            owners.append(
                {c for c, d in zip(heldout.component, _documents(heldout), strict=True) if _inside(continuation, d)}
            )
        assert item.component in owners[0]
        assert not any(item.component in owner for owner in owners[1:])
        assert len(set.union(*owners)) == 4
    first = items[0]
    document = _documents(heldout)[heldout.doc_id.index(first.item_id.split(":")[0])]
    start = int(first.item_id.split(":")[1])
    assert document[start - 32 : start].tolist() == first.prefix.tolist()
    assert document[start : start + len(first.continuations[0])].tolist() == first.continuations[0].tolist()


def _documents(heldout):
    return [heldout.ids[a:b] for a, b in zip(heldout.offsets[:-1], heldout.offsets[1:], strict=True)]


def _inside(part, whole):
    return part.astype("<u4").tobytes() in np.asarray(whole, "<u4").tobytes()


def test_items_depend_on_the_set_and_the_seed_only(tokenizer):
    tok, path = tokenizer
    token_bytes = vocabulary_bytes(path)
    names = [[i.item_id for i in build_choice_items(_held_out(tok), 8, s, token_bytes)] for s in (1, 1, 2)]
    assert names[0] == names[1]
    assert names[0] != names[2]
    assert len(set(names[0])) == 8


def test_short_documents_or_too_few_components_give_no_items():
    assert build_choice_items(held_out(longest=60), 5, 1, LETTERS) == []
    long = held_out(n=6, longest=400)  # three components: one gold and two others
    assert build_choice_items(long, 5, 1, LETTERS) == []


class Knows:
    """Gives the true continuations `better` nats per token less than the others."""

    def __init__(self, items, better):
        self._gold = {(tuple(item.prefix.tolist()), tuple(item.continuations[0].tolist())) for item in items}
        self._better = better

    def logp(self, ids, mask):
        out = np.zeros(mask.shape)
        for row in range(len(ids)):
            asked = (tuple(ids[row, :32].tolist()), tuple(ids[row, 1:][mask[row]].tolist()))
            out[row, mask[row]] = -3.0 + (self._better if asked in self._gold else 0.0)
        return out


@pytest.mark.parametrize("better", [1.0, -1.0])
def test_margin_is_gold_minus_best_other_in_bits_per_byte(better):
    heldout = held_out(n=20, longest=400)
    items = build_choice_items(heldout, 10, 3, LETTERS)  # one byte per token
    table = score_items(Knows(items, better), items, 64, 0)
    assert table.schema == choice.ITEM_SCORES
    assert len(table) == len(items) > 4
    np.testing.assert_allclose(table["margin_bpb"].to_numpy(), better / np.log(2))
    assert table["correct"].to_pylist() == [better > 0] * len(items)
    np.testing.assert_allclose(table["gold_nats"].to_numpy(), (3.0 - better) * table["gold_bytes"].to_numpy())


def test_items_longer_than_the_context_are_refused():
    items = build_choice_items(held_out(n=20, longest=400), 2, 3, LETTERS)
    with pytest.raises(InputError, match="longer than the context"):
        score_items(Knows(items, 1.0), items, 32, 0)
    assert score_items(Knows([], 1.0), [], 32, 0).num_rows == 0
