"""One spelling per address, so that two copies of a page are known to be one.

`normalise_url` applies, to http and https addresses:

1. what is around the address (white space, control characters) goes; http and https are one;
2. user, port 80 or 443, the final dot and the prefix `www.` of the host go; the host is lower-cased, in IDNA;
3. percent-encoding: `%7e` is `~`, `%c3` is `%C3`, `ü` is `%C3%BC`, a `%` that encodes nothing is `%25`
   (RFC 3986, section 6.2.2); then `.` and `..` are followed (section 5.2.4) and final slashes go;
4. session ids and parameters that only say where a visitor came from go (`TRACKING`), the others are sorted by name;
5. the fragment goes, unless it begins with `!` (such addresses name other pages).

Any other address is compared as it is written. Two addresses with one normal form may still show two pages
(http and https may differ, a parameter may matter): that is the price of every such list.
"""

from __future__ import annotations

import contextlib
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import ids
from pipelines.kernels.arrow_strings import string_buffers
from pipelines.kernels.plain_addresses import hash_plain_addresses

TRACKING = re.compile(
    r"utm_.*|gclid|dclid|fbclid|yclid|ttclid|twclid|msclkid|gclsrc|gbraid|wbraid|li_fat_id|mc_[ce]id|_ga|_gl|igshid"
    r"|igsh|_hsenc|_hsmi|mkt_tok|vero_(?:id|conv)|oly_(?:enc|anon)_id|wickedid|rb_clickid|s_cid|phpsessid|jsessionid"
    r"|aspsessionid.*",
    re.IGNORECASE,
)
"""Names of parameters that do not choose a page."""

_PLAIN = re.compile(
    r"https?://(?:www\.(?=[a-z0-9-]+\.[a-z0-9]))?(?!www\.)([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)((?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*)/*"
)
"""What nearly all addresses are: pipelines/kernels/plain_addresses.py reads the same grammar."""
_HTTP = re.compile(r"https?://", re.IGNORECASE)
_HOST_END = re.compile(r"(?:\.|:(?:0*80|0*443)?)+\Z")
_WWW = re.compile(r"\A(?:www\.)+(?=[^.]+\.[^.])")
_SESSION = re.compile(r";jsessionid=[^/?#]*", re.IGNORECASE)
_AROUND = "".join(map(chr, range(0x21))) + "\x7f"
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})?|[^A-Za-z0-9._~!$&'()*+,;=:@/?\[\]-]")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def normalise_url(url: str) -> str:
    """Return the normal form of an address (see the rules of this module); never fails.

    >>> normalise_url("HTTP://www.Example.org:80/a/./b/../c/?utm_source=x&b=%7e&a=1#top")
    'https://example.org/a/c?a=1&b=~'
    """
    plain = _PLAIN.fullmatch(url)
    if plain:
        return f"https://{plain[1]}{plain[2]}"
    url = url.strip(_AROUND)
    scheme = _HTTP.match(url)
    if not scheme:
        return url
    rest, _, fragment = url[scheme.end() :].partition("#")
    end = min((at for mark in "/?\\" if (at := rest.find(mark)) >= 0), default=len(rest))
    path, _, query = rest[end:].partition("?")
    path = _without_dots(_escaped(_SESSION.sub("", path.replace("\\", "/")))).rstrip("/")
    normal = f"https://{_host(rest[:end])}{path}"
    if parameters := _parameters(query):
        normal += "?" + parameters
    return f"{normal}#{_escaped(fragment)}" if fragment.startswith("!") else normal


def hash_addresses(urls: pa.ChunkedArray, wanted: np.ndarray) -> np.ndarray:
    """Hash the normal forms of addresses: `ids.content_hash(normalise_url(url))`, by a kernel for plain ones.

    Args:
        urls: [rows] addresses or nulls.
        wanted: bool [rows], which to hash; those must not be null.

    Returns:
        uint64 [rows, 2], upper and lower half; 0 for what is not wanted.
    """
    buffers = string_buffers(pc.fill_null(urls, ""))
    hashes, hashed = np.zeros((len(urls), 2), np.uint64), np.zeros(len(urls), bool)
    hash_plain_addresses(buffers.data, buffers.offsets, wanted, hashes, hashed)
    rest = np.flatnonzero(wanted & ~hashed)
    digests = [ids.content_hash(normalise_url(url)) for url in urls.take(pa.array(rest)).to_pylist()]
    hashes[rest] = ids.hex_to_u64_pairs(digests)
    return hashes


def _host(authority: str) -> str:
    host = _HOST_END.sub("", authority.rpartition("@")[2].lower())
    if not host.isascii():
        with contextlib.suppress(UnicodeError):  # no valid name: it is compared as it is written
            host = host.encode("idna").decode()
    host = _HOST_END.sub("", _escaped(host).lower())
    return _WWW.sub("", host)


def _escaped(text: str) -> str:
    """Encode what must be encoded, decode what need not be, in upper-case hexadecimal digits."""

    def escape(found: re.Match[str]) -> str:
        if found[1]:
            character = chr(int(found[1], 16))
            return character if character in _UNRESERVED else f"%{found[1].upper()}"
        return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass"))

    return _ESCAPE.sub(escape, text)


def _without_dots(path: str) -> str:
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    return "".join("/" + segment for segment in kept)


def _parameters(query: str) -> str:
    given = [_escaped(parameter) for parameter in query.split("&") if parameter]
    kept = [parameter for parameter in given if not TRACKING.fullmatch(parameter.partition("=")[0])]
    return "&".join(sorted(kept, key=lambda parameter: parameter.partition("=")[0]))
