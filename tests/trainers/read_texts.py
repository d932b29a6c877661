"""A program of the sft image: streams sources, and continues each in its middle.

Reads a JSON list of {source, after} from standard input; its last line has for each its texts, and True where it
continued with the same ones after so many rows; or an error's class and message.
"""

import json
import sys
from typing import Any

from cortex.errors import CortexError
from cortex.trainers.text_source import StreamedRows, StreamedSource


def read(case: dict[str, Any]) -> dict[str, Any]:
    source = StreamedSource.model_validate(case["source"])
    try:
        rows = list(StreamedRows(source, None, None))
        begun = StreamedRows(source, None, None)
        reading = iter(begun)
        first = [next(reading) for _ in range(case["after"])]
        state = json.loads(json.dumps(begun.state_dict()))
        return {"rows": rows, "continued": [*first, *StreamedRows(source, None, state)] == rows}
    except CortexError as error:
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    found = [read(case) for case in json.load(sys.stdin)]
    print(json.dumps(found))
