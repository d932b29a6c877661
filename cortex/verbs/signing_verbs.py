"""Verbs that make keys, and sign releases with them."""

from pathlib import Path
from typing import Annotated

import typer

from cortex.errors import UsageError
from cortex.verbs.options import read_path

app = typer.Typer()


@app.command()
def keys(
    folder: Annotated[
        Path | None,
        typer.Argument(
            parser=read_path, metavar="DIR", help="The folder for the key pair; default: keys under CORTEX_HOME."
        ),
    ] = None,
) -> None:
    """Make a key pair to sign releases with; in the default folder, it signs every release that is downloaded."""
    from cortex.artifacts.signing_keys import make_keys
    from cortex.artifacts.trust import fingerprint
    from cortex.settings import Settings

    private, public = make_keys(folder or Settings().keys)
    print(f"{private}: keep it to yourself")
    print(f"{public} ({fingerprint(public)}): give it to those who check your releases")


@app.command()
def sign(
    target: Annotated[str, typer.Argument(metavar="DIR|RUN", help="A downloaded release, or its run.")],
    key: Annotated[
        Path | None,
        typer.Option(parser=read_path, metavar="PATH", help="The private key. Default: your own, else a login."),
    ] = None,
) -> None:
    """Sign a release with OpenSSF model-signing: write `model.sig` beside its files; for a RUN, to its bucket, too."""
    from cortex.artifacts.open_store import open_store
    from cortex.artifacts.receipt import Receipt
    from cortex.artifacts.signature import sign as write_signature
    from cortex.artifacts.signing_keys import PRIVATE_KEY
    from cortex.artifacts.verify import verify as check
    from cortex.fleet.home.download import sign_release
    from cortex.settings import Settings

    settings, folder = Settings(), read_path(target)
    own = settings.keys / PRIVATE_KEY
    key = key or (own if own.exists() else None)
    if folder.is_dir():
        check(folder).require()
        print(f"{write_signature(folder, key)}: written")
        return
    receipt = Receipt.read(settings.home.absolute(), target)
    if receipt is None:
        raise UsageError(f"{target} is neither a folder nor a run whose release is here: cortex download {target}")
    sign_release(target, open_store(settings.bucket_url), receipt.path, key)
    print(f"{receipt.path}: signed, and the signature is beside the bucket's copy")
