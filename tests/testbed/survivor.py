"""What the spot job of `test_recovery.py` runs on its machines: it says in the bucket what it sees there."""

import os
import time
import urllib.error
import urllib.request

from cortex.artifacts.store import MissingObjectError, Store

SERVICE = "http://169.254.169.254/latest"
LIFETIME, TOKEN = "X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token"


def ask(path: str, header: tuple[str, str] | None = None, method: str = "GET") -> str | int:
    """What the metadata service answers, or the status with which it refuses."""
    headers = dict([header]) if header else {}
    request = urllib.request.Request(f"{SERVICE}/{path}", method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code


def main() -> None:
    store = Store.open(os.environ["CORTEX_BUCKET"])

    def tell(key: str, value: str | int) -> None:
        store.put(f"survivor/{key}", str(value).encode())

    tell("without-token", ask("meta-data/instance-id"))
    token = TOKEN, str(ask("api/token", (LIFETIME, "600"), "PUT"))
    machine = ask("meta-data/instance-id", token)
    tell("identity", ask("dynamic/instance-identity/document", token))
    tell("life-cycle", ask("meta-data/instance-life-cycle", token))
    try:
        store.get("survivor/notice")
    except MissingObjectError:
        tell("too-early", ask("meta-data/spot/instance-action", token))
        tell("first", machine)
    else:
        tell("second", machine)
        return
    while isinstance(notice := ask("meta-data/spot/instance-action", token), int):
        time.sleep(1)
    tell("rebalance", ask("meta-data/events/recommendations/rebalance", token))
    tell("notice", notice)
    time.sleep(600)


if __name__ == "__main__":
    main()
