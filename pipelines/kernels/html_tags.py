"""Names that the page kernels know: tags with their classes, and words in `class` and `id` that tell what a block is."""

from __future__ import annotations

from typing import Final

import numpy as np

# Classes of tags, as bits.
BLOCK: Final = 1  # starts and ends a block of text
SKIP: Final = 2  # its text is not text of the page
VOID: Final = 4  # has no end tag
RAW: Final = 8  # its content is not markup
LINK: Final = 16
BOLD: Final = 32
ITALIC: Final = 64
PRE: Final = 128  # white space is text
CODE: Final = 256
HIDDEN: Final = 512  # not shown; set by attributes

_BLOCKS = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "col",
    "colgroup",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "frame",
    "frameset",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "hr",
    "html",
    "legend",
    "li",
    "main",
    "menu",
    "nav",
    "ol",
    "optgroup",
    "option",
    "p",
    "pre",
    "search",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
]
_CLASSES: dict[str, int] = dict.fromkeys(_BLOCKS, BLOCK) | {
    "pre": BLOCK | PRE,
    "head": SKIP,
    "select": SKIP,
    "datalist": SKIP,
    "textarea": SKIP,
    "button": SKIP,
    "canvas": SKIP,
    "object": 0,
    "svg": SKIP,
    "math": 0,
    "template": SKIP,
    "noscript": SKIP,
    "audio": SKIP,
    "video": SKIP,
    "title": SKIP,
    "script": SKIP | RAW,
    "style": SKIP | RAW,
    "xmp": BLOCK | PRE | RAW,
    "iframe": SKIP | RAW,
    "noembed": SKIP | RAW,
    "noframes": SKIP | RAW,
    "plaintext": BLOCK | PRE | RAW,
    "a": LINK,
    "b": BOLD,
    "strong": BOLD,
    "i": ITALIC,
    "em": ITALIC,
    "code": CODE,
    "tt": CODE,
    "kbd": CODE,
    "samp": CODE,
    "span": 0,
    "font": 0,
    "time": 0,
    "label": 0,
    "img": VOID,
    "input": VOID,
    "br": VOID,
    "wbr": VOID,
    "link": VOID,
    "meta": VOID,
    "base": VOID,
    "area": VOID,
    "embed": VOID,
    "param": VOID,
    "source": VOID,
    "track": VOID,
    "keygen": VOID,
    "basefont": VOID,
    "bgsound": VOID,
    "hr": BLOCK | VOID,
    "col": BLOCK | VOID,
    "frame": BLOCK | VOID,
}
TAGS: Final[tuple[str, ...]] = ("", *sorted(_CLASSES))
"""Tag names by code; 0 is any other tag (inline)."""

CODE_OF: Final[dict[str, int]] = {name: code for code, name in enumerate(TAGS)}
CLASSES: Final = np.array([_CLASSES.get(name, 0) for name in TAGS], dtype=np.int32)

HINTS: Final[tuple[str, ...]] = (
    # one bit each: the words of a group mean about the same thing
    "article story post entry blog hentry news-text articlebody",
    "content main maincontent",
    "body text copy prose markdown rich",
    "comment reply disqus discuss respond thread",
    "sidebar side-bar side rail aside column-right",
    "footer foot bottom colophon copyright legal",
    "header head top masthead banner",
    "nav menu breadcrumb crumb pagination pager toolbar tabs",
    "share social twitter facebook follow like whatsapp",
    "related recommend more-from readmore read-more also popular trending latest most next prev",
    "promo sponsor advert ads ad- -ad dfp outbrain taboola partner",
    "widget module teaser card tile carousel slider gallery",
    "tag categor topic keyword label",
    "author byline bio profile avatar contributor",
    "date time publish meta info stamp posted",
    "caption credit figure image photo media video",
    "subscribe newsletter signup sign-up email register login paywall donate",
    "cookie consent gdpr popup modal overlay notice alert warning hidden",
    "title headline heading hed",
    "summary intro lead lede dek excerpt standfirst abstract subtitle description",
    "quote pullquote highlight",
    "code highlight-source syntax example snippet",
    "forum message answer question review rating",
    "search form filter sort",
    "product price cart shop buy",
    "toc contents references footnote reflist note",
    "list item feed results archive",
    "logo brand site-",
    "print sr-only screen-reader visually-hidden skip",
    "wiki mw- docs documentation",
)


def tag_hash(name: bytes) -> int:
    """Hash a tag name in lower case (64-bit FNV-1a)."""
    value = 0xCBF29CE484222325
    for byte in name:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def _tag_table() -> np.ndarray:
    """Return [slots, 2] uint64 of (hash, code): an open table, twice as large as it must be."""
    slots = 512
    table = np.zeros((slots, 2), dtype=np.uint64)
    for code, name in enumerate(TAGS[1:], 1):
        value = tag_hash(name.encode())
        at = value % slots
        while table[at, 1]:
            at = (at + 1) % slots
        table[at] = value, code
    return table


def _hint_automaton() -> tuple[np.ndarray, np.ndarray]:
    """Build the Aho-Corasick automaton of the words (Aho, Corasick 1975).

    Returns:
        [states, 256] next state, and [states] uint64 groups of the words that end there.
    """
    children: list[dict[int, int]] = [{}]
    found = [0]
    for bit, words in enumerate(HINTS):
        for word in words.split():
            state = 0
            for byte in word.encode():
                if byte not in children[state]:
                    children.append({})
                    found.append(0)
                    children[state][byte] = len(children) - 1
                state = children[state][byte]
            found[state] |= 1 << bit
    steps = np.zeros((len(children), 256), dtype=np.int32)
    fail = [0] * len(children)
    queue = [0]
    for state in queue:
        for byte in range(256):
            fallback = int(steps[fail[state], byte]) if state else 0
            child = children[state].get(byte)
            steps[state, byte] = fallback if child is None else child
            if child is not None:
                fail[child] = fallback
                found[child] |= found[fallback]
                queue.append(child)
    for upper in range(ord("A"), ord("Z") + 1):
        steps[:, upper] = steps[:, upper + 32]
    return steps, np.array(found, dtype=np.uint64)


TAG_TABLE: Final = _tag_table()
HINT_STEPS, HINT_FOUND = _hint_automaton()
