"""`python -m scripts.images build|sbom|push`, run by `make images`, `make sbom` and `make push`."""

import argparse
import shlex
import sys

from rich.console import Console
from rich.table import Table

from cortex.errors import ConfigError, CortexError
from cortex.fleet.tasks.image_digests import DIGESTS
from cortex.settings import Settings
from scripts.images.build import VARIANTS, Built, build, chosen, found
from scripts.images.push import push, write_digests


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.images", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("images", nargs="*", help="which (default: all)")
    shared.add_argument("--variant", choices=VARIANTS, default="cuda")
    build_verb = verbs.add_parser("build", parents=[shared], help="build images")
    build_verb.add_argument("--base-image", help="in place of the Dockerfile's base")
    build_verb.add_argument("--lean", action="store_true", help="without what SkyPilot runs in them")
    build_verb.add_argument("--options", default="", help="for `docker build`, such as --options='--network host'")
    verbs.add_parser("sbom", parents=[shared], help="write down what is in images that are built")
    push_verb = verbs.add_parser("push", parents=[shared], help="push images, and write down their digests")
    push_verb.add_argument("--registry", default=Settings().registry, help="host/folder")
    push_verb.add_argument("--dirty", action="store_true", help="also what is not as committed")
    args = parser.parse_args()
    try:
        VERBS[args.verb](args)
    except CortexError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code)


def build_images(args: argparse.Namespace) -> None:
    options = shlex.split(args.options)
    names = chosen(args.images)
    show([build(name, args.variant, lean=args.lean, base_image=args.base_image, options=options) for name in names])


def write_sboms(args: argparse.Namespace) -> None:
    from scripts.images.sbom import sbom_path, write_sbom

    for name in chosen(args.images):
        path = write_sbom(found(name, args.variant), sbom_path(name, args.variant))
        print(f"{name}: {path}")


def push_images(args: argparse.Namespace) -> None:
    from scripts.images.sbom import sbom_path, write_sbom

    if not args.registry:
        raise ConfigError("no registry: `make push REGISTRY=host/folder`, or set CORTEX_REGISTRY")
    for image in [found(name, args.variant) for name in chosen(args.images)]:
        reference = push(image, args.registry, dirty=args.dirty)
        write_sbom(image, sbom_path(image.name, image.variant))
        write_digests({image.name: reference})
        print(f"{image.name}: {reference}")
    print(f"digests: {DIGESTS}")


def show(images: list[Built]) -> None:
    table = Table(box=None, header_style="")
    for column in ("image", "variant", "MB", "seconds", "id"):
        table.add_column(column, justify="right" if column in ("MB", "seconds") else "left")
    for image in images:
        size, seconds = f"{image.size / 1e6:,.0f}", f"{image.seconds:.0f}"
        table.add_row(f"cortex-{image.name}", image.variant, size, seconds, image.identity.removeprefix("sha256:")[:12])
    Console().print(table)


VERBS = {"build": build_images, "sbom": write_sboms, "push": push_images}

if __name__ == "__main__":
    main()
