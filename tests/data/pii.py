"""A labelled set of personal data, made by code: true values in many forms, and what only looks like them.

The makers of values know nothing of the detector: check digits are computed here, telephone numbers come
from libphonenumber's examples with other last digits, and forms that are known to be hard are in the set.
"""

from __future__ import annotations

import base64
import ipaddress
import random
import string
from collections.abc import Callable
from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

LETTERS, ALNUM = string.ascii_lowercase, string.ascii_letters + string.digits
_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "PL", "NL", "SE", "BR", "IN", "JP", "CN", "AU", "MX", "TR")
_NATIONAL = ("US", "GB", "DE", "FR")
_NAMES = ("anna", "bjorn", "chen", "divya", "emil", "fatima", "goran", "hugo", "ines", "jose", "karl", "lucía", "miro")
_ENDS = ("example.com", "mail.example.org", "firma.de", "univ-lyon.fr", "co.uk", "posteo.net", "acme.io", "tokyo.ac.jp")


@dataclass(frozen=True)
class Labelled:
    """One text of the set.

    Attributes:
        text: a sentence or two.
        kind: kind of the value, or that a negative looks like.
        form: how it is written, or what it is in truth.
        value: what has to go; None for a negative, of which nothing may go.
    """

    text: str
    kind: str
    form: str
    value: str | None


Maker = Callable[[random.Random], str]


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice(string.digits) for _ in range(count))


def _some(rng: random.Random, alphabet: str, count: int) -> str:
    return "".join(rng.choice(alphabet) for _ in range(count))


def _email(rng: random.Random) -> tuple[str, str]:
    first, last = rng.sample(_NAMES, 2)
    local = rng.choice((f"{first}.{last}", f"{first}{rng.randrange(99)}", f"{first[0]}_{last}", f"{first}+{last}"))
    return local, rng.choice(_ENDS) if rng.random() < 0.5 else f"{last}-{_some(rng, LETTERS, 4)}.{rng.choice(_ENDS)}"


def _with_luhn(body: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(body)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return body + str(-total % 10)


def _card(rng: random.Random) -> str:
    prefix, size = rng.choice((("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("37", 15), ("34", 15), ("6011", 16),
                               ("36", 14), ("3530", 16), ("62", 16)))  # fmt: skip
    return _with_luhn(prefix + _digits(rng, size - len(prefix) - 1))


def _grouped_card(rng: random.Random, separator: str) -> str:
    number = _card(rng)
    sizes = {16: (4, 4, 4, 4), 15: (4, 6, 5), 14: (4, 6, 4)}[len(number)]
    return _cut(number, sizes, separator)


def _cut(value: str, sizes: tuple[int, ...], separator: str) -> str:
    pieces = []
    for size in sizes:
        pieces.append(value[:size])
        value = value[size:]
    return separator.join([*pieces, value] if value else pieces)


def _iban(rng: random.Random) -> str:
    country, bank, digits = rng.choice((("DE", "", 18), ("GB", "WEST", 14), ("FR", "", 23), ("ES", "", 20), ("NL", "ABNA", 10),
                                        ("IT", "X", 22), ("CH", "", 17), ("PL", "", 24), ("NO", "", 11), ("BE", "", 12)))  # fmt: skip
    body = bank + _digits(rng, digits)
    number = "".join(str(ord(c) - 55) if c.isalpha() else c for c in body + country + "00")
    return f"{country}{98 - int(number) % 97:02d}{body}"


def _ipv4(rng: random.Random, *, public: bool = True) -> str:
    while True:
        address = ipaddress.IPv4Address(rng.getrandbits(32))
        if address.is_global == public and not address.is_multicast and not address.is_reserved:
            return str(address)


def _ipv6(rng: random.Random) -> ipaddress.IPv6Address:
    middle = rng.getrandbits(48) if rng.random() < 0.5 else 0
    return ipaddress.IPv6Address((0x2A00 + rng.randrange(1, 255)) << 112 | middle << 64 | rng.getrandbits(64))


def _phone(rng: random.Random, regions: tuple[str, ...]) -> phonenumbers.PhoneNumber:
    while True:
        kind = rng.choice((PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE))
        number = phonenumbers.example_number_for_type(rng.choice(regions), kind)
        digits = str(number.national_number)
        changed = int(digits[:-4] + _digits(rng, 4))
        made = phonenumbers.PhoneNumber(country_code=number.country_code, national_number=changed)
        if phonenumbers.is_valid_number(made):
            return made


def _formatted(style: int, regions: tuple[str, ...] = _REGIONS) -> Maker:
    return lambda rng: phonenumbers.format_number(_phone(rng, regions), style)


def _jwt(rng: random.Random) -> str:
    def part(text: bytes) -> str:
        return base64.urlsafe_b64encode(text).decode().rstrip("=")

    return ".".join(
        (part(b'{"alg":"HS256","typ":"JWT"}'), part(f'{{"sub":"{_digits(rng, 9)}"}}'.encode()), _some(rng, ALNUM, 43))
    )


def _private_key(rng: random.Random) -> str:
    name = rng.choice(("RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY"))
    lines = "\n".join(_some(rng, ALNUM + "+/", 64) for _ in range(4))
    return f"-----BEGIN {name}-----\n{lines}\n-----END {name}-----"


# (kind, form) -> value
POSITIVES: dict[tuple[str, str], Maker] = {
    ("email", "plain"): lambda rng: "@".join(_email(rng)),
    ("email", "capitals"): lambda rng: "@".join(_email(rng)).upper(),
    ("email", "hidden (at) dot"): lambda rng: " (at) ".join(_email(rng)).replace(".", " dot "),
    ("email", "hidden [at] [dot]"): lambda rng: "[at]".join(_email(rng)).replace(".", "[dot]"),
    ("email", "spaces around @"): lambda rng: " @ ".join(_email(rng)),
    ("phone", "international"): _formatted(PhoneNumberFormat.INTERNATIONAL),
    ("phone", "E.164"): _formatted(PhoneNumberFormat.E164),
    ("phone", "international with dots"): lambda rng: _formatted(PhoneNumberFormat.INTERNATIONAL)(rng).replace(
        " ", "."
    ),
    ("phone", "national"): _formatted(PhoneNumberFormat.NATIONAL, _NATIONAL),
    ("phone", "national with dots (US)"): lambda rng: _cut(str(_phone(rng, ("US",)).national_number), (3, 3, 4), "."),
    ("phone", "behind Tel."): lambda rng: (
        "Tel. " + _formatted(PhoneNumberFormat.NATIONAL, _NATIONAL)(rng).replace(" ", "")
    ),
    ("phone", "other national"): _formatted(PhoneNumberFormat.NATIONAL, ("ES", "PL", "BR", "IN", "JP")),
    ("ipv4", "plain"): _ipv4,
    ("ipv4", "in a URL with port"): lambda rng: f"http://{_ipv4(rng)}:8080/index.html",
    ("ipv6", "compressed"): lambda rng: str(_ipv6(rng)),
    ("ipv6", "full"): lambda rng: _ipv6(rng).exploded.upper(),
    ("iban", "compact"): _iban,
    ("iban", "groups of four"): lambda rng: " ".join(_chunks(_iban(rng), 4)),
    ("iban", "lower case"): lambda rng: _iban(rng).lower(),
    ("card", "compact"): _card,
    ("card", "spaces"): lambda rng: _grouped_card(rng, " "),
    ("card", "hyphens"): lambda rng: _grouped_card(rng, "-"),
    ("card", "dots"): lambda rng: _grouped_card(rng, "."),
    ("secret", "AWS key id"): lambda rng: "AKIA" + _some(rng, string.ascii_uppercase + "234567", 16),
    ("secret", "GitHub token"): lambda rng: f"gh{rng.choice('pousr')}_{_some(rng, ALNUM, 36)}",
    ("secret", "Slack token"): lambda rng: f"xoxb-{_digits(rng, 12)}-{_digits(rng, 12)}-{_some(rng, ALNUM, 24)}",
    ("secret", "Google key"): lambda rng: "AIza" + _some(rng, ALNUM + "_-", 34) + rng.choice(ALNUM),
    ("secret", "Stripe key"): lambda rng: "sk_live_" + _some(rng, ALNUM, 24),
    ("secret", "model API key"): lambda rng: "sk-proj-" + _some(rng, ALNUM, 48),
    ("secret", "Hugging Face token"): lambda rng: "hf_" + _some(rng, string.ascii_letters, 34),
    ("secret", "JSON Web Token"): _jwt,
    ("secret", "private key"): _private_key,
    ("secret", "assigned"): lambda rng: _some(rng, ALNUM, 32),
    ("secret", "assigned, short"): lambda rng: _some(rng, ALNUM, 10),
    ("secret", "password in a URL"): lambda rng: f"{rng.choice(_NAMES[:5])}:{_some(rng, ALNUM, 12)}",
}


def _chunks(value: str, size: int) -> list[str]:
    return [value[i : i + size] for i in range(0, len(value), size)]


def _wrong_card(rng: random.Random) -> str:
    number = _card(rng)
    return number[:-1] + str((int(number[-1]) + rng.randrange(1, 10)) % 10)


def _wrong_iban(rng: random.Random) -> str:
    iban = _iban(rng)
    return f"{iban[:2]}{(int(iban[2:4]) + rng.randrange(1, 90)) % 100:02d}{iban[4:]}"


# (kind that it looks like, what it is) -> text
NEGATIVES: dict[tuple[str, str], Maker] = {
    ("email", "mention"): lambda rng: f"@{rng.choice(_NAMES)}_{rng.randrange(99)}",
    ("email", "decorator"): lambda rng: f"@app.{rng.choice(('route', 'get', 'post'))}",
    ("email", "image at 2x"): lambda rng: f"{rng.choice(_NAMES)}@{rng.randrange(2, 4)}x.png",
    ("email", "git remote"): lambda rng: f"git@example.com:{rng.choice(_NAMES)}/tools.git",
    ("email", "package version"): lambda rng: f"{rng.choice(_NAMES)}@{rng.randrange(9)}.{rng.randrange(20)}.{rng.randrange(9)}",
    ("email", "matrix product"): lambda rng: f"{rng.choice('abc')}@self.{rng.choice(('weight', 'kernel', 'basis'))}",
    ("phone", "date and time"): lambda rng: f"20{rng.randrange(10, 25)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d} {rng.randrange(24):02d}:{rng.randrange(60):02d}",
    ("phone", "German date"): lambda rng: f"0{rng.randrange(1, 10)}.0{rng.randrange(1, 10)}.{rng.randrange(1950, 2024)}",
    ("phone", "Unix time"): lambda rng: str(rng.randrange(1_500_000_000, 1_800_000_000)),
    ("phone", "ten-digit id"): lambda rng: f"#{rng.randrange(2_000_000_000, 9_999_999_999)}",
    ("phone", "bare ten digits"): lambda rng: str(rng.randrange(2_000_000_000, 9_999_999_999)),
    ("phone", "ISBN"): lambda rng: f"978-{rng.randrange(10)}-{_digits(rng, 2)}-{_digits(rng, 6)}-{rng.randrange(10)}",
    ("phone", "DOI"): lambda rng: f"10.{rng.randrange(1000, 9999)}/{_digits(rng, 3)}.{_digits(rng, 4)}",
    ("phone", "arXiv id"): lambda rng: f"arXiv:{rng.randrange(10, 25)}0{rng.randrange(1, 10)}.{_digits(rng, 5)}",
    ("phone", "sum of money"): lambda rng: f"${rng.randrange(1, 99)},{_digits(rng, 3)},{_digits(rng, 3)}.{_digits(rng, 2)}",
    ("phone", "pages"): lambda rng: f"pp. {rng.randrange(100, 999)}-{rng.randrange(1000, 9999)}",
    ("phone", "coordinates"): lambda rng: f"{rng.randrange(90)}.{_digits(rng, 6)}, -{rng.randrange(90)}.{_digits(rng, 6)}",
    ("phone", "numbers in a row"): lambda rng: " ".join(str(rng.randrange(1, 9999)) for _ in range(6)),
    ("ipv4", "version"): lambda rng: f"version {rng.randrange(9)}.{rng.randrange(9)}.{rng.randrange(99)}.{rng.randrange(99)}",
    ("ipv4", "private"): lambda rng: f"192.168.{rng.randrange(256)}.{rng.randrange(256)}",
    ("ipv4", "browser version"): lambda rng: f"Chrome/{rng.randrange(60, 120)}.0.{rng.randrange(100, 250)}.{rng.randrange(200)}",
    ("ipv4", "object id"): lambda rng: f"1.3.6.1.4.1.{rng.randrange(999)}",
    ("ipv4", "section"): lambda rng: f"§{rng.randrange(1, 9)}.{rng.randrange(1, 9)}.{rng.randrange(1, 9)}.{rng.randrange(1, 9)}",
    ("ipv4", "bare version"): lambda rng: f"kernel {rng.randrange(2, 6)}.{rng.randrange(20)}.{rng.randrange(9)}.{rng.randrange(99)}",
    ("ipv6", "time"): lambda rng: f"{rng.randrange(24):02d}:{rng.randrange(60):02d}:{rng.randrange(60):02d}",
    ("ipv6", "MAC address"): lambda rng: ":".join(f"{rng.randrange(256):02x}" for _ in range(6)),
    ("ipv6", "C++ scope"): lambda rng: rng.choice(("std::add", "abc::bad", "face::dead", "a::b")),
    ("ipv6", "documentation"): lambda rng: f"2001:db8::{rng.randrange(65536):x}",
    ("iban", "wrong check digits"): _wrong_iban,
    ("iban", "order number"): lambda rng: f"XY{_digits(rng, 20)}",
    ("card", "wrong check digit"): _wrong_card,
    ("card", "no issuer"): lambda rng: _with_luhn("1" + _digits(rng, 14)),
    ("card", "time in microseconds"): lambda rng: str(rng.randrange(1_500_000_000, 1_800_000_000)) + _digits(rng, 6),
    ("card", "16 digits that start with 4"): lambda rng: "4" + _digits(rng, 15),
    ("secret", "commit hash"): lambda rng: _some(rng, "0123456789abcdef", 40),
    ("secret", "UUID"): lambda rng: _cut(_some(rng, "0123456789abcdef", 32), (8, 4, 4, 4, 12), "-"),
    ("secret", "read from a variable"): lambda rng: f"password = os.environ['{rng.choice(_NAMES).upper()}_KEY_{rng.randrange(9)}']",
    ("secret", "example"): lambda rng: f"api_key = {rng.choice(('your-api-key-here-1', 'xxxxxxxxxxxxxxxxxxxx1', 'changeme-changeme1'))}",
    ("secret", "certificate"): lambda rng: f"-----BEGIN CERTIFICATE-----\n{_some(rng, ALNUM, 64)}\n-----END CERTIFICATE-----",
    ("secret", "CSS class"): lambda rng: f"token_{rng.choice(_NAMES)}-{rng.choice(_NAMES)}-2",
}  # fmt: skip

_FRAMES = (
    "Please write down {} before you leave.", "We found {} in the third paragraph of the report.", "{}", "See also: {}.",
    "Kontakt: {} (nur werktags)", "The entry said “{}”, and nothing else.", "a table\n{}\nof lines", "It was ({}) as agreed;",
)  # fmt: skip
_ASSIGN = ('api_key = "{}"', "export SECRET_TOKEN={}", "password: {}", '"access_key": "{}",')


def _frame(rng: random.Random, kind: str, form: str, value: str) -> str:
    if form == "password in a URL":
        return f"clone https://{value}@git.example.org/x first"
    if form.startswith("assigned"):
        return rng.choice(_ASSIGN).format(value)
    return rng.choice(_FRAMES).replace("{}", value)


def make_labelled(per_form: int = 75, seed: int = 5) -> list[Labelled]:
    """Make the set: `per_form` texts of every form of POSITIVES and NEGATIVES."""
    rng = random.Random(seed)
    made = []
    for table, positive in ((POSITIVES, True), (NEGATIVES, False)):
        for (kind, form), maker in table.items():
            for _ in range(per_form):
                value = maker(rng)
                text = _frame(rng, kind, form, value)
                made.append(Labelled(text, kind, form, _essence(form, value) if positive else None))
    return made


def _essence(form: str, value: str) -> str:
    """Return the part of a form that names a person."""
    if form == "in a URL with port":
        return value.split("/")[2].rpartition(":")[0]
    return value.removeprefix("Tel. ")
