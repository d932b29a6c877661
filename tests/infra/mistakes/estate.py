"""Mistakes about images, money and the order of the house."""

import json

from tests.infra.checks import estate
from tests.infra.mistakes.edits import put, without
from tests.infra.mistakes.mistake import Mistake

KEEPS_ONE_IMAGE = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1},
                "action": {"type": "expire"},
            }
        ]
    }
)

ECR = "ecr/repository:Repository"
"""Google has repositories, too."""

MISTAKES = (
    Mistake("tags that move", ECR, put(image_tag_mutability="MUTABLE"), estate.images_are_fixed_and_scanned),
    Mistake("no scan", ECR, without("image_scanning_configuration"), estate.images_are_fixed_and_scanned),
    Mistake(
        "images in use expire", "LifecyclePolicy", put(policy=KEEPS_ONE_IMAGE), estate.images_are_fixed_and_scanned
    ),
    Mistake("no alarm", "Budget", put(notifications=[]), estate.spend_sounds_an_alarm),
    Mistake("alarm for the year", "Budget", put(time_unit="ANNUALLY"), estate.spend_sounds_an_alarm),
    Mistake("budget in thousands", "Budget", put(limit_amount="200000"), estate.spend_sounds_an_alarm),
    Mistake("no default tags", "aws", without("default_tags"), estate.everything_is_tagged),
    Mistake("any account", "aws", put(allowed_account_ids="[]"), estate.everything_is_in_the_named_account),
    Mistake(
        "bucket emptied on the way down",
        "Bucket",
        put(force_destroy=True),
        estate.data_outlives_the_stack,
        "artifacts",
    ),
    Mistake("key gone in a week", "Key", put(deletion_window_in_days=7), estate.data_outlives_the_stack),
)
