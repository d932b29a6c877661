"""`check_answer_lengths` as a program of the sft image: `... LABELS BASE`; the profile's JSON is its standard input."""

import sys
from pathlib import Path

from cortex.errors import CortexError
from cortex.profiles.profile import Profile
from cortex.trainers.answer_lengths import answer_lengths, check_answer_lengths

labels, base = Path(sys.argv[1]), Path(sys.argv[2])
try:
    check_answer_lengths(Profile.from_json(sys.stdin.buffer.read(), "given"), labels, base)
except CortexError as error:
    sys.exit(f"{error.exit_code}: {error}")
print(answer_lengths(labels, base / "tokenizer.json"))
