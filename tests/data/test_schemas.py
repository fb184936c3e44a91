"""Each benchmark's files in the columns and types it is published with, read by name and by recognition."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import PIL.Image
import pyarrow
import pyarrow.parquet
import pytest

from critic_engine.data.problems import read_problems
from critic_engine.types import FailedRow, ProblemRow


def png(color: str = "red") -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (40, 40), color).save(buffer, format="PNG")
    return buffer.getvalue()


def jpeg(color: str = "red") -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (40, 40), color).save(buffer, format="JPEG")
    return buffer.getvalue()


def struct(data: bytes | None = None, path: str | None = None) -> dict[str, Any]:
    return {"bytes": data, "path": path}


def text64(data: bytes) -> str:
    return base64.b64encode(data).decode()


RED, BLUE, GREEN = png("red"), png("blue"), png("green")
IMAGE = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
TEXT, TEXTS, INT = pyarrow.string(), pyarrow.list_(pyarrow.string()), pyarrow.int64()


@dataclass(frozen=True)
class Wanted:
    """A row as it should be read; its id is its number where a benchmark has none."""

    id: str
    question: str
    references: tuple[str, ...]
    choices: tuple[str, ...] = ()
    images: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Fixture:
    schema: str
    rows: Sequence[Mapping[str, Any]]
    wanted: Sequence[Wanted]
    types: Mapping[str, Any] = field(default_factory=dict)
    """The Parquet types by column; without them the rows are written as JSON lines."""
    suffix: str = ".parquet"


_MATHVISTA = Fixture(
    "mathvista",
    [
        {
            "pid": "1",
            "question": "When a spring does work on an object, we cannot find the work by multiplying.",
            "image": "images/1.jpg",
            "decoded_image": struct(RED),
            "choices": None,
            "unit": None,
            "precision": 1.0,
            "answer": "1.2",
            "question_type": "free_form",
            "answer_type": "float",
            "metadata": {"category": "math-targeted-vqa", "grade": "college"},
            "query": "Hint: Please answer the question requiring a floating-point number with one decimal place and "
            "provide the final value, e.g., 1.2, 1.3, 1.4, at the end.\nQuestion: When a spring does work on an "
            "object, "
            "we cannot find the work by multiplying.",
        },
        {
            "pid": "2",
            "question": "Is the red bar larger?",
            "image": "images/2.jpg",
            "decoded_image": struct(BLUE),
            "choices": ["Yes", "No"],
            "unit": "$",
            "precision": None,
            "answer": "No",
            "question_type": "multi_choice",
            "answer_type": "text",
            "metadata": {"category": "general-vqa", "grade": "daily life"},
            "query": "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the "
            "end.\nQuestion: Is the red bar larger?\nChoices:\n(A) Yes\n(B) No",
        },
        {
            "pid": "3",
            "question": "Which letter is it?",
            "image": "images/3.jpg",
            "decoded_image": struct(GREEN),
            "choices": ["B", "A"],
            "unit": None,
            "precision": None,
            "answer": "A",
            "question_type": "multi_choice",
            "answer_type": "text",
            "metadata": {"category": "general-vqa", "grade": "daily life"},
            "query": "Hint: …\nQuestion: Which letter is it?\nChoices:\n(A) B\n(B) A",
        },
    ],
    [
        Wanted(
            "1",
            "Hint: Please answer the question requiring a floating-point number with one decimal place and provide the "
            "final value, e.g., 1.2, 1.3, 1.4, at the end.\nQuestion: When a spring does work on an object, we cannot "
            "find the work by multiplying.",
            ("1.2",),
            images=(RED,),
        ),
        Wanted("2", "Is the red bar larger? (Unit: $)", ("No",), ("Yes", "No"), (BLUE,)),
        Wanted("3", "Which letter is it?", ("B",), ("B", "A"), (GREEN,)),
    ],
    {
        "pid": TEXT,
        "question": TEXT,
        "image": TEXT,
        "decoded_image": IMAGE,
        "choices": TEXTS,
        "unit": TEXT,
        "precision": pyarrow.float64(),
        "answer": TEXT,
        "question_type": TEXT,
        "answer_type": TEXT,
        "metadata": pyarrow.struct([("category", TEXT), ("grade", TEXT)]),
        "query": TEXT,
    },
)
_MMSTAR = Fixture(
    "mmstar",
    [
        {
            "index": 0,
            "question": "Which option describe the object relationship in the image correctly?\nOptions: A: The "
            "suitcase "
            "is on the book., B: The suitcase is beneath the cat., C: The suitcase is beneath the bed., D: The "
            "suitcase "
            "is beneath the book.",
            "image": struct(RED),
            "answer": "A",
            "category": "coarse perception",
            "l2_category": "image scene and topic",
            "meta_info": {"source": "MMBench", "split": "val", "image_path": "images/0.jpg"},
        },
        {
            "index": 1499,
            "question": "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, "
            "D, at the "
            "end.\nQuestion: Find $m\\angle H$\nChoices:\n(A) 97\n(B) 102\n(C) 107\n(D) 122",
            "image": struct(BLUE),
            "answer": "C",
            "category": "math",
            "l2_category": "geometry",
            "meta_info": {"source": "GeoQA", "split": "test", "image_path": "images/1499.jpg"},
        },
        {
            "index": 7,
            "question": "Which of the four is it? The options are drawn.",
            "image": struct(GREEN),
            "answer": "D",
            "category": "math",
            "l2_category": "geometry",
            "meta_info": {"source": "GeoQA", "split": "test", "image_path": "images/7.jpg"},
        },
    ],
    [
        Wanted(
            "0",
            "Which option describe the object relationship in the image correctly?",
            ("A",),
            (
                "The suitcase is on the book.",
                "The suitcase is beneath the cat.",
                "The suitcase is beneath the bed.",
                "The suitcase is beneath the book.",
            ),
            (RED,),
        ),
        Wanted(
            "1499",
            "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the "
            "end.\nQuestion: Find $m\\angle H$",
            ("C",),
            ("97", "102", "107", "122"),
            (BLUE,),
        ),
        Wanted("7", "Which of the four is it? The options are drawn.", ("D",), (), (GREEN,)),
    ],
    {
        "index": INT,
        "question": TEXT,
        "image": IMAGE,
        "answer": TEXT,
        "category": TEXT,
        "l2_category": TEXT,
        "meta_info": pyarrow.struct([("source", TEXT), ("split", TEXT), ("image_path", TEXT)]),
    },
)
_M3COT = Fixture(
    "m3cot",
    [
        {
            "id": "physical-commonsense-1426",
            "category": "physical-commonsense",
            "image_id": "physical-commonsense-1426",
            "question": "What is the man doing?",
            "choices": ["Nothing", "Reading a book"],
            "context": context,
            "answer": "B",
            "rationale": "He holds a book. Therefore, the answer is B.",
            "split": "test",
            "image": struct(RED),
            "domain": "commonsense",
            "topic": "physical-commonsense",
        }
        for context in ("", "A man sits in a park.")
    ],
    [
        Wanted("physical-commonsense-1426", question, ("B",), ("Nothing", "Reading a book"), (RED,))
        for question in ("What is the man doing?", "What is the man doing?\nContext: A man sits in a park.")
    ],
    {
        **dict.fromkeys(("id", "category", "image_id", "question"), TEXT),
        "choices": TEXTS,
        **dict.fromkeys(("context", "answer", "rationale", "split"), TEXT),
        "image": IMAGE,
        "domain": TEXT,
        "topic": TEXT,
    },
)
_SCIENCEQA = Fixture(
    "scienceqa",
    [
        {
            "image": image,
            "question": "Which of these states is farthest north?",
            "choices": ["West Virginia", "Louisiana", "Arizona", "Oklahoma"],
            "answer": answer,
            "hint": hint,
            "task": "closed choice",
            "grade": "grade2",
            "subject": "social science",
            "topic": "geography",
            "category": "Geography",
            "skill": "Read a map: cardinal directions",
            "lecture": "Maps have four cardinal directions.",
            "solution": "To find the answer, look at the compass rose. West Virginia is farthest north.",
        }
        for image, answer, hint in ((struct(RED, "image.png"), 0, ""), (None, 3, "The map is upside down."))
    ],
    [
        Wanted(
            number,
            question,
            (answer,),
            ("West Virginia", "Louisiana", "Arizona", "Oklahoma"),
            images,
        )
        for number, question, answer, images in (
            ("1", "Which of these states is farthest north?", "A", (RED,)),
            ("2", "Context: The map is upside down.\nWhich of these states is farthest north?", "D", ()),
        )
    ],
    {
        "image": IMAGE,
        "question": TEXT,
        "choices": TEXTS,
        "answer": pyarrow.int8(),
        **dict.fromkeys(
            ("hint", "task", "grade", "subject", "topic", "category", "skill", "lecture", "solution"), TEXT
        ),
    },
)
_CHARTQA = Fixture(
    "chartqa",
    [
        {"image": struct(RED), "query": "How many bars are red?", "label": ["3"], "human_or_machine": 0},
        {"image": struct(BLUE), "query": "Which is larger?", "label": ["UK", "United Kingdom"], "human_or_machine": 1},
    ],
    [
        Wanted("1", "How many bars are red?", ("3",), (), (RED,)),
        Wanted("2", "Which is larger?", ("UK", "United Kingdom"), (), (BLUE,)),
    ],
    {"image": IMAGE, "query": TEXT, "label": TEXTS, "human_or_machine": INT},
)
_CHARTQA_LMMS = Fixture(
    "chartqa",
    [{"type": "human_test", "question": "How many food items?", "answer": "14", "image": struct(RED)}],
    [Wanted("1", "How many food items?", ("14",), (), (RED,))],
    {"type": TEXT, "question": TEXT, "answer": TEXT, "image": IMAGE},
)
_CHARTQA_JSON = Fixture(
    "chartqa",
    [{"imgname": "two_col_103562.png", "query": "What percent?", "label": "57%"}],
    [Wanted("1", "What percent?", ("57%",), (), (GREEN,))],
    suffix=".json",
)
_MATHVERSE = Fixture(
    "mathverse",
    [
        {
            "sample_index": "1",
            "problem_index": "1",
            "problem_version": "Text Dominant",
            "question": "As shown in the figure, in triangle ABC, the degree of angle 2 is "
            "()\nChoices:\nA:135°\nB:140°\n"
            "C:145°\nD:150°",
            "image": struct(RED),
            "answer": "C",
            "question_type": "multi-choice",
            "metadata": {"split": "testmini", "subject": "Plane Geometry"},
            "query_wo": "Please directly answer the question and provide the correct option letter.",
            "query_cot": "Please first conduct reasoning, and then answer the question and provide the correct option "
            "letter, e.g., A, B, C, D, at the end.\nQuestion: As shown …",
            "question_for_eval": "As shown in the figure, in triangle ABC, the degree of angle 2 is ()",
        },
        {
            "sample_index": "5",
            "problem_index": "1",
            "problem_version": "Vision Only",
            "question": "",
            "image": struct(BLUE),
            "answer": "C",
            "question_type": "multi-choice",
            "metadata": {"split": "testmini", "subject": "Plane Geometry"},
            "query_wo": "According to the question shown in the image, please directly answer.",
            "query_cot": "According to the question shown in the image, please first conduct reasoning, and "
            "then answer "
            "the question and provide the correct option letter, e.g., A, B, C, D, at the end.",
            "question_for_eval": "As shown in the figure, in triangle ABC, the degree of angle 2 is ()",
        },
        {
            "sample_index": "6",
            "problem_index": "2",
            "problem_version": "Text Lite",
            "question": "Find x.",
            "image": struct(GREEN),
            "answer": "12",
            "question_type": "free-form",
            "metadata": {"split": "testmini", "subject": "Plane Geometry"},
            "query_wo": "Please directly answer the question and provide the final value.\nQuestion: Find x.",
            "query_cot": "Please first conduct reasoning.\nQuestion: Find x.",
            "question_for_eval": "Find x.",
        },
    ],
    [
        Wanted(
            "1",
            "As shown in the figure, in triangle ABC, the degree of angle 2 is ()",
            ("C",),
            ("135°", "140°", "145°", "150°"),
            (RED,),
        ),
        Wanted(
            "5",
            "According to the question shown in the image, please first conduct reasoning, and then answer the "
            "question "
            "and provide the correct option letter, e.g., A, B, C, D, at the end.",
            ("C",),
            (),
            (BLUE,),
        ),
        Wanted("6", "Find x.", ("12",), (), (GREEN,)),
    ],
    {
        **dict.fromkeys(("sample_index", "problem_index", "problem_version", "question"), TEXT),
        "image": IMAGE,
        "answer": TEXT,
        "question_type": TEXT,
        "metadata": pyarrow.struct([("split", TEXT), ("subject", TEXT)]),
        **dict.fromkeys(("query_wo", "query_cot", "question_for_eval"), TEXT),
    },
)


def mmmu(images: Mapping[int, bytes], **cells: str) -> dict[str, Any]:
    numbered = {f"image_{number}": struct(images[number]) if number in images else None for number in range(1, 8)}
    return {
        "id": cells["id"],
        "question": cells["question"],
        "options": cells["options"],
        "explanation": "",
        **numbered,
        "img_type": "['Tables']",
        "answer": cells["answer"],
        "topic_difficulty": "Easy",
        "question_type": cells["question_type"],
        "subfield": "Managerial Accounting",
    }


_MMMU = Fixture(
    "mmmu",
    [
        mmmu(
            {1: RED},
            id="validation_Accounting_1",
            question="<image 1> Baxter Company has a relevant range of production. What is the cost?",
            options="['$6', \"$7's\", '$8, or 9', '$9']",
            answer="B",
            question_type="multiple-choice",
        ),
        mmmu(
            {1: RED, 2: BLUE, 3: GREEN},
            id="validation_Art_2",
            question="Which matches <image 3>?",
            options="['<image 2>', 'none']",
            answer="A",
            question_type="multiple-choice",
        ),
        mmmu(
            {1: RED},
            id="validation_Finance_3",
            question="What is the beta in <image 1>?",
            options="[]",
            answer="['24/7', '3.429']",
            question_type="open",
        ),
        mmmu(
            {1: RED},
            id="test_Finance_4",
            question="What is the alpha in <image 1>?",
            options="[]",
            answer="?",
            question_type="open",
        ),
    ],
    [
        Wanted(
            "validation_Accounting_1",
            "<image 1> Baxter Company has a relevant range of production. What is the cost?",
            ("B",),
            ("$6", "$7's", "$8, or 9", "$9"),
            (RED,),
        ),
        Wanted("validation_Art_2", "Which matches <image 2>?", ("A",), ("<image 1>", "none"), (BLUE, GREEN)),
        Wanted("validation_Finance_3", "What is the beta in <image 1>?", ("24/7", "3.429"), (), (RED,)),
        Wanted("test_Finance_4", "What is the alpha in <image 1>?", (), (), (RED,)),
    ],
    {
        **dict.fromkeys(("id", "question", "options", "explanation"), TEXT),
        **{f"image_{number}": IMAGE for number in range(1, 8)},
        **dict.fromkeys(("img_type", "answer", "topic_difficulty", "question_type", "subfield"), TEXT),
    },
)
_MATHVISION = Fixture(
    "mathvision",
    [
        {
            "id": "4",
            "question": "Which bike is most expensive?\n<image1>",
            "options": ["A", "B", "C", "D", "E"],
            "image": "images/4.jpg",
            "decoded_image": struct(RED),
            "answer": "A",
            "solution": None,
            "level": 2,
            "subject": "combinatorics",
        },
        {
            "id": "5",
            "question": "How many ways?\n<image1>",
            "options": [],
            "image": "images/5.jpg",
            "decoded_image": struct(BLUE),
            "answer": "\\frac{1}{2}",
            "solution": "…",
            "level": 2,
            "subject": "combinatorics",
        },
    ],
    [
        Wanted("4", "Which bike is most expensive?\n<image1>", ("A",), ("A", "B", "C", "D", "E"), (RED,)),
        Wanted("5", "How many ways?\n<image1>", ("\\frac{1}{2}",), (), (BLUE,)),
    ],
    {
        "id": TEXT,
        "question": TEXT,
        "options": TEXTS,
        "image": TEXT,
        "decoded_image": IMAGE,
        "answer": TEXT,
        "solution": TEXT,
        "level": INT,
        "subject": TEXT,
    },
)
_REALWORLDQA = Fixture(
    "realworldqa",
    [
        {
            "image": struct(RED, "0.webp"),
            "question": "In which direction is the front wheel facing?\n\nA. Left\nB. Straight\nC. "
            "Right\n\nPlease answer "
            "directly with only the letter of the correct option and nothing else.",
            "answer": "C",
            "image_path": "0.webp",
        },
        {
            "image": struct(BLUE, "1.webp"),
            "question": "How many cars are there?\n\nPlease answer directly with a single word or number.",
            "answer": "2",
            "image_path": "1.webp",
        },
    ],
    [
        Wanted("1", "In which direction is the front wheel facing?", ("C",), ("Left", "Straight", "Right"), (RED,)),
        Wanted(
            "2",
            "How many cars are there?\n\nPlease answer directly with a single word or number.",
            ("2",),
            (),
            (BLUE,),
        ),
    ],
    {"image": IMAGE, "question": TEXT, "answer": TEXT, "image_path": TEXT},
)
_AOKVQA = Fixture(
    "aokvqa",
    [
        {
            "image": struct(RED),
            "question_id": "22MexNkBPpdZGX6sxbxVBH",
            "question": "What is the man by the bags awaiting?",
            "choices": ["skateboarder", "train", "delivery", "cab"],
            "correct_choice_idx": answer,
            "direct_answers": "['ride', 'bus', 'taxi']",
            "difficult_direct_answer": False,
            "rationales": ["A train would not be on the street."],
        }
        for answer in (3, None)
    ],
    [
        Wanted(
            "22MexNkBPpdZGX6sxbxVBH",
            "What is the man by the bags awaiting?",
            answer,
            ("skateboarder", "train", "delivery", "cab"),
            (RED,),
        )
        for answer in (("D",), ())
    ],
    {
        "image": IMAGE,
        "question_id": TEXT,
        "question": TEXT,
        "choices": TEXTS,
        "correct_choice_idx": pyarrow.int8(),
        "direct_answers": TEXT,
        "difficult_direct_answer": pyarrow.bool_(),
        "rationales": TEXTS,
    },
)
_AI2D = Fixture(
    "ai2d",
    [
        {"question": "What feeds on it?", "options": ["1", "2", "0", "3"], "answer": "2", "image": struct(RED)},
        {"question": "What is A?", "options": ["a fox", "a bear"], "answer": "0", "image": struct(BLUE)},
    ],
    [
        Wanted("1", "What feeds on it?", ("C",), ("1", "2", "0", "3"), (RED,)),
        Wanted("2", "What is A?", ("A",), ("a fox", "a bear"), (BLUE,)),
    ],
    {"question": TEXT, "options": TEXTS, "answer": TEXT, "image": IMAGE},
)
_GSM8K = Fixture(
    "gsm8k",
    [
        {"question": "How many clips?", "answer": "In May she sold 48/2 = <<48/2=24>>24 clips.\n#### 72"},
        {"question": "How much?", "answer": "It is 1,000 + 80.\n#### 1,080"},
    ],
    [Wanted("1", "How many clips?", ("72",)), Wanted("2", "How much?", ("1080",))],
    {"question": TEXT, "answer": TEXT},
)
_MATH = Fixture(
    "math",
    [
        {
            "problem": "Solve for x.",
            "level": "Level 5",
            "type": "Algebra",
            "solution": "First \\boxed{3}? No: we get $\\boxed{\\frac{1}{\\sqrt{2}}}$.",
        },
        {"problem": "Add.", "level": "Level 1", "type": "Algebra", "solution": "It is $\\boxed 5$."},
    ],
    [Wanted("1", "Solve for x.", ("\\frac{1}{\\sqrt{2}}",)), Wanted("2", "Add.", ("5",))],
    {"problem": TEXT, "level": TEXT, "type": TEXT, "solution": TEXT},
)
_MATH500 = Fixture(
    "math",
    [
        {
            "problem": "Convert the point.",
            "solution": "We have \\boxed{\\left(3,\\frac{\\pi}{2}\\right)}.",
            "answer": "\\left( 3, \\frac{\\pi}{2} \\right)",
            "subject": "Precalculus",
            "level": 2,
            "unique_id": "test/precalculus/807.json",
        }
    ],
    [Wanted("test/precalculus/807.json", "Convert the point.", ("\\left( 3, \\frac{\\pi}{2} \\right)",))],
    suffix=".jsonl",
)
_MMLU = Fixture(
    "mmlu",
    [
        {"question": "Find the degree.", "subject": "algebra", "choices": ["0", "4", "2", "6"], "answer": 1},
        {"question": "Find the field.", "subject": "algebra", "choices": ["Q", "R", "C", "Z"], "answer": 0},
    ],
    [
        Wanted("1", "Find the degree.", ("B",), ("0", "4", "2", "6")),
        Wanted("2", "Find the field.", ("A",), ("Q", "R", "C", "Z")),
    ],
    {"question": TEXT, "subject": TEXT, "choices": TEXTS, "answer": INT},
)
_ARC = Fixture(
    "arc",
    [
        {
            "id": "Mercury_7",
            "question": "Which is it?",
            "choices": {"text": ["dry", "wet", "cold"], "label": labels},
            "answerKey": key,
        }
        for labels, key in ((["A", "B", "C"], "C"), (["1", "2", "3"], "2"))
    ],
    [Wanted("Mercury_7", "Which is it?", (answer,), ("dry", "wet", "cold")) for answer in ("C", "B")],
    {
        "id": TEXT,
        "question": TEXT,
        "choices": pyarrow.struct([("text", TEXTS), ("label", TEXTS)]),
        "answerKey": TEXT,
    },
)
_MMBENCH = Fixture(
    "vlmevalkit",
    [
        {
            "index": "241",
            "question": "Identify the question that Madelyn can best answer.",
            "hint": "The passage below describes an experiment.",
            "A": "Does it slide?",
            "B": "None",
            "C": "",
            "D": "",
            "answer": "B",
            "category": "identity_reasoning",
            "image": text64(RED),
            "source": "scienceqa",
            "split": "dev",
        },
        {
            "index": "1000241",
            "question": "Identify it.",
            "hint": "",
            "A": "None",
            "B": "Does it\tslide?",
            "C": "Both",
            "D": "",
            "answer": "A",
            "category": "identity_reasoning",
            "image": "241",
            "source": "scienceqa",
            "split": "dev",
        },
        {
            "index": "7",
            "question": "Two pictures?",
            "hint": "",
            "A": "yes",
            "B": "no",
            "C": "",
            "D": "",
            "answer": "A",
            "category": "c",
            "image": str([text64(RED), text64(jpeg("blue"))]),
            "source": "s",
            "split": "dev",
        },
    ],
    [
        Wanted(
            "241",
            "Hint: The passage below describes an experiment.\nQuestion: Identify the question that Madelyn can best "
            "answer.",
            ("B",),
            ("Does it slide?", "None"),
            (RED,),
        ),
        Wanted("1000241", "Identify it.", ("A",), ("None", "Does it\tslide?", "Both"), (RED,)),
        Wanted("7", "Two pictures?", ("A",), ("yes", "no"), (RED, jpeg("blue"))),
    ],
    suffix=".tsv",
)
_VLMEVALKIT_OPEN = Fixture(
    "vlmevalkit",
    [{"index": "3", "question": "How many?", "image_path": "two_col_103562.png", "image": "", "answer": "4"}],
    [Wanted("3", "How many?", ("4",), (), (GREEN,))],
    suffix=".tsv",
)
FIXTURES = {name[1:].lower(): value for name, value in globals().items() if isinstance(value, Fixture)}


def write(fixture: Fixture, folder: Path) -> Path:
    (folder / "two_col_103562.png").write_bytes(GREEN)
    path = folder / f"rows{fixture.suffix}"
    if fixture.suffix == ".parquet":
        assert all(set(row) == set(fixture.types) for row in fixture.rows)
        schema = pyarrow.schema(list(fixture.types.items()))
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(fixture.rows), schema=schema), path)
    elif fixture.suffix == ".tsv":
        lines = [fixture.rows[0].keys(), *(row.values() for row in fixture.rows)]
        quoted = ["\t".join(f'"{cell}"' if "\t" in cell or "\n" in cell else cell for cell in line) for line in lines]
        path.write_text("\n".join(quoted) + "\n")
    elif fixture.suffix == ".json":
        path.write_text(json.dumps(list(fixture.rows), indent=2))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in fixture.rows))
    return path


@pytest.mark.parametrize("is_named", [True, False], ids=["named", "recognised"])
@pytest.mark.parametrize("name", FIXTURES)
def test_benchmark_is_read_in_its_own_schema(name: str, is_named: bool, tmp_path: Path) -> None:
    fixture = FIXTURES[name]
    problems = read_problems(write(fixture, tmp_path), schema=fixture.schema if is_named else None)
    assert problems.schema.name == fixture.schema
    rows = list(problems)
    assert not [row.reason for row in rows if isinstance(row, FailedRow)]
    found = [
        Wanted(
            row.id,
            row.problem.question,
            row.reference_answers,
            row.problem.choices,
            tuple(image.data for image in row.problem.images),
        )
        for row in rows
        if isinstance(row, ProblemRow)
    ]
    assert found == list(fixture.wanted)
