"""A critic against an endpoint with every fault: what is lost, what is invented, what our side costs.

    python benchmarks/critic_load.py [--answers 10000] [--kills 5] [--provider anthropic]

The endpoint is a loopback server that speaks the vendor's protocol, answers from the oracle of the simulated world, has
10 slots of half a second a reply, and does something wrong in 12 ways, each at 2.5 % of the calls. `overhead` is the
time from the first call of each process to its end, against the time that the endpoint's slots were taken.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from doubles.critic_load import Load, run_load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--provider", default="openai")
    parser.add_argument("--seconds", type=float, default=0.5)
    options = parser.parse_args()
    load = Load(options.answers, kills=options.kills, provider=options.provider, seconds=options.seconds)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run_load(Path(folder), load), indent=2))


if __name__ == "__main__":
    main()
