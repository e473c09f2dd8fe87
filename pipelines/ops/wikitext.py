"""Wikitext to plain text, in linear time.

One pass over the bracket tokens with a stack drops templates, tables, files and categories and resolves links;
single-purpose substitutions do the rest. mwparserfromhell's `strip_code` keeps captions, list and table marks
and needs many times as long (see the tests, where it is the oracle for what both handle).
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field

_NAMESPACES = """file image media category datei bild kategorie fichier catégorie média archivo imagen categoría immagine categoria
ficheiro imagem arquivo файл изображение категория зображення категорія 文件 檔案 档案 图像 圖像 分类 分類 category
ファイル 画像 カテゴリ 파일 그림 분류 ملف صورة تصنيف קובץ תמונה קטגוריה plik grafika bestand afbeelding categorie fil
kategori dosya resim پرونده تصویر رده ไฟล์ ภาพ หมวดหมู่ soubor tiedosto kuva luokka billede bilde fájl kép kategória
berkas gambar αρχείο εικόνα κατηγορία fișier imagine fitxer súbor kategória चित्र श्रेणी"""
_FILE_AND_CATEGORY = frozenset(_NAMESPACES.split()) | {"tập tin", "hình", "thể loại"}
_DROPPED = """ref references gallery math chem ce score timeline imagemap templatestyles graph mapframe maplink hiero inputbox
categorytree style script indicator section"""
_DROPPED_TAGS = frozenset(_DROPPED.split())
_LITERAL_TAGS = ("nowiki", "syntaxhighlight", "source", "pre")
_MAX_DEPTH = 40  # MediaWiki's own limit for templates; keeps hostile nesting linear
_TAGS = (
    "abbr|b|bdi|bdo|big|blockquote|br|caption|center|cite|code|dd|del|dfn|div|dl|dt|em|font|h[1-6]|hr|i|includeonly|ins|kbd|"
    "li|mark|noinclude|nowiki|ol|onlyinclude|p|poem|pre|q|rb|rp|rt|rtc|ruby|s|samp|small|source|span|strike|strong|sub|sup|"
    "syntaxhighlight|table|tbody|td|th|thead|tr|tt|u|ul|var|wbr"
)
_DASHES = {
    "ndash": "–",
    "en dash": "–",
    "–": "–",
    "snd": " – ",
    "spaced ndash": " – ",
    "mdash": "—",
    "em dash": "—",
}
_SHOW_LAST = ("nowrap", "nobr", "transl", "small", "nobold")  # templates around running text
# Markup characters inside <nowiki> and the like are taken out of the way as noncharacters, and put back at the end.
_PROTECTED = "[]{}|'<>=*#:;_-!~"
_PROTECT = str.maketrans({c: chr(0xFDD0 + i) for i, c in enumerate(_PROTECTED)})
_RESTORE = str.maketrans({chr(0xFDD0 + i): c for i, c in enumerate(_PROTECTED)})
_RESTORED = re.compile("[\ufdd0-\ufdef]")

_TAG_TOKEN = re.compile(r"<!--|-->|<(/?)([a-z]+)\b([^<>]*)>", re.IGNORECASE)
_BRACKETS = re.compile(r"\{\{|\}\}|^[ \t:*]*\{\||^[ \t]*\|\}(?!\})|\[\[|\]\]", re.MULTILINE)
_EXTERNAL = re.compile(r"\[(?:(?:https?:|ftp:)?//|mailto:)[^\s\[\]]*((?:[^\S\n][^\[\]\n]*)?)\]", re.IGNORECASE)
_BREAK = re.compile(r"</?(?:br|p|div|li|tr|blockquote|h[1-6])\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(rf"</?(?:{_TAGS}|{'|'.join(sorted(_DROPPED_TAGS))})\b[^<>]*>", re.IGNORECASE)
_PARAMETER = re.compile(r"\{\{\{[^{}]*\}\}\}")
_VARIANT = re.compile(r"-\{([^{}]*)\}-")
_MAGIC_WORD = re.compile(r"__[^\W\d_]{3,}__")
_QUOTES = re.compile(r"'{2,}")
_LIST_MARK = re.compile(r"([*#:;]+)[ \t]*")
_SPACES = re.compile(r"[ \t]{2,}")
_EMPTY_PARENTHESES = re.compile(r"[ \t]?[(（][\s,;:/，；：、]*[)）]")
_PARENTHESIS_START = re.compile(r"([(（])[\s,;:，；：、]+")
_LANGUAGE_LINK = re.compile(r"[a-z]{2,3}(?:-[a-z]+)*:\S")


def plain_text(wikitext: str) -> str:
    """Return the readable text of a page: paragraphs, headings, list items and link labels.

    Args:
        wikitext: source of a page.

    Returns:
        Text without templates, tables, references, files, categories, tags and other markup. Entities are
        resolved.
    """
    text = _drop_tagged(wikitext)
    text = _PARAMETER.sub("", text)
    text = _VARIANT.sub(lambda found: _first_variant(found[1]), text)
    text = _resolve_brackets(text)
    text = _EXTERNAL.sub(lambda found: found[1].strip(), text)
    text = _BREAK.sub("\n", text)
    text = _TAG.sub("", text)
    text = _MAGIC_WORD.sub("", _QUOTES.sub("", text))
    text = _lines(text)
    text = _PARENTHESIS_START.sub(r"\1", _EMPTY_PARENTHESES.sub("", html.unescape(text)))
    return text.translate(_RESTORE) if _RESTORED.search(text) else text


def _drop_tagged(text: str) -> str:
    """Drop comments and elements whose content is no running text; protect the content of `nowiki` and the like.

    Linear: tags are visited once; an element that is never closed loses only its tag.
    """
    tokens = list(_TAG_TOKEN.finditer(text))
    last_close = {m[2].lower(): m.start() for m in tokens if m[1]} | {"-->": text.rfind("-->")}
    out: list[str] = []
    at = 0
    closing, inner, protect = "", 0, False
    for token in tokens:
        name = "-->" if token[0] == "-->" else (token[2] or "").lower()
        if closing:
            if name == closing and (token[1] or name == "-->"):
                out.append(text[inner : token.start()].translate(_PROTECT) if protect else "")
                at, closing = token.end(), ""
            continue
        if token[0] == "<!--":
            closes, protect = "-->", False
        elif name in _DROPPED_TAGS or name in _LITERAL_TAGS:
            if token[1] or token[3].endswith("/"):
                out.append(text[at : token.start()])
                at = token.end()
                continue
            closes, protect = name, name not in _DROPPED_TAGS
        else:
            continue
        out.append(text[at : token.start()])
        at = token.end()
        if last_close.get(closes, -1) >= at:
            closing, inner = closes, at
    out.append(text[at:])
    return "".join(out)


@dataclass
class _Open:
    """An opened bracket and the text inside of it so far."""

    kind: str
    parts: list[str] = field(default_factory=list)


_CLOSES = {"}}": "{{", "|}": "{|", "]]": "[["}


def _resolve_brackets(text: str) -> str:
    """Drop templates and tables and resolve links, nested as they may be; unbalanced brackets vanish alone."""
    stack = [_Open("")]
    at = 0
    for token in _BRACKETS.finditer(text):
        stack[-1].parts.append(text[at : token.start()])
        at = token.end()
        mark = token[0].strip(" \t:*")
        opener = _CLOSES.get(mark)
        if opener is None:
            if len(stack) <= _MAX_DEPTH:
                stack.append(_Open(mark))
        elif any(level.kind == opener for level in stack[-8:]):  # deeper mismatches are treated as stray
            while stack[-1].kind != opener:
                unclosed = stack.pop()
                stack[-1].parts.extend(unclosed.parts)
            inner = "".join(stack.pop().parts)
            stack[-1].parts.append(_RESOLVE[opener](inner))
    stack[-1].parts.append(text[at:])
    return "".join(part for level in stack for part in level.parts)


def _template(inner: str) -> str:
    """Return the text that a few templates around running text show, "" for all others."""
    name, *arguments = inner.split("|")
    name = name.strip().lower().replace("_", " ")
    if name in _DASHES:
        return _DASHES[name]
    if name == "lang" and len(arguments) >= 2:
        return arguments[1]
    if arguments and (name in _SHOW_LAST or name.startswith("lang-")):
        return arguments[0] if name.startswith("lang-") else arguments[-1]
    if name in ("convert", "cvt") and len(arguments) >= 2:
        return f"{arguments[0]} {arguments[1]}"
    return ""


def _link(inner: str) -> str:
    """Return the label of a link; nothing for files, categories and links between languages."""
    target, bar, label = inner.partition("|")
    stripped = target.strip()
    if not stripped.startswith(":"):
        prefix = stripped.partition(":")[0].strip().lower() if ":" in stripped else ""
        if prefix in _FILE_AND_CATEGORY or (not bar and _LANGUAGE_LINK.match(stripped)):
            return ""
    if bar and label.strip():
        return label.rpartition("|")[2]
    shown = stripped.lstrip(":")
    return shown.partition(":")[2].strip() if bar and ":" in shown else shown  # the pipe trick: [[Help:Links|]]


def _nothing(inner: str) -> str:
    return ""


_RESOLVE: dict[str, Callable[[str], str]] = {"{{": _template, "{|": _nothing, "[[": _link}


def _first_variant(inner: str) -> str:
    """Return the first variant of a language conversion (`-{zh-hans:网络; zh-hant:網路}-`)."""
    body = inner.rpartition("|")[2]
    first = body.split(";")[0]
    code, colon, text = first.partition(":")
    return (text if colon and code.strip().lower().startswith("zh") else first).strip()


def _heading(line: str) -> tuple[int, str]:
    """Return level and title of a heading line (`== Title ==`), level 0 for any other line."""
    line = line.rstrip()
    if len(line) < 3 or line[0] != "=" or line[-1] != "=":
        return 0, ""
    level = min(len(line) - len(line.lstrip("=")), len(line) - len(line.rstrip("=")), (len(line) - 1) // 2, 6)
    return level, line[level : len(line) - level].strip()


def _lines(text: str) -> str:
    """Turn headings and list items into plain lines; drop rules, table rests and headings over nothing."""
    out: list[str] = []
    waiting: list[tuple[int, str]] = []  # headings, with their level, that have no text below them yet
    for line in text.split("\n"):
        level, title = _heading(line)
        if level:
            waiting = [entry for entry in waiting if entry[0] < level] + [(level, title)]
            continue
        if line.startswith(("|", "----")):
            continue
        mark = _LIST_MARK.match(line)
        if mark:
            item = line[mark.end() :]
            line = ("- " + item if mark[1][-1] in "*#" else item) if item.strip() else ""
        if line.strip() and waiting:
            for _, title in waiting:
                out.extend(("", title, ""))
            waiting = []
        out.append(_SPACES.sub(" ", line.strip()))
    return "\n".join(line for at, line in enumerate(out) if line or (at and out[at - 1])).strip("\n")
