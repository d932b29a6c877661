"""Preview, create or destroy a stack, or write the policies that this needs: `python -m infra.stack up dev`.

Pulumi does the work, and asks before it changes anything. Once a stack is up, the kit's files are pointed to it. A
stack is destroyed only once verified copies of all its releases are on this disk.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store
from cortex.errors import ConfigError, CortexError, StageError
from cortex.settings import CHECKOUT, Settings
from cortex.yaml_reader import read_yaml
from infra import kit_files
from infra.config import RENEW, read
from infra.cost import describe_cost
from infra.google.standing import require_no_machines
from infra.names import Names
from infra.operators.launcher import launcher_policy
from infra.operators.raiser import raiser_policy
from infra.outputs import GroundOutputs
from infra.pulumi_program import find_pulumi
from infra.releases import require_copies
from infra.standing import require_empty
from infra.unfinished import require_none

PROGRAM = Path(__file__).resolve().parent

PASSPHRASE = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")
"""Variables with the passphrase for a stack's secrets, needed where no service keeps its state. It may be empty."""


SERVER_URN = "**$aws:ec2/instance:Instance::server"
"""Pattern of Pulumi's name of the server's machine."""


class Stack:
    """One stack, through Pulumi's command line.

    Raises:
        ConfigError: the stack's settings cannot be used, or Pulumi is not here and cannot be downloaded.
        StageError: Pulumi failed.
    """

    def __init__(self, name: str) -> None:
        self.config = read(PROGRAM, name)
        self.name = name

    def preview(self) -> None:
        """Show what `up` would change."""
        self._select()
        self._pulumi("preview", "--diff")

    def up(
        self,
        checkout: Path,
        *,
        yes: bool = False,
        renew_server: bool = False,
        open_store: Callable[[str], Store] = open_store,
    ) -> list[Path]:
        """Create or update the stack, point the kit to it, and return the files that do so.

        `renew_server` replaces the server by one with this checkout's SkyPilot and AWS's newest image, which does not
        know what the old one has launched.

        Raises:
            RefusedError: the server is to be renewed while a run is under way or a machine is in the network; or a
                region that is to be removed has machines.
        """
        self._select()
        if renew_server:
            self._require_nothing_runs(self.outputs(), open_store)
        self._require_left_regions_empty()
        replaced = ["--replace", SERVER_URN] if renew_server else []
        self._pulumi("up", *replaced, *(["--yes"] if yes else []), variables={RENEW: "1"} if renew_server else {})
        outputs = self.outputs()
        if outputs is None:
            raise ConfigError(f"stack {self.name} is up and has no outputs: look at it with `pulumi stack --show-ids`")
        return kit_files.write(outputs, checkout)

    def down(
        self,
        checkout: Path,
        home: Path,
        *,
        yes: bool = False,
        open_store: Callable[[str], Store] = open_store,
    ) -> list[Path]:
        """Destroy the stack except protected resources, and return the files that pointed the kit to it.

        Raises:
            RefusedError: a release in its bucket has no verified copy here, a run is under way, or a machine is in its
                network.
        """
        self._select()
        outputs = self.outputs()
        if outputs:
            os.environ.setdefault("AWS_REGION", outputs.region)
            for url in outputs.bucket_urls:
                require_copies(open_store(url), home)
        self._require_nothing_runs(outputs, open_store)
        self._pulumi("destroy", "--exclude-protected", *(["--yes"] if yes else []))
        return kit_files.remove(outputs, checkout) if outputs else []

    def write_policies(self, folder: Path) -> list[Path]:
        """Write the policies to create the stack and to launch on it as JSON, and return the files."""
        names = Names.of(self.config)
        folder.mkdir(parents=True, exist_ok=True)
        policies = {"raise": raiser_policy(names), "launch": launcher_policy(names)}
        paths = {folder / f"{names.prefix}-{kind}.json": text for kind, text in policies.items()}
        for path, text in paths.items():
            path.write_text(json.dumps(json.loads(text), indent=2) + "\n", encoding="utf-8")
        return list(paths)

    @cached_property
    def _program(self) -> str:
        return find_pulumi(Settings().home.absolute())

    def outputs(self) -> GroundOutputs | None:
        """The stack's outputs; None if it was never up, or is destroyed."""
        printed = self._pulumi("stack", "output", "--json", quiet=True)
        return None if printed.strip() in ("", "{}") else GroundOutputs.parse(printed)

    def _require_nothing_runs(self, outputs: GroundOutputs | None, open_store: Callable[[str], Store]) -> None:
        if outputs is None:
            return
        os.environ.setdefault("AWS_REGION", outputs.region)
        for url in outputs.bucket_urls:
            require_none(open_store(url))
        require_empty(outputs)
        if outputs.gcp:
            require_no_machines(outputs.gcp)

    def _require_left_regions_empty(self) -> None:
        """Refuse to remove a region that has machines: Pulumi would delete the network's rules first, so that nobody
        could reach the machines any more, and then could not delete the network."""
        try:
            before = self.outputs()
        except ConfigError:
            # Created by an older checkout, when a stack had one region: `up` adds the missing outputs.
            return
        left = [region for region in before.regions if region not in self.config.regions] if before else []
        if before and left:
            require_empty(before, left)

    def _require_passphrase(self) -> None:
        """Refuse to go on without a passphrase where Pulumi needs one: it asks for it at a terminal, but treats it as
        missing when a program reads its output.

        Otherwise a stack would be up and billed before its outputs could be read, and could not be destroyed.
        """
        if any(name in os.environ for name in PASSPHRASE):
            return
        settings = read_yaml(PROGRAM / f"Pulumi.{self.name}.yaml")
        if settings.get("secretsprovider", "passphrase") not in ("passphrase", "default"):
            return
        backend = str(json.loads(self._pulumi("whoami", "--json", quiet=True)).get("url", ""))
        if not backend.startswith(("https://", "http://")):
            raise ConfigError(
                f"Pulumi keeps its state in {backend}, and needs a passphrase for each stack's secrets there: export "
                f"{PASSPHRASE[0]} (an empty one will do) or {PASSPHRASE[1]}, or give the stack a key of the cloud: "
                f"`pulumi stack change-secrets-provider awskms://<key> --stack {self.name}`"
            )

    def _select(self) -> None:
        self._require_passphrase()
        self._pulumi("stack", "select", self.name, "--create", quiet=True)

    def _pulumi(self, *arguments: str, quiet: bool = False, variables: Mapping[str, str] = MappingProxyType({})) -> str:
        done = subprocess.run(
            [self._program, *arguments],
            cwd=PROGRAM,
            # Pulumi runs the program with the first `python3` on the PATH, so this one, with its packages, comes first.
            env={
                **os.environ,
                **variables,
                "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
            },
            stdout=subprocess.PIPE if quiet else None,
            text=True,
            check=False,
            encoding="utf-8",
        )
        if done.returncode:
            raise StageError(
                f"`pulumi {' '.join(arguments)}` in infra/ failed with {done.returncode}; it says why above"
            )
        return done.stdout or ""


def main(arguments: list[str] | None = None) -> None:
    """The command line; an error of the kit is one line on stderr and its exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.stack", description=__doc__)
    parser.add_argument("verb", choices=["preview", "up", "down", "policy"])
    parser.add_argument("stack", nargs="?", default="dev")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--renew-server", action="store_true", help="up: make SkyPilot's server anew")
    asked = parser.parse_args(arguments)
    try:
        stack = Stack(asked.stack)
        match asked.verb:
            case "preview":
                stack.preview()
                print(describe_cost(stack.config))
            case "up":
                for path in stack.up(CHECKOUT, yes=asked.yes, renew_server=asked.renew_server):
                    print(f"wrote {path}")
            case "policy":
                for path in stack.write_policies(Settings().home.absolute() / "policies"):
                    print(f"wrote {path}")
            case _:
                for path in stack.down(CHECKOUT, Settings().home, yes=asked.yes):
                    print(f"took the stack out of {path}")
    except CortexError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
