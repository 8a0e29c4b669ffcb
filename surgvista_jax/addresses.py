"""What is an address in a bucket, such as gs://bucket/folder, and no path of this machine?

As a path, such an address would be a folder called `gs:` below the current one, and what is written
there would be nowhere where its user looks for it.
"""

import os
import re
from pathlib import PurePath

from surgvista_jax.errors import UserError

# Of object stores, as fsspec and their own tools write them.
_SCHEMES = (
    *("gs", "gcs", "s3", "s3a", "r2", "b2", "az", "abfs", "abfss", "adl", "wasb", "wasbs"),
    *("oci", "oss", "cos", "cosn", "obs", "swift", "hdfs", "webhdfs"),
)
_ADDRESS = re.compile(rf"(?<![a-z0-9])({'|'.join(_SCHEMES)})://", re.IGNORECASE)


def is_address(text: str) -> bool:
    """Whether a word of the command line holds an address in a bucket."""
    return _ADDRESS.search(text) is not None


def in_bucket(path: str | os.PathLike) -> bool:
    """Whether a path was an address; `pathlib` takes one of its slashes away."""
    first = PurePath(path).parts[:1]
    return bool(first) and first[0].endswith(":") and first[0][:-1].lower() in _SCHEMES


def address_of(path: str | os.PathLike) -> str:
    """The address that a path was, without a slash at its end."""
    scheme, rest = str(PurePath(path)).split(":", 1)
    return f"{scheme.lower()}://{rest.lstrip('/')}"


def refuse_address(path: str | os.PathLike) -> None:
    """Refuses a path that was an address.

    Raises:
        UserError: a folder of this machine is wanted here.
    """
    if in_bucket(path):
        raise not_here(address_of(path))


def not_here(address: str) -> UserError:
    """The error for an address where a path is wanted."""
    return UserError(
        f"{address}: lies in a bucket, and here a file or folder of this machine is wanted (what"
        " takes addresses: --workdir and config.data.folder of `pretrain` and `finetune`); copy"
        " with `gcloud storage cp -r`, `aws s3 cp --recursive` or the like"
    )
