"""Opening the store of runs that an address names: a folder of this machine, or a bucket."""

from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.patience import Patience
from cortex.artifacts.store import Store
from cortex.errors import ConfigError
from cortex.urls import folder_of, read_bucket_url


def open_store(url: str, patience: Patience | None = None) -> Store:
    """Open a store: a folder's path, `file:///folder`, or `s3://bucket/prefix` (`gs://`, `az://` likewise).

    Credentials, region and endpoint (`AWS_ENDPOINT_URL` and its like) come from the environment. `patience` is for
    buckets: with an infinite deadline, a request is retried until the bucket answers.

    Raises:
        ConfigError: the URL's scheme or form is not one of these.
    """
    try:
        place = read_bucket_url(url)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    folder = folder_of(place)
    if folder:
        return FolderStore(folder)
    # Imported where a bucket is used: its client takes a tenth of a second to load.
    from cortex.artifacts.remote_store import RemoteStore

    return RemoteStore(place, patience)
