"""Preview, raise or take down a stack, or write the rights that this takes: `python -m infra.stack up dev`.

Pulumi does the work and asks before it changes anything; what the kit needs to know is written when a stack is up, and
a stack is taken down only once every release is proven to be on this disk.
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

from cortex.artifacts.store import Store
from cortex.errors import ConfigError, CortexError, StageError
from cortex.settings import CHECKOUT, Settings
from cortex.yaml_reader import read_yaml
from infra import kit_files
from infra.config import RENEW, read
from infra.cost import described
from infra.google.standing import require_no_machines
from infra.names import Names
from infra.operators import launcher_policy, raiser_policy
from infra.outputs import GroundOutputs
from infra.pulumi_program import find_pulumi
from infra.releases import require_copies
from infra.standing import require_empty
from infra.unfinished import require_none

PROGRAM = Path(__file__).resolve().parent

PASSPHRASE = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")
"""Of what encrypts a stack's secrets, where no service keeps its state. An empty one is one, too."""


SERVER_URN = "**$aws:ec2/instance:Instance::server"
"""Matches the name that Pulumi gives to the server's machine."""


class Stack:
    """One stack, through Pulumi's command line.

    Raises:
        ConfigError: the stack's settings cannot be used, or Pulumi is not here and cannot be brought.
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
        open_store: Callable[[str], Store] = Store.open,
    ) -> list[Path]:
        """Raise the stack, and point the kit at it; the files that now do so.

        `renew_server` makes the server anew, with this checkout's SkyPilot and AWS's newest image; it forgets what it
        launched.

        Raises:
            RefusedError: the server is to be renewed while a run is under way, or a machine stands in the network; or a
                region is left in which one stands.
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
        open_store: Callable[[str], Store] = Store.open,
    ) -> list[Path]:
        """Take the stack down, all but what is protected; the files that pointed the kit at it.

        Raises:
            RefusedError: a release in its bucket has no verified copy here, a run is under way, or a machine stands in
                its network.
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
        """Write the rights of who raises the stack, and of who launches on it, as JSON; the files."""
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
        """What the stack gives to the kit; None if it never came up, or is down."""
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
        """Refuse to take a region out in which a machine stands. The network's rules would go first, so that nobody
        reached the machine any more, and then the network would stay."""
        try:
            before = self.outputs()
        except ConfigError:
            # Raised by an older checkout, when a stack had one region: `up` writes what is missing.
            return
        left = [region for region in before.regions if region not in self.config.regions] if before else []
        if before and left:
            require_empty(before, left)

    def _require_passphrase(self) -> None:
        """Refuse what Pulumi would ask for at a terminal, and take for missing once its output is read by a program.

        Raised without one, a stack would be up and billed before its outputs could be read, and could not be taken
        down.
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
            # Pulumi runs the program with the first `python3` there is: this one has what it imports.
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
                print(described(stack.config))
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
