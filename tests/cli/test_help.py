"""Help says how a command is used, and imports nothing that takes long."""

import subprocess
import sys

import pytest

NAMES = ["solve", "collect", "evaluate", "inspect", "export", "resume", "evaluate-critic"]
NAMES += ["presets", "config", "doctor", "pocket", "pocket make"]
COMMANDS = [[], *(name.split() for name in NAMES)]
HEAVY = ["torch", "transformers", "ray", "vllm", "pydantic", "numpy", "PIL", "rich", "yaml", "pyarrow"]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "critic-engine")
def test_help_ends_with_examples_and_imports_nothing_heavy(command: list[str]) -> None:
    program = (
        "import sys; from critic_engine.cli.main import main\n"
        f"code = main({[*command, '--help']!r})\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], code)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    *_, imported = result.stdout.splitlines()
    assert imported == "[] 0"
    _, _, examples = result.stdout.partition("Examples:\n")
    assert "  critic-engine " in examples


@pytest.mark.parametrize("group", [[], ["pocket"]])
def test_group_without_a_command_shows_its_help(cli, group: list[str]) -> None:
    result = cli(*group)
    assert result.code == 0
    assert result.out.startswith("Usage: critic-engine")
