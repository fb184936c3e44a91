"""Do several replicas of a model keep the prefix cache of one, where requests are routed by problem?

    python -m bench.prefix_routing --report bench/results/prefix_routing.md
    python -m bench.prefix_routing --engine vllm --num 64 --replicas 2

Run it from the root of the repository. The same problems are searched with one replica of the reasoner and of the
critic, and with several, once with requests sent to the least loaded one and once by problem. The replicas stand in the
pools that Ray's actors stand in. They are simulated, with scripted texts and a prefix cache that keeps all whole blocks
of 16 words; or they are vLLM engines with the pocket models, whose caches are emptied in between. The load of a replica
is the tokens that it generated or read uncached, against the mean. The last line of stdout is one JSON object.
"""

import argparse
import asyncio
import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.pocket_rows import load_rows, problem_parser
from bench.provenance import print_report, write_report
from critic_engine.backends.factory import make_generator, make_generator_replica, make_scorer
from critic_engine.backends.scripted import Script, ScriptedGenerator, unit_hash
from critic_engine.backends.scripted_roles import scripted_critic, scripted_reasoner
from critic_engine.backends.vllm.generator import VllmReplica
from critic_engine.config.engine import EngineConfig, load_config
from critic_engine.models.registry import ModelMakers, ModelRole, Models
from critic_engine.protocols import Generation, GenerationRequest
from critic_engine.replicas.pool import PoolOptions, ReplicaPool
from critic_engine.replicas.pooled_model import PooledGenerator
from critic_engine.replicas.supervisor import Replica
from critic_engine.roles.factory import make_roles
from critic_engine.run.problem_search import local_search
from critic_engine.run.runner import Runner
from critic_engine.run.store import RunStore
from critic_engine.types import ProblemRow, TokenUsage

GeneratorReplica = Replica[GenerationRequest, Generation]
ROLES: tuple[ModelRole, ...] = ("reasoner", "critic")
NUM_IMAGE_WORDS = 64
BLOCK = 16
MAX_TURNS = 40


class PrefixCache:
    """Whole blocks of all prompts and texts, each known by all that stands before its end; nothing is ever dropped."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._blocks: set[int] = set()

    def num_held(self, words: Sequence[object]) -> int:
        """Return how many of the first words are held; the last one is always read."""
        num = 0
        for end, block in self._chain(words):
            if block not in self._blocks or end >= len(words):
                break
            num = end
        return num

    def add(self, words: Sequence[object]) -> None:
        """Hold a prompt and the text behind it."""
        self._blocks.update(block for _, block in self._chain(words))

    def _chain(self, words: Sequence[object]) -> Sequence[tuple[int, int]]:
        chain, known = [], 0
        for end in range(BLOCK, len(words) + 1, BLOCK):
            known = hash((known, tuple(words[end - BLOCK : end])))
            chain.append((end, known))
        return chain


class SimulatedReplica:
    """A scripted model with a prefix cache, which takes up to 40 turns of the event loop for an answer."""

    def __init__(self, script: Script) -> None:
        """Hold an empty cache."""
        self._model = ScriptedGenerator(script)
        self._cache = PrefixCache()

    async def start(self) -> None:
        """Do nothing."""

    async def call(self, request: GenerationRequest) -> Generation:
        """Return the script's texts."""
        words = prompt_words(request)
        num_held = self._cache.num_held(words)
        self._cache.add(words)
        for _ in range(int(MAX_TURNS * unit_hash(words, request.seeds))):
            await asyncio.sleep(0)
        generation = await self._model.generate(request)
        for sample in generation.samples:
            self._cache.add([*words, *sample.text.split()])
        usage = dataclasses.replace(generation.usage, prompt_tokens=len(words), cached_tokens=num_held)
        return dataclasses.replace(generation, usage=usage)

    async def check(self) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Do nothing."""


def prompt_words(request: GenerationRequest) -> list[object]:
    """Return the words of a prompt; those of an image bear the image's identity."""
    words: list[object] = []
    for message in request.messages:
        words += [(image.digest, place) for image in message.images for place in range(NUM_IMAGE_WORDS)]
        words += message.text.split()
    return words + request.prefix.split()


class CountingReplica:
    """A replica that forwards to another one, and sums what it spends."""

    def __init__(self, replica: GeneratorReplica) -> None:
        """Stand before ``replica``."""
        self.replica = replica
        self.usage = TokenUsage()

    async def start(self) -> None:
        """Start the replica."""
        await self.replica.start()

    async def call(self, request: GenerationRequest) -> Generation:
        """Return the replica's answer."""
        generation = await self.replica.call(request)
        self.usage += generation.usage + TokenUsage(num_requests=1)
        return generation

    async def check(self) -> None:
        """Check the replica."""
        await self.replica.check()

    async def stop(self) -> None:
        """Stop the replica."""
        await self.replica.stop()


class WithoutSession:
    """A generator whose requests go to the least loaded replica."""

    def __init__(self, generator: PooledGenerator) -> None:
        """Stand before ``generator``."""
        self._generator = generator
        self.name = generator.name

    async def load(self) -> None:
        """Load the generator."""
        await self._generator.load()

    async def generate(self, request: GenerationRequest) -> Generation:
        """Return the generator's answer."""
        return await self._generator.generate(dataclasses.replace(request, session=""))

    async def aclose(self) -> None:
        """Close the generator."""
        await self._generator.aclose()


@dataclass(frozen=True, slots=True)
class Routed:
    """One model's figures in one way of routing."""

    usages: tuple[TokenUsage, ...]
    """What each replica spent."""

    @property
    def hit_rate(self) -> float:
        """The share of prompt tokens that a cache held."""
        total = sum(self.usages, TokenUsage())
        return total.cached_tokens / total.prompt_tokens

    @property
    def most_load(self) -> float:
        """The load of the most loaded replica relative to the mean."""
        loads = [usage.prompt_tokens - usage.cached_tokens + usage.generated_tokens for usage in self.usages]
        return max(loads) * len(loads) / sum(loads)


async def search(
    config: EngineConfig,
    rows: Sequence[ProblemRow],
    make: Callable[[ModelRole], Sequence[GeneratorReplica]],
    *,
    is_by_problem: bool,
) -> dict[str, Routed]:
    """Return the figures by role, of a search of all rows over pools of the replicas that ``make`` returns."""
    options = PoolOptions(max_in_flight=config.reasoner.actor.max_in_flight, max_restarts=0)
    replicas = {role: [CountingReplica(each) for each in make(role)] for role in ROLES}
    pools = {role: ReplicaPool(replicas[role], name=role, options=options) for role in ROLES}
    for role, pool in pools.items():
        await pool.load()
        while pool.figures.num_ready < len(replicas[role]):
            await asyncio.sleep(0.01)
    models = {role: PooledGenerator(pool) for role, pool in pools.items()}
    given = {role: model if is_by_problem else WithoutSession(model) for role, model in models.items()}
    roles = make_roles(
        config, Models(ModelMakers(make_generator, make_scorer)), reasoner=given["reasoner"], critic=given["critic"]
    )
    store = RunStore.temporary()
    store.add_rows(rows)
    runner = Runner(store, config, begin=lambda task: local_search(task, config, roles))
    async for answer in runner.answers():
        assert answer.status == "answered", answer.error
    store.close()
    for pool in pools.values():
        await pool.aclose()
    return {role: Routed(tuple(each.usage for each in replicas[role])) for role in ROLES}


ONE = "1, all requests"


def ways(replicas: Sequence[int]) -> dict[str, tuple[int, bool]]:
    """Return the number of replicas, and whether requests go by problem, of each way by its name."""
    found = {ONE: (1, True)}
    for num in replicas:
        found |= {f"{num}, least loaded": (num, False), f"{num}, by problem": (num, True)}
    return found


async def compare_simulated(
    config: EngineConfig, rows: Sequence[ProblemRow], replicas: Sequence[int]
) -> dict[str, dict[str, Routed]]:
    """Return the figures of each way by role, with simulated replicas."""
    scripts = {"reasoner": scripted_reasoner(), "critic": scripted_critic()}
    return {
        way: await search(
            config,
            rows,
            lambda role, num=num: [SimulatedReplica(scripts[role]) for _ in range(num)],  # type: ignore[misc]
            is_by_problem=is_by_problem,
        )
        for way, (num, is_by_problem) in ways(replicas).items()
    }


class KeptReplica:
    """A vLLM engine that outlives the pools it is given to; each begins with empty caches."""

    def __init__(self, replica: VllmReplica) -> None:
        """Stand before an engine that is started."""
        self._replica = replica

    async def start(self) -> None:
        """Empty the caches."""
        await self._replica.llm.reset_prefix_cache()
        await self._replica.llm.reset_mm_cache()

    async def call(self, request: GenerationRequest) -> Generation:
        """Return the engine's answer."""
        return await self._replica.call(request)

    async def check(self) -> None:
        """Check the engine."""
        await self._replica.check()

    async def stop(self) -> None:
        """Leave the engine running."""


async def compare_vllm(
    config: EngineConfig, rows: Sequence[ProblemRow], replicas: Sequence[int]
) -> dict[str, dict[str, Routed]]:
    """Return the figures of each way by role, with engines of vLLM."""
    models = {"reasoner": config.reasoner, "critic": config.critic}
    engines: dict[str, list[VllmReplica]] = {role: [] for role in ROLES}
    for role in ROLES:
        for _ in range(max(replicas)):
            engine = make_generator_replica(models[role], role)
            assert isinstance(engine, VllmReplica)
            await engine.start()
            engines[role].append(engine)
    found = {}
    for way, (num, is_by_problem) in ways(replicas).items():
        found[way] = await search(
            config,
            rows,
            lambda role, num=num: [KeptReplica(engine) for engine in engines[role][:num]],  # type: ignore[misc]
            is_by_problem=is_by_problem,
        )
        print(way, {role: f"{routed.hit_rate:.1%}" for role, routed in found[way].items()}, flush=True)
    for engine in (engine for some in engines.values() for engine in some):
        await engine.stop()
    return found


def lines_of(found: dict[str, dict[str, Routed]]) -> list[str]:
    """Return the report in Markdown."""
    lines = ["| replicas, routing | model | requests | prompt tokens | cached | of one replica's | most loaded |"]
    lines.append("|---" * 7 + "|")
    for way, by_role in found.items():
        for role, routed in by_role.items():
            total = sum(routed.usages, TokenUsage())
            share = routed.hit_rate / found[ONE][role].hit_rate
            cells = f"{total.num_requests:,} | {total.prompt_tokens:,} | {routed.hit_rate:.1%} | {share:.1%}"
            lines.append(f"| {way} | {role} | {cells} | {routed.most_load:.2f} x the mean |")
    return lines


def parse_args() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = problem_parser(__doc__, problems="runs/prefix_routing.jsonl")
    parser.add_argument("--config", default="mcts", help="the method")
    parser.add_argument("--engine", choices=("simulated", "vllm"), default="simulated", help="what the replicas are")
    parser.add_argument("--replicas", type=int, nargs="+", default=[2, 8], help="of each model")
    parser.add_argument("--in-flight", type=int, default=32, help="problems searched at the same time")
    return parser.parse_args()


def config_of(args: argparse.Namespace) -> EngineConfig:
    """Return the method with the models that the options name."""
    backend = "scripted" if args.engine == "simulated" else "vllm"
    overrides = [f"reasoner.backend={backend}", f"critic.backend={backend}", f"run.problems_in_flight={args.in_flight}"]
    return load_config(args.config, [*overrides, *args.overrides])


def main() -> None:
    """Measure, and print a table and the JSON line."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    args = parse_args()
    rows, config = load_rows(args), config_of(args)
    compare = compare_simulated if args.engine == "simulated" else compare_vllm
    found = asyncio.run(compare(config, rows, args.replicas))
    lines = lines_of(found)
    print("\n".join(lines))
    if args.report is not None:
        write_report(args.report, "Prefix caches of several replicas", lines)
    results = {
        way: {role: {"hit_rate": each.hit_rate, "most_load": each.most_load} for role, each in by_role.items()}
        for way, by_role in found.items()
    }
    print_report("prefix_routing", config=vars(args), results=results)


if __name__ == "__main__":
    main()
