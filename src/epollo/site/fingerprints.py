"""Names that carry a fingerprint of their content, as build tools write them.

Facts: a build tool puts a hash of the content into the name of a file, so that another content has
another name, and a browser may keep the file forever. These are the forms, by the tools' defaults:

    .[0-9a-f]{8,20}.               webpack (8, 16, 20), Parcel, Vite 2 and 3, Rspack (8), Django (12)
    .[0-9a-f]{32|64|96|128}.       Hugo (MD5 to SHA-512), webpack's file-loader (32)
    -[0-9a-f]{8|10|16|20|32|64}.   Rollup 3, Vite 4, Propshaft (8), gulp-rev (10), Next.js (16),
                                   Gatsby (20), Phoenix (32), Sprockets (32, 64)
    [-.][A-Za-z0-9_-]{8}.          Rollup 4, Vite 5, VitePress, Remix (-), Astro, Nuxt, SvelteKit (.)
    -[A-Z2-7]{8}.                  esbuild, Angular
    the whole name                 webpack's assets (20 hexadecimal digits); scripts, styles and fonts
                                   of Next.js (16); scripts and styles of SvelteKit and Nuxt (8)

Decision: a name counts only if its token mixes letters and digits, as a hash does. A token that reads as
words and numbers (``iPhone15``, ``DSC01234``, ``1280x720``, ``2024Q1``) does not count, nor does one
without a digit, which every fourth hash in eight characters of base64url is. MD5 or UUID as a whole name
do not count: they name the picture of a person, or a row of a table.
Price: a client asks again for some files that cannot change, and gets 304.
"""

import re

from epollo.annotations import Final
from epollo.patterns import compile_late

_KEPT_TYPES: Final = compile_late(
    rb"(?:image|font|audio|video)/.+|text/(?:css|javascript)"
    rb"|application/(?:wasm|vnd\.ms-fontobject)"
)
# A transport stream may be written while it is played; `.ts` is TypeScript as well.
_LIVE_TYPES: Final = frozenset((b"video/mp2t",))
_NAMED_BY_HASH_ALONE: Final = compile_late(rb"font/.+|text/(?:css|javascript)|application/json")
_SHORTEST: Final = 8
"""The octets of the shortest token."""
_SOURCE_MAP: Final = compile_late(rb"(?i)\.(?:m?js|cjs|css)\.map\Z")

# What tools write between the token and the extension: CRA and webpack `.chunk`, VitePress `.lean`,
# Storybook `.iframe.bundle`, MkDocs `.min`, next/font `-s.p`, wasm-bindgen `_bg`; Astro's images
# carry a second hash, of how they were made.
_AFTER_TOKEN: Final = compile_late(
    rb"(?:\.(?:min|chunk|bundle|iframe|module|worker|legacy|modern|async|lean|esm|prod)"
    rb"|-s(?:\.p)?|_bg)+\Z"
)
_ASTRO_IMAGE: Final = compile_late(rb"\.(?P<token>[0-9A-Za-z_-]{8})_[0-9A-Za-z]{4,8}\Z")
_HEXADECIMAL: Final = compile_late(
    rb"(?:\A(?=[0-9a-f]{16}\Z|[0-9a-f]{20}\Z)"
    rb"|\.(?=[0-9a-f]{8,20}\Z|[0-9a-f]{32}\Z|[0-9a-f]{64}\Z|[0-9a-f]{96}\Z|[0-9a-f]{128}\Z)"
    rb"|-(?=[0-9a-f]{8}\Z|[0-9a-f]{10}\Z|[0-9a-f]{16}\Z|[0-9a-f]{20}\Z|[0-9a-f]{32}\Z|[0-9a-f]{64}\Z))"
    rb"(?P<token>[0-9a-f]+)\Z"
)
_BASE64URL: Final = compile_late(rb"(?:\A|[.-])(?P<token>[0-9A-Za-z_-]{8})\Z")

# Letters of one word, or a number.
_PIECE: Final = compile_late(rb"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
# 2024, 202401, 20240131.
_DATE: Final = compile_late(rb"(?:19|20)[0-9]{2}(?:(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])?)?")
_CAPITALISED: Final = compile_late(rb"[A-Z][a-z]*")
# S01E02, A001C002, P1010234: each letter with a number of its own.
_NUMBERED: Final = compile_late(rb"(?:[A-Za-z][0-9]{2,})+(?:[A-Za-z][0-9]?)?")
_BASE32: Final = compile_late(rb"[A-Z2-7]+")
_WORD_AND_NUMBER: Final = compile_late(rb"[A-Z]+[0-9]+")
# What has a number in its name, or begins as iPad2 and eBook3 do.
_NUMERONYM: Final = compile_late(
    rb"(?i:html?5|css[34]|mp[34]|win(?:32|64)|es[5-7]|utf|sha|h26[45]|w3c|[234]d|web[23]|top)"
    rb"|(?:i|mac)OS|[ie][A-Z][a-z]"
)
_MONTHS: Final = frozenset(b"jan feb mar apr may jun jul aug sep oct nov dec".split())
_WORDS_OF_HEXADECIMALS: Final = frozenset(
    b"abba accede ace acceded add added bad bade bead beaded bed bee beef cab cad cafe cede ceded dab "
    b"dad dead deaf decade deed deface fab facade face faced fad fade faded fed fee feed feb dec".split()
)
_WORDS_WITHOUT_VOWELS: Final = frozenset(b"html xhtml http https scss dscn dscf".split())
_UNSAYABLE: Final = compile_late(
    rb"q(?!u)|[bcdfghjklmnpqrstvwxz]{5}|[aeiouy]{4}|\A[^aeiouy]+\Z"
    rb"|\A(?!chr|phr|s[chkpt][hlr]|thr)[bcdfghjklmnpqrstvwxz]{3}"
)


def has_fingerprint(name: bytes, media_type: bytes) -> bool:
    """Return whether the name of a file of this media type carries a fingerprint of its content."""
    stem, _, _ = name.rpartition(b".")
    if len(stem) < _SHORTEST:
        return False
    media_type = media_type.partition(b";")[0]
    if _SOURCE_MAP.search(name) is not None:
        stem, _, _ = stem.rpartition(b".")
    elif not _KEPT_TYPES.fullmatch(media_type) or media_type in _LIVE_TYPES:
        return False
    is_alone = b"." not in stem and b"-" not in stem
    if is_alone and len(stem) <= 16 and not _NAMED_BY_HASH_ALONE.fullmatch(media_type):
        # The name of most pictures: nothing precedes a token that would count.
        return False
    stem = _AFTER_TOKEN.sub(b"", stem)
    if len(stem) <= 16 and not _NAMED_BY_HASH_ALONE.fullmatch(media_type):
        # A token alone does not count here: without what precedes it, none is found.
        stem = b" " + stem
    found = _HEXADECIMAL.search(stem)
    if found is not None:
        return _is_hexadecimal_hash(found["token"])
    found = _ASTRO_IMAGE.search(stem)
    if found is not None and _is_any_hash(found["token"]):
        return True
    found = _BASE64URL.search(stem)
    return found is not None and _is_base64url_hash(found["token"])


def _is_any_hash(token: bytes) -> bool:
    return _is_hexadecimal_hash(token) if token.islower() else _is_base64url_hash(token)


def _is_hexadecimal_hash(token: bytes) -> bool:
    """Return whether hexadecimal digits are a hash rather than a number, a word or a date."""
    pieces = _PIECE.findall(token)
    letters = [piece for piece in pieces if piece.isalpha()]
    digits = [piece for piece in pieces if piece.isdigit()]
    if not letters or not digits or re.fullmatch(rb"[0-9a-f]+", token) is None:
        return False
    if len(token) > 12:
        # Longer than a time to the second, which has a letter behind it at the most.
        return len(pieces) > 2 or len(letters[0]) > 2
    if any(map(_DATE.fullmatch, digits)):
        return False
    # A word and a number, or a number and a letter.
    return len(pieces) > 2 or (
        len(letters[0]) > 2 and len(digits[0]) > 1 and letters[0] not in _WORDS_OF_HEXADECIMALS
    )


def _is_base64url_hash(token: bytes) -> bool:
    """Return whether eight characters of base64url, or of base32, are a hash rather than a name."""
    pieces = _PIECE.findall(token)
    digits = [piece for piece in pieces if piece.isdigit()]
    words = [piece for piece in pieces if piece.isalpha()]
    if not digits or token.lower() == token or _NUMBERED.fullmatch(token):
        return False
    if any(map(_DATE.fullmatch, digits)) or any(word.lower() in _MONTHS for word in words):
        return False
    if len(pieces) > 4:
        return True
    if _NUMERONYM.match(token):
        return False
    # In capitals only, the letters of a name precede its number.
    if _BASE32.fullmatch(token) and not _WORD_AND_NUMBER.fullmatch(token):
        return True
    if len(pieces) == 4:
        is_sentence = all(map(_CAPITALISED.fullmatch, words)) and all(map(_is_sayable, words))
        return not (is_sentence or _has_long_word(words))
    return len(digits[-1]) < 3 and not all(map(_is_sayable, words))


def _has_long_word(words: list[bytes]) -> bool:
    return any(len(word) > 3 and not word.isupper() and _is_sayable(word) for word in words)


def _is_sayable(letters: bytes) -> bool:
    """Return whether the letters could be a word, or an abbreviation of up to three letters."""
    if len(letters) < 3 or (len(letters) == 3 and letters.isupper()):
        return True
    letters = letters.lower()
    return letters in _WORDS_WITHOUT_VOWELS or _UNSAYABLE.search(letters) is None
