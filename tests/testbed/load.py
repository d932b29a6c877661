"""Load on a service in the bed, and what became of each request.

`load.py URL WORKERS FOLDER`: WORKERS ask one after the other until `FOLDER/stop` exists. Each request is a line of
`FOLDER/requests.jsonl`: when it began, how long it took, its tries (a client tries again, a second later), the statuses
of those that failed, and who answered.
"""

import json
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

TRIES = 10
TIMEOUT = 90.0
"""Seconds that a client waits for an answer."""


def ask(url: str, number: int) -> dict[str, Any]:
    """Ask once, and again after a failure; `answer` is None where every try failed."""
    began, faults, answer = time.time(), list[str](), None
    while answer is None and len(faults) < TRIES:
        request = urllib.request.Request(f"{url}/answer", data=json.dumps({"number": number}).encode())
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as reply:
                answer = json.load(reply)
        except urllib.error.HTTPError as error:
            faults.append(f"{error.code}")
        except (OSError, ValueError) as error:
            faults.append(type(error).__name__)
        if answer is None:
            time.sleep(1)
    return {"began": began, "seconds": round(time.time() - began, 3), "faults": faults, "answer": answer}


def main() -> None:
    url, workers, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    guard, stop = threading.Lock(), folder / "stop"

    def work(worker: int) -> None:
        number = 0
        while not stop.exists():
            done = {"worker": worker, **ask(url, number)}
            number += 1
            with guard, (folder / "requests.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(done) + "\n")

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
