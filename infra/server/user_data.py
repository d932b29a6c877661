"""User data of the server's first boot: its settings, and a script that downloads the archive and sets it up."""

import base64
import shlex
from collections.abc import Mapping
from typing import Any

import yaml

from infra.server.bundle import Bundle

LONGEST = 16 * 1024
"""Most bytes of user data that EC2 accepts."""

_SCRIPT = """\
#!/bin/bash
# The first boot of SkyPilot's server. What fails, such as a package index that does not answer, is tried again.
umask 077
mkdir -p /etc/cortex /opt/cortex
chmod 755 /etc/cortex /opt/cortex
base64 --decode > /etc/cortex/environment <<< {environment}
base64 --decode > /etc/cortex/sky.yaml <<< {sky}
umask 022
set_up() {{
  aws s3 cp --only-show-errors {url} /run/cortex.tar.gz &&
    sha256sum --check --quiet <<< {check} &&
    tar --extract --gzip --file /run/cortex.tar.gz --directory /opt/cortex --no-same-owner &&
    bash /opt/cortex/infra/server/setup.sh
}}
until set_up; do
  sleep 15
done
"""


def user_data(
    *, bundle: Bundle, bucket: str, region: str, sky: Mapping[str, Any], environment: Mapping[str, str]
) -> str:
    """The script that EC2 runs as root when the machine first starts.

    `sky` is SkyPilot's configuration on the server, `environment` the variables of SkyPilot and of the kit. Neither
    holds a secret, since everyone who may describe the machine can read its user data.
    """
    variables = {**environment, "AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    script = _SCRIPT.format(
        environment=_encoded("".join(f"{name}={value}\n" for name, value in variables.items())),
        sky=_encoded(yaml.safe_dump(dict(sky), sort_keys=False)),
        url=shlex.quote(f"s3://{bucket}/{bundle.key}"),
        check=shlex.quote(f"{bundle.digest}  /run/cortex.tar.gz"),
    )
    assert len(script.encode()) <= LONGEST, f"{len(script.encode())} bytes of user data"
    return script


def _encoded(text: str) -> str:
    """The text in base64, which needs no quoting in a shell."""
    return base64.b64encode(text.encode()).decode()
