"""Does twice as much hardware search twice as fast?

    python -m bench.pool_scaling --report bench/results/pool_scaling.md

Run it from the root of the repository, where Ray is installed. Models are scripted and take 50 ms a call, so that
what is measured is the way to them and not their work. First a pool of 1 to 64 model actors gets as many requests as it
may hold, for a while each. Then 1 to 8 search workers, over two actors of each model, share the problems of a run, some
at a time each. At last the driver's memory is watched over 10,000 problems. The last line of stdout is one JSON object.
"""

import argparse
import asyncio
import functools
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from bench.provenance import print_report, write_report
from critic_engine.actors.actor_pool import ActorPool, image_sender
from critic_engine.actors.cluster import Cluster, connect
from critic_engine.actors.model_pools import open_hosted
from critic_engine.actors.search_pool import RemoteSearch, WorkerPool
from critic_engine.backends.scripted import ScriptedGenerator
from critic_engine.backends.scripted_roles import scripted_critic, scripted_reasoner
from critic_engine.config.engine import EngineConfig, load_config
from critic_engine.config.models import ActorConfig, RayConfig
from critic_engine.models.registry import ModelRole, model_key
from critic_engine.protocols import Generation, GenerationRequest, Generator
from critic_engine.replicas.pooled_model import ModelReplica
from critic_engine.run.runner import Runner
from critic_engine.run.store import RunStore
from critic_engine.types import Message, Problem, ProblemRow, SamplingOptions

Pool = ActorPool[GenerationRequest, Generation]
REQUEST = GenerationRequest(
    messages=(Message("user", "how many red circles are there ?"),),
    prefix="row 1 : a1 none b1 red circle c1 none\n",
    sampling=SamplingOptions(temperature=0.7, stop=("\n",)),
)


@dataclass(frozen=True)
class Point:
    """The speed with a number of actors."""

    num: int
    per_s: float
    """Requests or problems a second."""

    def efficiency(self, first: "Point") -> float:
        """Return the speed relative to linear growth from ``first``."""
        return self.per_s / (first.per_s * self.num / first.num)


def make_model(role: ModelRole, latency_s: float) -> Generator:
    """Return a scripted model."""
    return ScriptedGenerator(scripted_reasoner() if role == "reasoner" else scripted_critic(), latency_s=latency_s)


def open_pool(cluster: Cluster, role: ModelRole, config: ActorConfig, latency_s: float) -> Pool:
    """Return a pool of actors that hold a scripted model."""
    make = functools.partial(ModelReplica, functools.partial(make_model, role, latency_s))
    return ActorPool(make, config, num_gpus=0, name=role, cluster=cluster, images=image_sender())


async def requests_per_s(cluster: Cluster, num: int, args: argparse.Namespace) -> Point:
    """Return how fast ``num`` model actors answer when each always has as many requests as it may."""
    config = ActorConfig(num_replicas=num, num_cpus=0.01, max_in_flight=args.in_flight)
    pool = open_pool(cluster, "reasoner", config, args.latency_s)
    await pool.load()
    while pool.figures.num_ready < num:
        await asyncio.sleep(0.1)
    num_answers = 0
    ends_s = float("inf")

    async def ask() -> None:
        nonlocal num_answers
        while time.perf_counter() < ends_s:
            await pool.call(REQUEST)
            num_answers += 1

    callers = [asyncio.create_task(ask()) for _ in range(num * args.in_flight)]
    await asyncio.sleep(args.warm_up_s)
    num_before, started_s = num_answers, time.perf_counter()
    ends_s = started_s + args.seconds
    await asyncio.sleep(args.seconds)
    per_s = (num_answers - num_before) / (time.perf_counter() - started_s)
    await asyncio.gather(*callers)
    await pool.aclose()
    return Point(num, per_s)


async def search(
    config: EngineConfig,
    num_problems: int,
    cluster: Cluster,
    args: argparse.Namespace,
    on_answer: Callable[[int], None] = lambda number: None,
) -> float:
    """Return how many seconds the search workers take for so many problems, once they and their models are ready."""
    actors = ActorConfig(num_replicas=args.models, num_cpus=0.01, max_in_flight=4096)
    pools = {role: open_pool(cluster, role, actors, args.latency_s) for role in ("reasoner", "critic")}
    keys = {"reasoner": model_key(config.reasoner, "reasoner"), "critic": model_key(config.critic, "critic")}
    hosted = {keys[role]: pool.hosted for role, pool in pools.items()}
    await asyncio.gather(*(pool.load() for pool in pools.values()))
    workers = WorkerPool(config, functools.partial(open_hosted, hosted))
    await workers.load()
    while workers.figures.num_ready < config.ray.num_search_workers:
        await asyncio.sleep(0.1)
    store = RunStore.temporary()
    problems = (Problem(f"how many stars are there in sky {number} ?") for number in range(num_problems))
    store.add_rows(ProblemRow(number, str(number), problem) for number, problem in enumerate(problems, start=1))
    started_s = time.perf_counter()
    async with aclosing(Runner(store, config, begin=lambda task: RemoteSearch(task, workers)).answers()) as answers:
        number = 0
        async for answer in answers:
            assert answer.status == "answered", answer.error
            number += 1
            on_answer(number)
    seconds = time.perf_counter() - started_s
    store.close()
    await workers.aclose()
    await asyncio.gather(*(pool.aclose() for pool in pools.values()))
    return seconds


def search_config(num_workers: int, args: argparse.Namespace, *overrides: str) -> EngineConfig:
    """Return a search of scripted models in so many workers."""
    return load_config(
        "mcts",
        [
            "reasoner.backend=scripted",
            "critic.backend=scripted",
            "budget={max_simulations: 16}",
            "ray.address=local",
            f"ray.num_search_workers={num_workers}",
            "ray.num_cpus_per_worker=0.01",
            f"run.problems_in_flight={args.problems_in_flight * num_workers}",
            *overrides,
        ],
    )


async def problems_per_s(cluster: Cluster, num_workers: int, args: argparse.Namespace) -> Point:
    """Return how fast so many search workers are."""
    num_problems = args.problems_per_worker * num_workers
    seconds = await search(search_config(num_workers, args), num_problems, cluster, args)
    return Point(num_workers, num_problems / seconds)


async def memory_mib(cluster: Cluster, args: argparse.Namespace) -> dict[int, float]:
    """Return the driver's resident memory by the number of problems answered, over a long run."""
    samples: dict[int, float] = {}

    def sample(number: int) -> None:
        if number % (args.long_run // 10) == 0:
            samples[number] = resident_mib()

    config = search_config(2, args, "budget={max_simulations: 2}", "run.problems_in_flight=256")
    await search(config, args.long_run, cluster, args, sample)
    return samples


def resident_mib() -> float:
    """Return the resident memory of this process."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def table(what: str, unit: str, points: Sequence[Point]) -> list[str]:
    """Return a Markdown table, each number of actors beside the first."""
    lines = [f"| {what} | {unit} a second | of linear |", "|---|---|---|"]
    lines += [f"| {point.num} | {point.per_s:.1f} | {point.efficiency(points[0]):.2f} |" for point in points]
    return lines


async def measure(args: argparse.Namespace) -> tuple[list[Point], list[Point], dict[int, float]]:
    """Return all figures."""
    cluster = connect(RayConfig(address="local"), num_cpus=4)
    try:
        actors = [await requests_per_s(cluster, num, args) for num in args.actors]
        print("\n".join(table("model actors", "requests", actors)), flush=True)
        workers = [await problems_per_s(cluster, num, args) for num in args.workers]
        print("\n".join(table("search workers", "problems", workers)), flush=True)
        return actors, workers, await memory_mib(cluster, args)
    finally:
        cluster.close()


def parse_args() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actors", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64], help="model actors")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8], help="search workers")
    parser.add_argument("--latency-s", type=float, default=0.05, help="of one simulated model call")
    parser.add_argument("--in-flight", type=int, default=1, help="requests at one model actor")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each pool of model actors is measured")
    parser.add_argument("--warm-up-s", type=float, default=3.0, help="what goes before")
    parser.add_argument("--models", type=int, default=2, help="actors of each model that search workers use")
    parser.add_argument("--problems-in-flight", type=int, default=4, help="at one search worker")
    parser.add_argument("--problems-per-worker", type=int, default=48, help="searched by one search worker")
    parser.add_argument("--long-run", type=int, default=10_000, help="problems over which memory is watched")
    parser.add_argument("--report", type=Path, help="write the tables and their command to this Markdown file")
    return parser.parse_args()


def main() -> None:
    """Measure, and print tables and the JSON line."""
    args = parse_args()
    actors, workers, memory = asyncio.run(measure(args))
    lines = [*table("model actors", "requests", actors), "", *table("search workers", "problems", workers), ""]
    lines += ["| problems answered | driver's memory, MiB |", "|---|---|"]
    lines += [f"| {number} | {mib:.0f} |" for number, mib in memory.items()]
    print("\n".join(lines))
    if args.report is not None:
        write_report(args.report, "How pools of actors scale", lines)
    results = {
        "requests_per_s": {point.num: point.per_s for point in actors},
        "problems_per_s": {point.num: point.per_s for point in workers},
        "memory_mib": memory,
    }
    print_report("pool_scaling", config=vars(args), results=results)


if __name__ == "__main__":
    main()
