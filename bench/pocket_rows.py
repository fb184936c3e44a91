"""The pocket problems of a bench, and the options that say which they are."""

import argparse
from pathlib import Path

from critic_engine.data.problems import read_problems
from critic_engine.pocket.problems import write_problems
from critic_engine.types import ProblemRow


def problem_parser(description: str | None, *, problems: str) -> argparse.ArgumentParser:
    """Return a parser of the options that say which problems are searched and where the report goes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("train", "dev", "test"), default="dev", help="tune on dev, report test")
    parser.add_argument("--num", type=int, default=1000, help="problems")
    parser.add_argument("--seed", type=int, default=7, help="of the problems")
    parser.add_argument("--set", dest="overrides", action="append", default=[], help="section.field=value, all rows")
    parser.add_argument("--problems", default=problems, help="where the problems file is written")
    parser.add_argument("--report", type=Path, help="write the table and its command to this Markdown file")
    return parser


def write_rows(args: argparse.Namespace) -> Path:
    """Write the pocket problems that the options name, and return their file."""
    path = Path(args.problems)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_problems(path, split=args.split, num=args.num, seed=args.seed)
    return path


def load_rows(args: argparse.Namespace) -> list[ProblemRow]:
    """Return the pocket problems that the options name, through the same file format that users have."""
    return [row for row in read_problems(write_rows(args)) if isinstance(row, ProblemRow)]
