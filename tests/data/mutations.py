"""Malformed inputs from sound ones: a seeded generator of damage to real files of every format and compression.

A sound file is a list of blocks (a record, a header, a tail), packed into members. Damage is done to one block
before the members are packed, to the list of blocks, or to the bytes of the packed file; it is always known which
records it touches, so that a test can demand the others.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import brotli

from tests.data.columnar_mutations import (
    COLUMNAR,
    FREE_BYTES,
    MAX_RECORD_BYTES,
    Case,
    columnar_cases,
    made_texts,
)
from tests.data.formats import (
    WIKI_HEAD,
    WIKI_TAIL,
    compress,
    html_page,
    http_response,
    json_line,
    page_record,
    warc_record,
    wiki_page,
    wikitext,
)

SUFFIXES = ("", ".gz", ".zst", ".bz2", ".xz")
FORMATS = ("warc", "mediawiki", "jsonl", "csv", "tsv", "text", "lines", *COLUMNAR)
_HTTP = "application/http; msgtype=response"


@dataclass(frozen=True)
class Block:
    """A run of bytes of a file.

    Attributes:
        data: the bytes.
        content: what a reader makes of them if they are a record, else None.
    """

    data: bytes
    content: bytes | None = None


@dataclass
class _File:
    """A file that is being damaged: blocks, the members they are packed into, and what was touched."""

    kind: str
    suffix: str
    random: random.Random
    blocks: list[Block]
    touched: set[int] = field(default_factory=set)

    def records(self) -> list[int]:
        """Return the numbers of the blocks that are records."""
        return [n for n, block in enumerate(self.blocks) if block.content is not None]

    def choose(self) -> int:
        """Choose the block of a record."""
        return self.random.choice(self.records())

    def by_line(self) -> bool:
        """Say whether a damaged line end joins a record to the next one."""
        return self.kind in ("jsonl", "csv", "tsv", "lines")

    def set(self, number: int, data: bytes) -> None:
        """Replace the bytes of a block."""
        self.blocks[number] = replace(self.blocks[number], data=data)
        self.touched.add(number)
        if self.by_line() and not data.endswith(b"\n"):
            self.touched.add(number + 1)

    def per_member(self) -> int:
        """Return how many blocks share a member."""
        return 1 if self.kind in ("warc", "text") else 3

    def members(self) -> list[bytes]:
        """Return the compressed members."""
        size = self.per_member()
        parts = [b"".join(b.data for b in self.blocks[at : at + size]) for at in range(0, len(self.blocks), size)]
        return [compress(part, self.suffix) for part in parts] if self.suffix else [b.data for b in self.blocks]

    def blocks_of(self, member: int) -> range:
        """Return the numbers of the blocks of a member."""
        size = self.per_member() if self.suffix else 1
        return range(member * size, min((member + 1) * size, len(self.blocks)))


# --- sound files ------------------------------------------------------------------------------------------------------


def sound_blocks(kind: str, seed: int) -> list[Block]:
    """Return the blocks of a sound file."""
    texts = made_texts(seed)
    if kind == "warc":
        blocks = [Block(warc_record("warcinfo", "", b"software: made by code\r\n", "application/warc-fields"))]
        for n, text in enumerate(texts):
            url, title = f"https://web.example/{seed}/{n}", f"Page {n}"
            blocks.append(Block(page_record(url, title, text), html_page(title, text).encode()))
        return blocks
    if kind == "mediawiki":
        pages = [(f"Title {n}", wikitext(f"Title {n}", text)) for n, text in enumerate(texts)]
        blocks = [Block(wiki_page(n, title, body), body.encode()) for n, (title, body) in enumerate(pages)]
        return [Block(WIKI_HEAD), *blocks, Block(WIKI_TAIL)]
    if kind == "jsonl":
        return [
            Block(json_line(text, id=n, url=f"https://l.example/{n}"), text.encode()) for n, text in enumerate(texts)
        ]
    if kind in ("csv", "tsv"):
        delimiter = "," if kind == "csv" else "\t"
        rows = [delimiter.join([str(n), '"' + text.replace('"', '""') + '"', "u"]) for n, text in enumerate(texts)]
        blocks = [Block(row.encode() + b"\n", text.encode()) for row, text in zip(rows, texts, strict=True)]
        return [Block(delimiter.join(["id", "text", "url"]).encode() + b"\n"), *blocks]
    if kind == "lines":
        flat = [" ".join(text.split()).encode() for text in texts]
        return [Block(text + b"\n", text) for text in flat]
    return [Block(texts[0].encode(), texts[0].encode())]


# --- damage to one block, before packing ------------------------------------------------------------------------------


def _truncate_record(file: _File) -> None:
    number = file.choose()
    data = file.blocks[number].data
    file.set(number, data[: file.random.randrange(len(data))])


def _flip_in_record(file: _File) -> None:
    number = file.choose()
    data = bytearray(file.blocks[number].data)
    for _ in range(file.random.randint(1, 8)):
        data[file.random.randrange(len(data))] ^= 1 << file.random.randrange(8)
    file.set(number, bytes(data))


def _insert(file: _File, junk: bytes) -> None:
    number = file.choose()
    data = file.blocks[number].data
    at = file.random.randrange(len(data))
    file.set(number, data[:at] + junk + data[at:])


def _nul_run(file: _File) -> None:
    _insert(file, bytes(file.random.randint(1, 5000)))


def _bad_encoding(file: _File) -> None:
    _insert(
        file,
        file.random.choice([b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\x80", b"\xf8\x88\x80\x80\x80", b"\xe9\xe8\x9f" * 40]),
    )


def _huge_record(file: _File) -> None:
    filler = file.random.choice([b"x", b"\xe4\xbd\xa0", b"ab ", b"[", b"<a>", b"\\n"])
    number = file.choose()
    data = file.blocks[number].data
    at = len(data) // 2
    file.set(number, data[:at] + filler * (2 * MAX_RECORD_BYTES // len(filler)) + data[at:])


def _garbage_between(file: _File) -> None:
    junk = bytes(b for b in file.random.randbytes(file.random.randint(1, 2000)) if b not in b'\n"')
    number = file.choose()
    file.blocks.insert(number, Block(junk))
    file.touched |= {number, number + 1} if file.by_line() else {number}


def _duplicate(file: _File) -> None:
    number = file.choose()
    file.blocks.insert(number, file.blocks[number])


def _delete(file: _File) -> None:
    del file.blocks[file.choose()]


def _swap(file: _File) -> None:
    first, second = file.choose(), file.choose()
    file.blocks[first], file.blocks[second] = file.blocks[second], file.blocks[first]


def _huge_head(file: _File) -> None:
    """Give a record a header, a row or a nesting beyond anything sound."""
    number = file.choose()
    body, n = file.blocks[number].data, file.random.randint(20_000, 60_000)
    data = {
        "warc": b"WARC/1.0\r\n" + b"X-A: b\r\n" * n + body[10:],
        "mediawiki": b"<page>" + b"<a>" * n + body.partition(b"<page>")[2],
        "jsonl": b'{"text": ' + b"[" * n + b"\n",
        "csv": b"," * n + b"\n",
        "tsv": b"\t" * n + b"\n",
    }.get(file.kind, b" \r" * n + b"\n")
    file.set(number, data)


def _wrong_length(file: _File) -> None:
    """State a length, a size or a number of columns that is not so; where there is none, leave out an end."""
    number = file.choose()
    data, draw = file.blocks[number].data, file.random
    if file.kind == "warc":
        head, mark, rest = data.partition(b"\r\n\r\n")
        start = head.rindex(b"Content-Length: ") + len(b"Content-Length: ")
        true = int(head[start:])
        wrong = draw.choice([0, true - 1, true + 1, true // 2, 2 * true, 10**9, 10**14, -1, "x", ""])
        file.set(number, head[:start] + str(wrong).encode() + mark + rest)
    elif file.kind == "mediawiki":
        file.set(number, data.replace(draw.choice([b"</page>", b"<page>", b"</text>", b"</revision>"]), b""))
    elif file.kind == "jsonl":
        file.set(
            number, draw.choice([data[:-2] + b"\n", data[1:], data[:-1] + b"}\n", data.replace(b'"text"', b'"tex"')])
        )
    elif file.kind in ("csv", "tsv"):
        file.set(number, draw.choice([data[:-3] + b"\n", data[:-1] + b",\tx\n", data.replace(b'"', b"", 1)]))
    else:
        file.set(number, data[: len(data) // 2])


def _http_body(file: _File) -> None:
    """Give a response a body that is a bomb, is cut short, has wrong chunk sizes or is none."""
    body, draw = html_page("T", "bomb " * 2_000_000).encode(), file.random
    gzip, zstd, br = "Content-Encoding: gzip\r\n", "Content-Encoding: zstd\r\n", "Content-Encoding: br\r\n"
    chunked = "Transfer-Encoding: chunked\r\n"
    response = draw.choice(
        [
            lambda: http_response(compress(body, ".gz"), headers=gzip),
            lambda: http_response(compress(body, ".zst"), headers=zstd),
            lambda: http_response(brotli.compress(body, quality=1), headers=br),
            lambda: http_response(compress(compress(body, ".gz"), ".gz"), headers="Content-Encoding: gzip, gzip\r\n"),
            lambda: http_response(compress(body, ".gz")[:-9], headers=gzip),
            lambda: http_response(draw.randbytes(500), headers=br),
            lambda: http_response(b"ffffffff\r\nabc", headers=chunked),
            lambda: http_response(b"1\r\na\r\n" * 20_000, headers=chunked),
            lambda: http_response(b"x", headers="Content-Encoding: " + "gzip," * 3000 + "\r\n"),
            lambda: http_response(b"x", f"text/html; charset={' ' * 60_000}"),
            lambda: b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000,
            lambda: draw.randbytes(300),
        ]
    )()
    file.set(file.choose(), warc_record("response", "https://web.example/bomb", response, _HTTP))


_BLOCK_DAMAGE: dict[str, Callable[[_File], None]] = {
    "truncated record": _truncate_record,
    "bit flips in a record": _flip_in_record,
    "run of NULs": _nul_run,
    "bad encoding": _bad_encoding,
    "huge record": _huge_record,
    "huge header": _huge_head,
    "wrong length": _wrong_length,
    "garbage between records": _garbage_between,
    "duplicated record": _duplicate,
    "deleted record": _delete,
    "swapped records": _swap,
}


# --- damage to the packed file ----------------------------------------------------------------------------------------


def _damaged_range(file: _File, change: Callable[[bytes], bytes], size: int) -> bytes:
    """Change a range of the packed file; the blocks of the members that it touches count as touched."""
    members = file.members()
    data = b"".join(members)
    start = file.random.randrange(max(1, len(data)))
    end, place = min(len(data), start + size), 0
    for number, member in enumerate(members):
        if place < end + 16 and place + len(member) + 16 > start:  # a magic number or line end near by is touched, too
            file.touched |= set(file.blocks_of(number))
        place += len(member)
    return data[:start] + change(data[start:end]) + data[end:]


def _flip_bits(file: _File) -> bytes:
    return _damaged_range(
        file, lambda old: bytes(b ^ (1 << file.random.randrange(8)) for b in old), file.random.randint(1, 4)
    )


def _zero_range(file: _File) -> bytes:
    return _damaged_range(file, lambda old: bytes(len(old)), file.random.randint(10, 600))


def _random_range(file: _File) -> bytes:
    return _damaged_range(
        file, lambda old: file.random.randbytes(len(old)).replace(b"\n", b"_"), file.random.randint(10, 600)
    )


def _delete_range(file: _File) -> bytes:
    return _damaged_range(file, lambda old: b"", file.random.randint(1, 300))


def _truncate_file(file: _File) -> bytes:
    data = b"".join(file.members())
    keep, place = file.random.randrange(len(data)), 0
    for number, member in enumerate(file.members()):
        place += len(member)
        if place > keep:
            file.touched |= set(file.blocks_of(number))
    return data[:keep]


def _garbage_between_members(file: _File) -> bytes:
    members = file.members()
    number = file.random.randrange(len(members))
    junk = file.random.randbytes(file.random.randint(1, 3000)).replace(b"\n", b"_").replace(b'"', b"_")
    if not file.suffix:
        file.touched |= {number} if file.by_line() else set()
    return b"".join([*members[:number], junk, *members[number:]])


def _bomb_between_members(file: _File) -> bytes:
    """Put a member of 3 MB between others that gives far more than it may."""
    members = file.members()
    number = file.random.randrange(1, len(members) + 1)
    unit = file.random.choice([b"\0", b"x", b" ", b'{"a"', b"<p>"])
    if not file.suffix:
        file.touched |= {number} if file.by_line() else set()
    return b"".join([*members[:number], compress(unit * (3 * FREE_BYTES // len(unit)), file.suffix), *members[number:]])


def _cut_member(file: _File) -> bytes:
    """Cut the end of a member off, so that its decoder runs on into the next one."""
    members = file.members()
    number = file.random.randrange(len(members))
    file.touched |= set(file.blocks_of(number))
    if not file.suffix and file.by_line():
        file.touched.add(number + 1)
    members[number] = members[number][: file.random.randrange(len(members[number]))]
    return b"".join(members)


def _empty(file: _File) -> bytes:
    file.touched |= set(range(len(file.blocks)))
    return b""


_FILE_DAMAGE: dict[str, Callable[[_File], bytes]] = {
    "bit flips in the file": _flip_bits,
    "range of zeros": _zero_range,
    "range of random bytes": _random_range,
    "deleted range": _delete_range,
    "truncated file": _truncate_file,
    "garbage between members": _garbage_between_members,
    "bomb": _bomb_between_members,
    "cut member": _cut_member,
    "empty file": _empty,
}


def make_cases(kind: str, suffix: str, count: int, seed: int = 0) -> Iterator[Case]:
    """Make malformed files of one format and compression; the same arguments give the same files.

    Args:
        kind: one of `FORMATS`.
        suffix: one of `SUFFIXES` ("" for the columnar formats, whose compression lies inside).
        count: how many.
        seed: of everything that is drawn.
    """
    if kind in COLUMNAR:
        yield from columnar_cases(kind, count, seed)
        return
    block_damage = _BLOCK_DAMAGE | ({"HTTP body": _http_body} if kind == "warc" else {})
    names = [*block_damage, *_FILE_DAMAGE]
    for number in range(count):
        name = names[number % len(names)]
        draw = random.Random(f"{kind}{suffix}/{seed}/{number}")
        file = _File(kind, suffix, draw, sound_blocks(kind, draw.randrange(40)))
        sound = len(file.records())
        if name in block_damage:
            block_damage[name](file)
            data = b"".join(file.members())
        else:
            data = _FILE_DAMAGE[name](file)
        survivors = [b.content for n, b in enumerate(file.blocks) if b.content is not None and n not in file.touched]
        if kind in ("csv", "tsv") and 0 in file.touched:
            survivors = []  # nothing can be read without the names of the columns
        if kind == "text" and (name in _FILE_DAMAGE or len(file.blocks) != 1):
            survivors = []  # the whole file is the one record
        yield Case(kind, suffix, name, data, sound, tuple(survivors))
