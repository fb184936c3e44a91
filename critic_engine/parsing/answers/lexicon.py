"""Words whose meanings are known: spellings of one word, and words that exclude each other.

Two answers in words are different only where both are known here: any other words may be synonyms.
"""

import functools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

# Spellings and abbreviations of one thing: the first stands for all of its line.
_SAME = """
yes: true | no: false
gray: grey | color: colour | center: centre | meter: metre | theater: theatre | fiber: fibre | liter: litre
favorite: favourite | neighbor: neighbour | behavior: behaviour | labor: labour | harbor: harbour | flavor: flavour
honor: honour | humor: humour | aluminum: aluminium | sulfur: sulphur | jewelry: jewellery | tire: tyre
airplane: aeroplane | mustache: moustache | pajamas: pyjamas | donut: doughnut | yogurt: yoghurt | mold: mould
organization: organisation | plow: plough | catalog: catalogue | defense: defence | traveler: traveller
sunday: sun. | monday: mon mon. | tuesday: tue tue. tues tues. | wednesday: wed. weds | thursday: thu thu. thur thurs
friday: fri fri. | saturday: sat.
january: jan jan. | february: feb feb. | march: mar. | april: apr apr. | june: jun jun. | july: jul jul.
august: aug aug. | september: sep sep. sept sept. | october: oct oct. | november: nov nov. | december: dec dec.
united_kingdom: uk u.k. u.k | united_states: usa us u.s.a. u.s.a u.s. u.s united_states_of_america
united_arab_emirates: uae u.a.e. | european_union: eu | united_nations: un u.n.
television: tv | versus: vs vs.
doctor: dr dr. | mister: mr mr.
1st: first | 4th: fourth | 5th: fifth | 6th: sixth | 7th: seventh | 8th: eighth | 9th: ninth | 10th: tenth
left_hand_side: lhs | right_hand_side: rhs
"""

# A line: words of one kind that exclude each other. Joined by / are words of one meaning, or too close to tell apart.
_KINDS = """
answer: yes no
nothing: none/nothing
colour: red green blue yellow black white orange purple/violet brown gray pink
side: left/leftmost right/rightmost
vertical: top/upper/up/upward bottom/lower/down/downward
compass: north/northern/northward/northwards south/southern/southward/southwards east/eastern/eastward/eastwards
  west/western/westward/westwards
diagonal: northeast/northeastern northwest/northwestern southeast/southeastern southwest/southwestern
shape: circle/sphere square/rectangle/cube triangle/pyramid/cone pentagon hexagon octagon cylinder star
change: increase/increasing/increased/increases/rise/rising/up/upward/grow/growing/grew/growth
  decrease/decreasing/decreased/decreases/fall/falling/fell/drop/decline/declining/declined/down/downward/shrink
number: odd even
sign: positive negative
month: january february march april may june july august september october november december
weekday: monday tuesday wednesday thursday friday saturday sunday
season: spring summer autumn/fall winter
matter: solid liquid gas plasma
sex: male/man/men/boy/boys/husband/father/son/brother female/woman/women/girl/girls/wife/mother/daughter/sister
position: above below/under/underneath/beneath
depth: front/forward behind/back/rear
time: before after
day: morning noon/midday/afternoon evening/night midnight
truth: correct incorrect/wrong
size: big/large/larger/largest/bigger/biggest small/smaller/smallest/little/tiny
length: long/longer/longest short/shorter/shortest
height: tall/taller/tallest/high/higher/highest low/lower/lowest
heat: hot/hotter/hottest cold/colder/coldest
weight: heavy/heavier/heaviest light/lighter/lightest
speed: fast/faster/fastest/quick slow/slower/slowest
amount: more/most/greater/greatest fewer/fewest/less/least
order: 1st second/2nd third/3rd 4th 5th 6th 7th 8th 9th 10th
angle: acute obtuse reflex
triangle_kind: scalene equilateral
triangle_sides: isosceles scalene
lines: parallel perpendicular
pole: maximum/max minimum/min
state: open/opened closed/shut
sound: loud quiet
age: old/older/oldest young/younger/youngest
place: inside/indoors/indoor outside/outdoors/outdoor
rotation: clockwise counterclockwise/anticlockwise
blood: artery vein
reaction: exothermic endothermic
cycle: evaporation condensation precipitation
rock: igneous sedimentary metamorphic
cell_division: mitosis meiosis
feeding: producer consumer decomposer
diet: herbivore carnivore omnivore
charge: proton/protons neutron/neutrons electron/electrons
organism: bacteria/bacterium virus fungus/fungi
part: root/roots stem/stems leaf/leaves flower/flowers/petal/petals
organ: heart lung/lungs liver kidney/kidneys brain stomach skin
planet: mercury venus earth/world mars jupiter saturn uranus neptune
element: hydrogen helium lithium carbon nitrogen oxygen fluorine neon sodium magnesium aluminum silicon phosphorus
  sulfur chlorine argon potassium calcium iron copper zinc bromine silver iodine gold lead uranium
stuff: wood metal plastic glass stone cotton paper
continent: africa asia europe antarctica australia north_america/america south_america/america
country: afghanistan albania algeria argentina armenia austria azerbaijan bahrain bangladesh belarus belgium
  bolivia bosnia_and_herzegovina/bosnia botswana brazil bulgaria cambodia cameroon canada chile china colombia
  costa_rica croatia cuba cyprus denmark ecuador egypt estonia ethiopia finland france georgia germany ghana greece
  guatemala haiti honduras hungary iceland india indonesia iran iraq ireland israel italy jamaica japan jordan
  kazakhstan kenya kuwait latvia lebanon libya lithuania luxembourg madagascar malaysia mali malta mexico moldova
  mongolia montenegro morocco mozambique nepal new_zealand nicaragua nigeria north_korea norway oman pakistan
  panama paraguay peru philippines poland portugal qatar romania russia/russian_federation rwanda saudi_arabia
  senegal serbia singapore slovakia slovenia somalia south_africa south_korea spain sudan sweden switzerland syria
  tanzania thailand tunisia turkey/turkiye uganda ukraine united_arab_emirates united_kingdom/britain
  united_states/america uruguay uzbekistan venezuela vietnam yemen zambia zimbabwe
animal: dog/puppy cat/kitten horse/pony/foal cow/bull/ox/calf pig/piglet/hog sheep/lamb goat elephant lion tiger bear
  monkey giraffe zebra rabbit/bunny/hare mouse/rat duck/duckling chicken/hen/rooster snake frog/toad fish/shark spider
  butterfly/moth bee/wasp ant whale/dolphin penguin owl eagle kangaroo camel deer fox wolf squirrel
fruit: apple orange banana pear grape strawberry cherry peach mango pineapple lemon watermelon
vegetable: carrot potato tomato onion broccoli cucumber lettuce
furniture: table/desk chair/stool/armchair bed/cot sofa/couch
vehicle: car/automobile bus/coach truck/lorry bicycle/bike motorcycle/motorbike/bike train airplane/plane
  helicopter boat/ship
sport: football/soccer basketball baseball tennis golf swimming skiing hockey volleyball cricket
building: school/college church hospital hotel museum airport
instrument: piano guitar violin drum/drums flute trumpet
meal: breakfast lunch/dinner/supper
"""
# Kinds whose words stand for no number, as "second", "square" or "May" may.
_UNNUMBERED = frozenset(
    {"colour", "side", "compass", "season", "animal", "fruit", "vegetable", "furniture", "vehicle", "country"}
)
# Kinds whose words are parts of names: the evening star is the morning star.
_ALONE = frozenset({"day", "element", "stuff", "season"})
_NEGATIONS = frozenset({
    "not", "no", "never", "none", "neither", "nor", "non", "without", "except", "but", "unlike", "isn't",
    "aren't", "doesn't", "cannot", "can't", "or", "and", "both", "either", "all", "to", "from", "between", "instead",
    "of", "if", "maybe", "possibly", "probably", "unknown", "almost", "nearly", "about",
})  # fmt: skip
_ARTICLES = ("a", "an", "the")
_SHORT_WORDS_TEXT = """
no up on in by to of at it he we me my go do so or an as if is be am ok hi us
"""
_SHORT_WORDS = frozenset(_SHORT_WORDS_TEXT.split())  # fmt: skip
_CHOICE_LETTERS = "abcdefghij"
_REPEATED = re.compile(r"(?:(.)\1)+")
_MIXED_CASE = re.compile(r"[^\W\d_]*[a-zß-öø-ÿ][A-ZÀ-ÖØ-Þ][^\W\d_]*")
_EDGES = '.,;:!?"()[]'
_MAX_WORDS = 8


@functools.cache
def _spellings() -> dict[str, str]:
    found = {}
    for entry in _SAME.replace("\n", " | ").split(" | "):
        first, _, others = entry.strip().partition(": ")
        found.update({other.replace("_", " "): first.replace("_", " ") for other in others.split()})
    return found


@functools.cache
def _meanings() -> dict[str, dict[str, str]]:
    """Return the meaning of each word by its kind."""
    meanings: dict[str, dict[str, str]] = {}
    for line in _KINDS.replace("\n  ", " ").strip().splitlines():
        kind, _, groups = line.partition(": ")
        words = [(word.replace("_", " "), group) for group in groups.split() for word in group.split("/")]
        num_uses = Counter(word for word, _ in words)
        for word, group in words:
            if num_uses[word] == 1:  # "America" is a country and two continents
                meanings.setdefault(word, {})[kind] = group
    return meanings


def spelled(text: str) -> tuple[str, ...]:
    """Return the words of an answer in the spelling that its variants share.

    Case is folded unless it may mean something: in "Co" and "CO", "Bb" and "bb", "NaCl". A leading article, hyphens
    between words and the punctuation around a word fall away. A shape alone is singular.
    """
    plain = re.sub(r"(?<=[^\W\d_]{2})-(?=[^\W\d_]{2})", " ", text)
    parts = plain.split()
    has_article = len(parts) > 1 and parts[0].casefold() in _ARTICLES and len(parts[1]) > 1
    words = [word for word in map(_without_edges, parts[has_article:]) if word] or parts
    joined = _spellings().get(" ".join(words).casefold()) if len(words) > 1 else None
    if joined is not None:
        return tuple(joined.split())
    if len(words) == 1:
        words = [_singular(words[0])]
    return tuple(part for word in words for part in _spelled_word(word).split())


def _singular(word: str) -> str:
    """Return the name of a shape in the singular; any other word, such as "dogs", may say that there are several."""
    singular = word.removesuffix("s")
    return singular if "shape" in _meanings().get(singular.casefold(), ()) else word


def _without_edges(word: str) -> str:
    """Return the word without the punctuation around it; "U.S." and "e.g." keep their dots."""
    return word if word.casefold() in _spellings() or word.count(".") > 1 else word.strip(_EDGES)


def _spelled_word(word: str) -> str:
    folded = word.casefold()
    if folded in _spellings() and (len(word) > 2 or word.isupper()):
        return _spellings()[folded]
    if len(word) == 1:
        return folded if folded in _CHOICE_LETTERS else word
    if _REPEATED.fullmatch(folded) or _MIXED_CASE.fullmatch(word):
        return word
    return word if len(word) == 2 and folded not in _SHORT_WORDS and not word.islower() else folded


@dataclass(frozen=True, slots=True)
class _Understood:
    """The known words of a phrase, and its others."""

    meanings: dict[str, set[str]]
    """By kind."""
    unknown: set[str]


def are_other_words(left: Sequence[str], right: Sequence[str], *, asked: str = "") -> bool:
    """Return whether two phrases surely mean different things.

    They do if each holds exactly one meaning of one kind, such as a colour, the two exclude each other, no word that
    could turn its meaning, such as "not" or "or", stands in either, and the unknown words of one are all among the
    other's. To a question that asks for a colour, known words without a colour are another answer than a colour.
    """
    if max(len(left), len(right)) > _MAX_WORDS or _is_turned(left) or _is_turned(right):
        return False
    ours, theirs = _understood(left), _understood(right)
    if any(
        is_of_kind(one, asked) and not other.unknown and asked not in other.meanings
        for one, other in ((left, theirs), (right, ours))
    ):
        return True
    is_alone = len(left) == len(right) == 1
    return (ours.unknown <= theirs.unknown or theirs.unknown <= ours.unknown) and any(
        len(meanings) == len(theirs.meanings.get(kind, ())) == 1
        and meanings.isdisjoint(theirs.meanings[kind])
        and (is_alone or kind not in _ALONE)
        for kind, meanings in ours.meanings.items()
    )


def is_of_kind(words: Sequence[str], kind: str) -> bool:
    """Return whether a phrase holds exactly one meaning of the kind, and no word that could turn it."""
    return not _is_turned(words) and len(_understood(words).meanings.get(kind, ())) == 1


def is_no_number(words: Sequence[str]) -> bool:
    """Return whether a phrase is one word, of a known meaning that is surely no number."""
    return not _UNNUMBERED.isdisjoint(_meaning(" ".join(words)))


def _is_turned(words: Sequence[str]) -> bool:
    return len(words) > 1 and not _NEGATIONS.isdisjoint(words[1:] if words[0] == "no" else words)


def _understood(phrase: Sequence[str]) -> _Understood:
    found = _Understood({}, set())
    place = 0
    while place < len(phrase):
        pair, word = _meaning(" ".join(phrase[place : place + 2])), _meaning(phrase[place])
        for kind, meaning in (pair or word).items():
            found.meanings.setdefault(kind, set()).add(meaning)
        if not pair and not word and (len(phrase) == 1 or phrase[place] not in _ARTICLES):
            found.unknown.add(phrase[place])
        place += 2 if pair else 1
    return found


def _meaning(text: str) -> dict[str, str]:
    """Return the meaning of a word or two by kind, also if it is a plural; nothing if it is unknown."""
    for ending, instead in (("", ""), ("s", ""), ("es", ""), ("ies", "y")):
        if text.endswith(ending):
            found = _meanings().get(f"{text.removesuffix(ending)}{instead}" if ending else text)
            if found is not None:
                return found
    return {}
