"""Corpora for the tests, made by code: a small awkward one, and one of any size for the engines.

Both have four sources (`web` WARC, `wiki` MediaWiki, `lines` JSONL, `notes` text) in a folder of their own.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

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
from tests.data.sentences import LANGUAGES, Writer

_HTTP = "application/http; msgtype=response"
SOURCES: dict[str, dict[str, Any]] = {
    "lines": {"path": "lines/*.jsonl*", "format": "jsonl"},
    "notes": {"path": "notes/*", "format": "text"},
    "web": {"path": "web/*.warc*", "format": "warc"},
    "wiki": {"path": "wiki/*.xml*", "format": "mediawiki"},
}


def write_recipe(folder: Path, **overrides: Any) -> Path:
    """Write `recipe.yaml` for a corpus in `folder`.

    Args:
        folder: what `make_corpus` or `make_awkward_corpus` filled.
        overrides: further keys of the recipe, in place of the ones given here.
    """
    recipe = {
        "name": "made",
        "sources": [{"name": name, **source} for name, source in SOURCES.items() if (folder / name).is_dir()],
        "part_mb": 0.5,
        "profiles": [{"name": "gopher-quality@datatrove", "languages": ["en"]}],
        "rules": {"not_empty": {"signal": "gopher_words", "min": 1}},
        "split": {"heldout_fraction": 0.05, "min_heldout_bytes": 1000},
        "tokenizer": {"vocab_size": 512, "sample_mb": 1.0},
        "shards": {"target_mb": 0.5},
        "limits": {"max_dead_letter_fraction": 0.5},
    }
    buffer = io.StringIO()
    YAML().dump(recipe | overrides, buffer)
    path = folder / "recipe.yaml"
    path.write_text(buffer.getvalue(), encoding="utf-8")
    return path


def _write(path: Path, *members: bytes) -> None:
    """Write a file of compressed members; its extension says how."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(compress(member, path.suffix) for member in members))


# --- a corpus of any size ---------------------------------------------------------------------------------------------


def make_texts(documents: int, seed: int) -> list[tuple[str, str]]:
    """Make (language, text) pairs: 4 % exact copies and 8 % near copies of earlier ones, from 1 to 40 sentences."""
    writer = Writer(seed)
    made: list[tuple[str, str]] = []
    for _ in range(documents):
        draw = writer.below(100)
        if made and draw < 12:
            language, text = made[writer.below(len(made))]
            made.append((language, text if draw < 4 else writer.near_copy(text)))
        else:
            language = "en" if draw < 50 else LANGUAGES[writer.below(len(LANGUAGES))]
            made.append((language, writer.document(language, 1 + writer.below(10) * (1 + writer.below(4)))))
    return made


def make_corpus(folder: Path, documents: int = 3000, seed: int = 0) -> Path:
    """Write a sound corpus of `documents` documents in all formats and compressions, and its recipe.

    Returns:
        The path of the recipe.
    """
    texts = [text for _, text in make_texts(documents, seed)]
    web, wiki, lines, notes = (texts[start::4] for start in range(4))
    _write_web(folder / "web", web)
    pages = [wiki_page(n, f"Title {n}", wikitext(f"Title {n}", text)) for n, text in enumerate(wiki)]
    half = len(pages) // 2
    _write(folder / "wiki/dump.xml.bz2", WIKI_HEAD, b"".join(pages[:half]), b"".join(pages[half:]), WIKI_TAIL)
    rows = [json_line(text, id=n, meta={"url": f"https://lines.example/{n}"}) for n, text in enumerate(lines)]
    for number, suffix in enumerate(("", ".gz", ".zst")):
        _write(folder / f"lines/part-{number}.jsonl{suffix}", b"".join(rows[number::3]))
    for number, text in enumerate(notes[: max(1, len(notes) // 4)]):
        _write(folder / f"notes/{number:04d}.txt", text.encode())
    _write(folder / "lines/rest.jsonl", b"".join(json_line(text) for text in notes[max(1, len(notes) // 4) :]))
    return write_recipe(folder)


def _write_web(folder: Path, texts: list[str]) -> None:
    records = []
    for number, text in enumerate(texts):
        url = f"https://web.example/{number}"
        request = warc_record("request", url, b"GET / HTTP/1.1\r\n\r\n", "application/http; msgtype=request")
        records += [request, page_record(url, f"Page {number}", text)]
    third = -(-len(records) // 3)
    for at, suffix in ((0, ".gz"), (third, ".zst"), (2 * third, "")):
        _write(folder / f"pages-{at // max(1, third)}.warc{suffix}", *records[at : at + third])


# --- the awkward corpus -----------------------------------------------------------------------------------------------


def make_awkward_corpus(folder: Path) -> dict[str, dict[str, int]]:
    """Write the awkward corpus and its recipe (`folder/recipe.yaml`).

    Returns:
        Per source what ingest must count: `documents`, `dead_letters/<error>`, `nondocuments/<kind>`.
    """
    expected = {
        "lines": _awkward_lines(folder / "lines"),
        "notes": _awkward_notes(folder / "notes"),
        "web": _awkward_web(folder / "web"),
        "wiki": _awkward_wiki(folder / "wiki"),
    }
    write_recipe(folder)
    return expected


def awkward_texts() -> Mapping[str, str]:
    """Return the texts with something odd in them, by name, as they are before cleaning."""
    writer = Writer(7)
    texts = {f"language_{language}": writer.document(language, 12) for language in LANGUAGES}
    english = texts["language_en"]
    return texts | {
        "empty": "",
        "one_word": "word",
        "line_separators": english.replace(". ", ".\u2028", 2) + "\u2029\x85end",
        "crlf": english.replace("\n", "\r\n"),
        "nul": "a\0b " + english,
        "byte_order_mark": "\ufeff" + english + "\ufeff",
        "decomposed": "Cafe\u0301 " + english,
        "end_of_text": english + "<|endoftext|>" + english,
        "spaces": " \n\t\n ",
        "exact_copy": texts["language_fr"],
        "near_copy": writer.near_copy(texts["language_fr"]),
        "five_megabytes": "\n".join(writer.sentence("en") for _ in range(800)) * 105,
    }


def _awkward_lines(folder: Path) -> dict[str, int]:
    texts = awkward_texts()
    good = [json_line(text, id=name, url=f"https://lines.example/{name}") for name, text in texts.items()]
    good += [
        json_line(texts["language_en"] + " again", id="same"),
        json_line(texts["language_de"] + " noch", id="same"),
    ]
    good += [b'{"text": "crlf line", "id": 1}\r\n', b'{"text": "null fields", "id": null, "url": null}\n']
    bad = {
        "missing_field": [b'{"id": "no text"}\n'],
        "wrong_type": [json_line(5), json_line(None), json_line(["a"]), json_line("x", url={"a": 1})],
        "not_an_object": [b"[1, 2]\n", b'"text"\n'],
        "invalid_utf8": [b'{"text": "broken \xff byte"}\n'],
        "invalid_json": [b'{"text": "open\n', b'{"text": "lone \\ud800 surrogate"}\n'],
    }
    mixed = (
        b"".join(good[:5]) + b"\n" + b"".join(b"".join(rows) for rows in bad.values()) + b"  \r\n" + b"".join(good[5:])
    )
    _write(folder / "awkward.jsonl", mixed + json_line("no line end").rstrip())
    _write(folder / "empty.jsonl", b"")
    _write(folder / "streams.jsonl.bz2", *(json_line(f"stream {n} of two", n=n) for n in range(2)))
    member = b"".join(json_line(f"line {n} of a sound member") for n in range(10))
    cut = compress(json_line(Writer(3).document("de", 200)), ".gz")
    (folder / "truncated.jsonl.gz").write_bytes(compress(member, ".gz") + cut[: len(cut) // 2])
    frame = bytearray(compress(b"".join(json_line(f"line {n} lost") for n in range(5)), ".zst"))
    frame[0] ^= 0xFF
    (folder / "damaged.jsonl.zst").write_bytes(compress(member, ".zst") + bytes(frame) + compress(member, ".zst"))
    return {
        "documents": len(good) + 1 + 2 + 10 + 20,
        "nondocuments/blank": 2,
        **{f"dead_letters/{error}": len(rows) for error, rows in bad.items()},
        "dead_letters/truncated_compression": 1,
        "dead_letters/damaged_compression": 1,
    }


def _awkward_notes(folder: Path) -> dict[str, int]:
    german, chinese = Writer(11).document("de", 8), Writer(12).document("zh", 8)
    good = {
        "empty.txt": b"",
        "word.txt": b"word",
        "latin1.txt": german.encode("latin-1"),
        "gb18030.txt": chinese.encode("gb18030"),
        "utf16.txt": german.encode("utf-16"),
        "mark.txt": b"\xef\xbb\xbf" + german.encode(),
        "crlf.txt": german.replace("\n", "\r\n").encode(),
    }
    bad = {
        "damaged_utf8.txt": chinese.encode()[:300] + b"\xff" + chinese.encode()[300:],
        "binary.txt": bytes(range(256)) * 20,
        "plain.txt.gz": b"not compressed at all",
        "zipped.txt": compress(german.encode(), ".gz"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in (good | bad).items():
        (folder / name).write_bytes(data)
    _write(folder / "sound.txt.zst", german.encode(), chinese.encode())
    return {
        "documents": len(good) + 1,
        "dead_letters/undecodable": 2,
        "dead_letters/compression_mismatch": 2,
    }


def _awkward_web(folder: Path) -> dict[str, int]:
    writer = Writer(21)
    pages = [(language, writer.document(language, 12)) for language in LANGUAGES]
    records = [page_record(f"https://web.example/{language}", f"Page {language}", text) for language, text in pages]
    french = pages[LANGUAGES.index("fr")][1]
    plain, german = http_response(b"plain words", "text/plain"), pages[LANGUAGES.index("de")][1]
    page = html_page("T", german)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (page[:100].encode(), page[100:].encode()))
    latin = html_page("T", french.replace("œ", "oe")).encode("latin-1")
    blocks = [
        plain,
        http_response(chunks + b"0\r\n\r\n", headers="Transfer-Encoding: chunked\r\n"),
        http_response(compress(page.encode(), ".gz"), headers="Content-Encoding: gzip\r\n"),
        http_response(latin, "text/html; charset=iso-8859-1"),
        http_response(html_page("End", "before <|endoftext|> after " + german).encode(), "application/xhtml+xml"),
        http_response(b"  <!DOCTYPE html><html><body><p>sniffed page</p></body></html>", ""),
    ]
    records += [
        warc_record("response", f"https://web.example/b{n}", b, _HTTP, record_id="<same>") for n, b in enumerate(blocks)
    ]
    others = [
        warc_record("warcinfo", "", b"software: made by code\r\n", "application/warc-fields"),
        warc_record("request", "https://web.example/", b"GET / HTTP/1.1\r\n\r\n", "application/http; msgtype=request"),
        warc_record("revisit", "https://web.example/", b"", _HTTP),
        warc_record("response", "https://web.example/gone", http_response(b"<html>gone", status=404), _HTTP),
        warc_record("response", "https://web.example/i", http_response(b"\x89PNG\r\n\r\nWARC/1.0", "image/png"), _HTTP),
    ]
    unread = warc_record(
        "response",
        "https://web.example/br",
        http_response(b"\x0b\x02", headers="Content-Encoding: br\r\n"),
        _HTTP,
    )
    _write(folder / "sound.warc.gz", *others, *records, unread)
    _damaged_web(folder, records)
    return {
        "documents": len(records) + 2 + 4 + 3,
        "nondocuments/warcinfo": 1,
        "nondocuments/request": 1,
        "nondocuments/revisit": 1,
        "nondocuments/response:status": 1,
        "nondocuments/response:image": 1,
        "dead_letters/content_encoding": 1,
        "dead_letters/truncated_compression": 1,
        "dead_letters/damaged_compression": 1,
        "dead_letters/wrong_length": 1,
        "dead_letters/not_a_record": 1,
        "dead_letters/truncated": 1,
    }


def _damaged_web(folder: Path, records: list[bytes]) -> None:
    """Write two files with broken members, and a plain one with a wrong length, garbage and a cut end."""
    last = compress(records[2], ".gz")
    (folder / "truncated.warc.gz").write_bytes(
        b"".join(compress(r, ".gz") for r in records[:2]) + last[: len(last) // 2]
    )
    broken = bytearray(compress(records[2], ".gz"))
    broken[len(broken) // 2] ^= 0x55
    members = [compress(record, ".gz") for record in records[:5]]
    (folder / "damaged.warc.gz").write_bytes(b"".join([*members[:2], bytes(broken), *members[3:]]))
    wrong = warc_record("response", "https://web.example/w", http_response(b"<html>x"), _HTTP, length=300)
    parts = [records[0], wrong, records[1], b"garbage between records\r\n", records[3], records[4][:200]]
    (folder / "plain.warc").write_bytes(b"".join(parts))


def _awkward_wiki(folder: Path) -> dict[str, int]:
    writer = Writer(31)
    pages = [
        wiki_page(n, f"Title {language}", wikitext(f"Title {language}", writer.document(language, 12)))
        for n, language in enumerate(LANGUAGES)
    ]
    redirect = wiki_page(100, "Old", "#REDIRECT [[Other]]", redirect=True)
    talk = wiki_page(101, "Talk:Old", "talk", namespace=1)
    broken = wiki_page(102, "Broken", "text").replace(b"</title>", b"")
    endless = wiki_page(103, "Endless", "text").replace(b"</page>", b"")
    stream = b"".join([redirect, *pages[:3], talk, broken, endless])
    _write(folder / "dump.xml.bz2", WIKI_HEAD, stream, b"".join(pages[3:]), WIKI_TAIL)
    (folder / "utf16.xml").write_bytes((WIKI_HEAD + pages[0] + WIKI_TAIL).decode().encode("utf-16"))
    latin = b'<?xml version="1.0" encoding="iso-8859-1"?>\n' + WIKI_HEAD + pages[0] + WIKI_TAIL
    (folder / "latin1.xml").write_bytes(latin)
    (folder / "cut.xml").write_bytes(WIKI_HEAD + pages[0] + pages[1][:-20])
    return {
        "documents": len(pages) + 1 + 1,
        "nondocuments/redirect": 1,
        "nondocuments/namespace:1": 1,
        "nondocuments/markup": 12 + 2 + 2,  # before, between and after the pages of dump.xml, utf16.xml and cut.xml
        "dead_letters/broken_page": 2,
        "dead_letters/unsupported_encoding": 1,
        "dead_letters/truncated": 1,
    }
