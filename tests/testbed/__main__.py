"""`python -m tests.testbed VERB`: see `docs/testbed.md`."""

import argparse
import json
import os
import sys

from cortex.errors import CortexError
from tests.testbed.bed import Bed
from tests.testbed.place import Place
from tests.testbed.tasks import bare_pipeline


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.testbed", description="A cloud in a folder.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("up", help="raise the cloud, and start SkyPilot in it")
    verbs.add_parser("down", help="end everything; the cache and the logs stay")
    verbs.add_parser("status", help="what is up").add_argument("--json", action="store_true")
    reclaim = verbs.add_parser("reclaim", help="have the cloud take a machine back")
    reclaim.add_argument("machine")
    reclaim.add_argument("--notice", type=float, default=0, metavar="SECONDS", help="warn it that long before")
    drought = verbs.add_parser("drought", help="have the cloud sell no spot machine, or sell them again")
    drought.add_argument("when", choices=["begin", "end"])
    verbs.add_parser("pipeline", help="write the pipeline for the bed's machines, and say where: for `cortex launch`")
    run = verbs.add_parser("run", help="run a program in the bed: sky, cortex, a shell")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="PROGRAM ...")
    args = parser.parse_args()
    bed = Bed(Place.default())
    try:
        act(bed, args)
    except CortexError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def act(bed: Bed, args: argparse.Namespace) -> None:
    match args.verb:
        case "up":
            bed.up()
            print(f"try: {sys.executable} -m tests.testbed run sky jobs queue\nlogs: {bed.place.logs}")
        case "down":
            print("down" if bed.down() else "nothing was up")
        case "status":
            show(bed, as_json=args.json)
        case "reclaim":
            bed.reclaim(args.machine, args.notice)
            print(f"{args.machine}: reclaimed in {args.notice:g} s")
        case "drought":
            bed.drought(args.when == "begin")
            print("no spot machine is sold" if args.when == "begin" else "spot machines are sold")
        case "pipeline":
            print(bare_pipeline(bed.place.home / "pipeline.yaml"))
        case _:
            words = [word for word in args.words if word != "--"] or [os.environ.get("SHELL", "bash")]
            command = bed.command(words)
            os.execvpe(command[0], command, bed.variables())


def show(bed: Bed, *, as_json: bool) -> None:
    status = bed.status()
    if as_json:
        print(json.dumps(status, indent=1))
        return
    print(f"{status['phase']}; {len(status['machines'])} machines; logs: {bed.place.logs}")
    for machine in status["machines"]:
        kind = "spot" if machine["spot"] else "on demand"
        health = "runs" if machine["running"] else "does not run"
        taken = ", to be reclaimed" if machine["reclaimed_at"] else ""
        print(f"  {machine['id']}  {machine['type']} {kind}, {machine['zone']}, {machine['public']}: {health}{taken}")


if __name__ == "__main__":
    main()
