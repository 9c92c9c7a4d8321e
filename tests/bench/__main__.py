"""Compare pyd with a dockerd and print the table. See `make bench`.

Environment: PEER, a socket or a dockerd; ROUNDS, the measurements of each line (default 30).
"""

import os
import signal
import sys
import types

from bench import contestants, floors, stages
from bench.measure import Times, alternate
from support.needs import extend_path, lacks

_BUDGET = {"run": 0.25, "run --network none": 0.25, "exec": 0.5, "daemon": 0.6, "monitor": 0.2}


def say(line: str = "") -> None:
    """Print one line of the report."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _times(name: str, times: Times, *rest: str) -> None:
    say(
        f"{name:<34}{times.median:>9.1f}{times.p95:>9.1f}" + "".join(f"{word:>10}" for word in rest)
    )


def _compare(pyd: contestants.Contestant, peer: contestants.Contestant, rounds: int) -> None:
    say(f"{'milliseconds':<34}{'median':>9}{'p95':>9}{'ratio':>10}{'budget':>10}")
    with floors.instant_server() as nobody:
        boxes = {
            one.name: one.client.out("run", "-d", one.client.image, "sleep", "3600")
            for one in (pyd, peer)
        }
        cases = {
            "run": ("run", "--rm", contestants.IMAGE, "true"),
            "run --network none": ("run", "--rm", "--network", "none", contestants.IMAGE, "true"),
            "exec": ("exec", "BOX", "true"),
        }
        for case, words in cases.items():
            programs = {
                one.name: floors.measured(
                    one.client, *(boxes[one.name] if word == "BOX" else word for word in words)
                )
                for one in (pyd, peer)
            }
            programs["client alone"] = floors.measured(nobody, *words)
            results = alternate(programs, rounds=rounds)
            ratio = results[pyd.name].median / results[peer.name].median
            title = case if case == "exec" else case.replace("run", "run --rm", 1)
            _times(f"{title}: {pyd.name}", results[pyd.name], f"{ratio:.3f}", f"{_BUDGET[case]}")
            _times(f"{title}: {peer.name}", results[peer.name])
            _times(f"{title}: client alone", results["client alone"])
        for one in (pyd, peer):
            one.client.docker("rm", "-f", boxes[one.name])


def _runtimes(rounds: int) -> None:
    for name, times in floors.runtime_alone(rounds).items():
        _times(f"{name} alone", times)


def _weigh(pyd: contestants.Contestant, peer: contestants.Contestant) -> None:
    say()
    say(f"{'memory, MiB':<34}{'PSS':>9}{'RSS':>9}{'ratio':>10}{'budget':>10}")
    weights = {one.name: contestants.weigh(one) for one in (pyd, peer)}
    for what, title in (("daemon", "idle daemon"), ("monitor", "monitor of one container")):
        for name, weight in weights.items():
            pss, rss = weight[what]
            line = f"{f'{title}: {name}':<34}{pss:>9.2f}{rss:>9.2f}"
            if name == pyd.name:
                line += f"{pss / weights[peer.name][what][0]:>10.3f}{_BUDGET[what]:>10}"
            say(line)


def _stages(rounds: int) -> None:
    with contestants.pyd(log_level="debug") as (_, engine):
        program = floors.measured(engine, "run", "--rm", contestants.IMAGE, "true")
        alternate({"pyd": program}, rounds=rounds, warm_up=0)
        found = stages.read(engine.log)
    say()
    say(f"{'stages of one run inside pyd, ms':<34}{'median':>9}{'seen':>9}")
    for name, (middle, count) in found.items():
        say(f"  {name:<32}{middle:>9.2f}{count:>9}")
    if not found:
        say("  (the daemon's log has none)")


def main() -> int:
    """Measure and report."""
    extend_path()
    if reason := lacks("root") or lacks("docker"):
        say(f"make bench cannot run: {reason}")
        return 1
    rounds = int(os.environ.get("ROUNDS", "30"))

    def end(_number: int, _frame: types.FrameType | None) -> None:
        raise KeyboardInterrupt  # so that everything started is ended

    signal.signal(signal.SIGTERM, end)
    with (
        contestants.peer(os.environ.get("PEER", "")) as peer,
        contestants.pyd(log_level="info") as (pyd, _),
    ):
        client = pyd.client.out("version", "--format", "{{.Client.Version}}")
        say(f"pyd {pyd.version} against dockerd {peer.version}, docker client {client}")
        say(f"{rounds} rounds, alternating, on {os.cpu_count()} processors")
        say()
        _compare(pyd, peer, rounds)
        _runtimes(rounds)
        _weigh(pyd, peer)
    _stages(max(5, rounds // 2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
