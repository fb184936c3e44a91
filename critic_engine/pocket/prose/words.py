"""The words of the prose dialect. Each word has one role: it means something, or it fills.

A word that means something stands for one mark; the reader drops what fills and reads the marks that are left.
"""

from __future__ import annotations

from critic_engine.pocket.board import CELLS, COLOURS, NOTHING, SHAPES

NONE, MINUS, TAKE, PLUS, ADD, FROM, ANSWER, NOT, SUM, COUNT, CLEAR = (
    "NONE", "MINUS", "TAKE", "PLUS", "ADD", "FROM", "ANSWER", "NOT", "SUM", "COUNT", "CLEAR",
)  # fmt: skip
SYNONYMS = {
    "up": ("up", "upward", "upwards", "north"),
    "down": ("down", "downward", "downwards", "south"),
    "left": ("left", "leftward", "leftwards", "west"),
    "right": ("right", "rightward", "rightwards", "east"),
    "row 1": ("top", "upper", "topmost", "uppermost"),
    "row 2": ("middle", "central", "mid", "inner"),
    "row 3": ("bottom", "lower", "bottommost", "lowermost"),
    NONE: (NOTHING, "nothing", "naught", "void"),
    MINUS: ("minus", "less"),
    TAKE: ("taking", "subtracting", "removing", "deducting"),
    PLUS: ("plus",),
    ADD: ("adding", "summing", "joining"),
    FROM: ("from",),
    ANSWER: ("answer",),
    NOT: ("not",),
    SUM: ("sum",),
    COUNT: ("count",),
    CLEAR: ("clear",),
}
"""Words by the mark they stand for."""
LARGEST_NUMBER = 20

SLOTS = {
    "open": (
        *("so", "now", "next", "then", "well", "okay", "alright", "here"),
        *("also", "again", "good", "fine", "let's see :", "moving on ,", "going on ,", "looking closer ,"),
    ),
    "surely": (
        *("clearly", "plainly", "evidently", "surely", "simply", "certainly", "apparently", "visibly"),
        *("definitely", "obviously", "exactly", "really", "truly", "precisely", "indeed", "just"),
    ),
    "close": (
        *("as seen", "as shown", "for sure", "i think", "i believe", "it seems", "it appears", "of course"),
        *("as expected", "without doubt", "i see", "i find", "by my reading", "in fact", "to me", "on this board"),
    ),
    "counting": ("counting", "tallying", "numbering", "checking", "scanning", "collecting"),
    "all": ("the", "all", "these", "those"),
    "number": ("number", "are", "come as", "split as", "amount to", "divide as"),
    "shapes": ("shapes", "ones", "pieces", "things", "figures", "items"),
    "gives": ("gives", "yields", "shows", "makes", "brings", "produces"),
    "altogether": ("altogether", "overall", "in total", "in all", "together", "combined"),
    "line": ("row", "line", "rank", "band"),
    "lists": ("has", "holds", "contains", "lists", "features", "carries", "bears", "includes"),
    "with": ("with", "holding", "showing", "bearing", "featuring", "keeping"),
    "at": ("at", "in", "on", "inside"),
    "only": ("only", "single", "lone", "sole"),
    "sits": ("sits", "is", "lies", "stands", "rests", "appears", "lives", "stays"),
    "holds": ("holds", "has", "contains", "shows", "carries", "bears", "is", "keeps"),
    "going": ("going", "moving", "stepping", "walking", "heading", "travelling", "shifting", "sliding"),
    "leads": ("leads to", "reaches", "ends at", "arrives at", "lands on", "gets to", "brings us to", "stops at"),
    "leaves": ("leaves", "gives", "is", "yields", "makes", "equals"),
    "weighing": (
        *("putting", "taken", "weighing", "gathering", "bringing", "reading", "collecting", "holding"),
        *("using", "following", "with", "given", "minding", "trusting"),
    ),
    "steps": (
        *("all that", "everything above", "these findings", "those facts", "this reasoning", "what we have"),
        *("the steps above", "the work so far", "each finding", "these results"),
    ),
    "carefully": ("carefully", "together", "calmly", "once more", "as asked", "in order", "plainly", "fully"),
    "thus": ("so", "thus", "therefore", "hence"),
    "final": ("final", "correct", "best"),
    "comes": ("is", "must be", "should be", "would be", "will be"),
    "truly": ("simply", "just", "indeed", "clearly", "actually", "then"),
    "should": ("should be", "must be", "is", "ought to be", "has to be", "would be"),
}
"""Fillers by slot; the writer takes one of a slot at random, each as likely."""

CONNECTIVES = (
    "and",
    "the",
    "a",
    "an",
    "away",
    "by",
    "with",
    "of",
    "to",
    "this",
    "that",
    "step",
    "what",
    "is",
    ",",
    ":",
)
"""Fillers that the sentences themselves hold."""

MARKS = {word: mark for mark, words in SYNONYMS.items() for word in words}
MARKS |= {word: word for word in (*CELLS, *COLOURS, *SHAPES, *map(str, range(LARGEST_NUMBER + 1)))}
MARKS |= {f"{shape}s": shape for shape in SHAPES}
"""Marks by word."""
FILLERS = frozenset(filler for fillers in SLOTS.values() for filler in fillers) | {*CONNECTIVES}
"""Words and phrases that fill; a phrase fills only as a whole."""
FILLER_WORDS = frozenset(word for filler in FILLERS for word in filler.split())
SEPARATOR = ";"
"""Parts the sentences of a step."""
PROSE_WORDS = tuple(dict.fromkeys((*MARKS, *sorted(FILLER_WORDS), SEPARATOR)))
"""Every word that a step in prose can hold."""
