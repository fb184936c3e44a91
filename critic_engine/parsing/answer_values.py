"""Read the value behind an announced answer: the answer alone, or None for what is no answer."""

import re
from collections.abc import Sequence

MARKUP = "*_` "

MAX_VALUE_CHARACTERS = 4000
_STOPS = ".。．"
_DOT_AND_SPACE = ".` "
_STARRED = re.compile(r"(?:[^\W\d_]|\^)\*\Z")
# What prompts write in the place of an answer, and what models copy from them.
_PLACEHOLDER = re.compile(
    r"[\[<({$\"'`“]{0,3}(?:(?:your|the|final|insert|my|correct|put|write|give|option|choice|single|one|a|an"
    r"|chosen|numeric"
    r"|numerical|short|exact)[ _-]){0,4}(?:answer|letter|option|choice|value|number|result|response|final)s?"
    r"(?:[ _-](?:here|alone|only|letter|value|itself|of the (?:right |correct )?(?:option|choice|answer)))*"
    r"[\]>)}$\"'`”]{0,3}|[\[<({\"'`“]?[.…_?]{1,20}[\]>)}\"'`”]?|[\[<(]?A/B(?:/[C-H]){0,6}[\])>]?"
    r"|A, B(?:, [C-H]){0,5},? or [B-H]|\\f?boxed\{[^\w\n]{0,10}\}",
    re.IGNORECASE,
)
_X_PLACEHOLDER = re.compile(
    r"[\[<({\"'`“]?X[\]>)}\"'`”]?(?:[,;:.]? (?:where|with|is the|being|for|in place)\b.*)?", re.DOTALL
)
_LEAD = re.compile(r"\A(?:so|thus|hence|therefore),[ ]", re.IGNORECASE)
# An answer begins with none of these: a solution does.
_ANNOUNCEMENT = re.compile(
    r"(?:let['’]?s|let us|let me|to (?:find|determine|solve|answer|calculate|compute|get|work|identify|figure"
    r"|count|see)|we (?:need|can|have to|will|must|should|first|know|see|count|start)|first(?:ly)?(?=,| we| let| i )"
    r"|i(?:['’]ll| will| need| should| must| can| have)|i(?: can(?:no|['’])t| could(?: no|n['’])t| do(?: no|n['’])t"
    r"|(?: am|['’]m) (?:not|un|sorry|afraid))|(?:i am |i['’]m )?(?:sorry|unable to|unsure)|as an ai"
    r"|looking at|step [0-9]|count the|as follows"
    r"|see (?:below|above)|(?:given|shown|stated|found) (?:below|above)"
    r"|in order to|based on|according to|from the|given that|in the (?:image|picture|figure|photo|diagram|chart))\b",
    re.IGNORECASE,
)
_NOT_SAID = re.compile(
    r"(?:not|n['’]t|never|wrong|incorrect|as follows|given|found|shown|clear|clearly|obvious|obtained"
    r"|simply the|below|above|still"
    r"|therefore|thus|also|likely to|supposed|asked|required|reasonable|consistent)\b",
    re.IGNORECASE,
)
_RETRACTED = re.compile(
    r"[.,;!?…—-][ \t]{0,3}(?:wait|hmm+|scratch that|actually|no,|let me (?:re|check|double))", re.IGNORECASE
)
_TALK = (
    r"(?:because|since|as|due to|so|given|where|which|that is|i\.e\.|there|this|these|those|it|they|we|i|if|for"
    r"|based|"
    r"from|but|by|not|rather than|instead of|in the|looking|therefore|thus|hence|let|note|the (?:image|picture"
    r"|other|question))\b"
)
_PLAIN_VALUE = (
    r"[-+−]?[$€£¥₹]?[ ]?[0-9][0-9,.]{0,30}(?<![.,])(?:[ ]?/[ ]?[0-9]{1,12})?(?:[ ]?[%°])?(?:[ ](?!"
    + _TALK
    + r")[^\W\d_]{1,20}"
    r"(?![^\W\d_])){0,2}|[(\[<]?[A-Z][)\]>]?|yes|no|true|false|none|\$[^$\n]{1,80}\$|\\\([^\n]{1,80}?\\\)"
)
_EXPLAINED = re.compile(
    rf"(?P<value>{_PLAIN_VALUE})(?!\w)[*_`]{{0,3}}[ ]?(?:[,;:.—–-]|[.]?[ ]?\()?[ ]{{0,2}}{_TALK}",
    re.IGNORECASE | re.DOTALL,
)
_BRACKETED = re.compile(rf"(?P<value>{_PLAIN_VALUE})[*_`]{{0,3}} \([^()]*(?: [^()]+){{2,60}}\)\.?", re.IGNORECASE)
_SENTENCE = re.compile(
    r"(?<!\b[A-Z])(?<!\bDr)(?<!\bMr)(?<!\bMrs)(?<!\bSt)(?<!\bNo)(?<!\bvs)(?<!\be\.g)[.!。！][*_`]{0,3}[ ]{1,3}(?=\S)"
)
_SYMBOLS = re.compile(
    r"\A[\s\U0001f000-\U0001faff\u2600-\u27bf\ufe0f*_]{1,8}|[\s\U0001f000-\U0001faff\u2600-\u27bf\ufe0f]{1,8}\Z"
)
# "The total number of apples is 12", "There are 12 apples in total".
_IN_SENTENCE = re.compile(
    r"(?=(?:\S+ ){3})[^\W\d][^,;:.!?]{2,200} (?:is|are|was|were|equals|=)(?: approximately| about| exactly)? (?P<is>"
    r"[*_$]{0,3}[-+−]?[$€£]?[0-9][0-9,.]{0,30}(?<![.,])(?:[ ]?[%°])?[*_$]{0,3}(?:[ ][^\W\d_]{1,20}[*_]{0,3})?)"
    r"|There (?:is|are|was|were) (?:a total of |exactly |only )?(?P<are>[*_]{0,3}[0-9][0-9,.]{0,30}(?<![.,])[*_]{0,3}"
    r"(?: [^\W\d_]{1,20})?)(?: [^.!?]{1,80})?"
)
_NUMBER = re.compile(r"[-+−]?[$€£]?[0-9][0-9,.]{0,30}[ ]?[%°]?")
_WRAPPED_LETTER = re.compile(r"(?:\\\(|\\\[|\$|\[|<|\{)[ ]?\(?([A-Z]{1,2})\)?[ ]?(?:\\\)|\\\]|\$|\]|>|\})")
_WRAPPED_MATH = re.compile(r"\\\((.*)\\\)|\\\[(.*)\\\]|\$\$(.*)\$\$", re.DOTALL)
_LETTERED = re.compile(
    r"(?:(?:option|choice|answer) )?[(\[<]?([A-Z]{1,2})[)\]>]?[*_]{0,3}(?:[ ]?[.:)–—-]+[*_]{0,3}[ ]|[ ](?=\())(.+)",
    re.I | re.S,
)
_BARE_LETTER = re.compile(r"[(\[<]?([A-Z])[)\]>]?[.:)]?", re.IGNORECASE)
_CLOSING_TAG = re.compile(
    r"(?:</?(?:answer|final_answer|response|conclusion|output|solution|summary|s)>?"
    r"|<\|(?:im_end|eot_id|eot|end|endoftext|end_of_text|end_of_turn|return)\|>|<(?:end_of_turn|eos)>)\s*\Z",
    re.IGNORECASE,
)
_ENDINGS = re.compile(r"(?:입니다|이다|です|である)\Z")


def tidied(raw: str) -> str:
    """Return an answer in one line, without markup around it and without a dot at its end; "z*" keeps its star."""
    printable = "".join(character for character in " ".join(raw.split()) if character.isprintable())
    value = printable.rstrip(_DOT_AND_SPACE)
    bare = value.lstrip(MARKUP)
    is_starred = not value.startswith("*") and _STARRED.search(bare) is not None
    return bare if is_starred else bare.rstrip("." + MARKUP)


def read_value(raw: str, choices: Sequence[str] = (), *, is_said: bool = False) -> str | None:
    """Return the answer that ``raw`` states, without the explanation behind it; None if it states none.

    A question is no answer, nor the place holder of a prompt, the beginning of a solution, or what is taken back.

    Args:
        raw: The text behind the announcement, to the end of its line.
        choices: The problem's choices; with them a letter is a choice's.
        is_said: Whether it follows "the answer is", which sentences go on from that state none.
    """
    cut = _CLOSING_TAG.sub("", raw[:MAX_VALUE_CHARACTERS].rstrip())
    bare = _ENDINGS.sub("", tidied(_SYMBOLS.sub("", tidied(cut))).rstrip(_STOPS))
    bare = _LEAD.sub("", bare)
    if bare.endswith(")") and not {"(", "["} & set(bare) and not _LETTERED.fullmatch(bare):
        bare = bare[:-1].rstrip()
    if not bare or not any(map(str.isalnum, bare)) or cut.rstrip(MARKUP + ")\"'”").endswith(("?", "？")):
        return None
    if _is_placeholder(bare, choices) or (is_said and _NOT_SAID.match(bare)):
        return None
    if _ANNOUNCEMENT.match(bare) and not _is_choice(bare, choices):
        return None
    if _RETRACTED.search(bare):
        return None
    value = _unexplained(bare, choices, is_said=is_said)
    return _as_choice(_unwrapped(value), choices) or None


def read_boxed(raw: str, choices: Sequence[str] = ()) -> str | None:
    """Return the answer in a box; None if it is empty or a place holder."""
    bare = tidied(raw[:MAX_VALUE_CHARACTERS])
    if not bare or _is_placeholder(bare, choices):
        return None
    return _as_choice(bare, choices)


def read_last_line(text: str, choices: Sequence[str] = ()) -> str | None:
    """Return the choice that the last line names alone; without choices, a number that is the whole text."""
    lines = text[-MAX_VALUE_CHARACTERS:].strip().split("\n")
    bare = tidied(lines[-1])
    if not choices:
        return bare if len(lines) == 1 and _NUMBER.fullmatch(bare) else None
    lettered, letter = _LETTERED.fullmatch(bare), _BARE_LETTER.fullmatch(bare)
    is_named = _is_choice(bare, choices)
    if letter and letter[1].isupper() and ord(letter[1]) - ord("A") < len(choices):
        is_named = True
    if lettered and _as_choice(bare, choices) != bare:
        is_named = True
    return _as_choice(bare, choices) if is_named else None


def is_plain_value(value: str) -> bool:
    """Return whether a value is a number, a letter or the like, and not words."""
    return re.fullmatch(_PLAIN_VALUE, value, re.IGNORECASE) is not None


def _is_choice(bare: str, choices: Sequence[str]) -> bool:
    return bare.casefold() in {tidied(choice).casefold() for choice in choices}


def _is_placeholder(bare: str, choices: Sequence[str]) -> bool:
    if _is_choice(bare, choices):
        return False
    has_x = len(choices) >= ord("X") - ord("A") + 1
    return _PLACEHOLDER.fullmatch(bare) is not None or (not has_x and _X_PLACEHOLDER.fullmatch(bare) is not None)


def _unexplained(bare: str, choices: Sequence[str], *, is_said: bool) -> str:
    """Return the value without an explanation behind it."""
    sentence = _IN_SENTENCE.fullmatch(bare)
    if sentence:
        return re.sub(r"[*_]", "", sentence["is"] or sentence["are"])
    lettered = _LETTERED.match(bare)
    if lettered and not _is_about(lettered[2], choices):
        talk = re.match(rf"\(?{_TALK}", lettered[2], re.IGNORECASE)
        if choices or talk:
            return lettered[1]
    for pattern in (_EXPLAINED, _BRACKETED):
        match = pattern.match(bare)
        if match and not (lettered and not match[0]):
            return match["value"].strip(MARKUP)
    sentence = _SENTENCE.search(bare)
    head = bare if sentence is None else bare[: sentence.start()]
    is_plain = re.fullmatch(rf"(?:{_PLAIN_VALUE})[*_`]{{0,3}}", head, re.IGNORECASE) is not None
    return tidied(head) if is_plain or (is_said and not lettered) else bare


def _is_about(words: str, choices: Sequence[str]) -> bool:
    """Return whether the words behind a letter may be a choice's text."""
    said = words.casefold().strip(" .*_`()")
    return any(text in said or said in text for text in (choice.casefold().strip(" .") for choice in choices) if text)


def _unwrapped(value: str) -> str:
    if value[:1] + value[-1:] in ('""', "“”", "''", "‘’", "«»") and len(value) > 2:
        value = value[1:-1]
    letter = _WRAPPED_LETTER.fullmatch(value)
    if letter:
        return letter[1]
    math = _WRAPPED_MATH.fullmatch(value)
    inner = next((part for part in math.groups() if part is not None), "") if math else ""
    return tidied(inner) if inner and "\\(" not in inner and "\\[" not in inner else value


def _as_choice(value: str, choices: Sequence[str]) -> str:
    """Return the letter of a choice that the value names by letter and text.

    A bare letter gets brackets if the texts of the choices are letters too.
    """
    if not choices:
        return value
    lettered = _LETTERED.fullmatch(value)
    if lettered and len(lettered[1]) == 1:
        index = ord(lettered[1].upper()) - ord("A")
        if index < len(choices) and lettered[2].casefold().strip(" .*_`()") == choices[index].casefold().strip(" .()"):
            value = lettered[1].upper()
    bare = _BARE_LETTER.fullmatch(value)
    is_label = bare is not None and ord(bare[1].upper()) - ord("A") < len(choices)
    has_letters = is_label and any(len(choice.strip()) == 1 and choice.strip().isalpha() for choice in choices)
    return f"({bare[1].upper()})" if bare and has_letters else value
