"""Load an exported dataset with the real `datasets`, and print what it is: `python load_exported.py FOLDER`."""

import json
import sys

import datasets

folder, cache = sys.argv[1:]
found = {
    config: datasets.load_dataset(folder, config, cache_dir=cache)
    for config in datasets.get_dataset_config_names(folder)
}
print(
    json.dumps(
        {
            "sizes": {config: {split: len(rows) for split, rows in splits.items()} for config, splits in found.items()},
            "features": {name: repr(kind) for name, kind in found["default"]["train"].features.items()},
            "ids": found["default"]["train"]["id"][:],
            "row": {key: str(value) for key, value in found["default"]["test"][0].items()},
        }
    )
)
