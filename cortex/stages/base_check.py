"""Early check of the base model: what `sft` would refuse is refused before any label is paid for."""

import os

from loguru import logger

from cortex.bases.base_folder import check_base, is_folder, is_here
from cortex.bases.base_hub import HubSilentError, check_hub_base
from cortex.bases.base_pin import find_pin
from cortex.bases.teacher_fit import check_teacher
from cortex.runs.context import RunContext
from cortex.runs.stage_list import LOADING
from cortex.settings import Settings

HUB_SECONDS = 120.0
"""Time limit for the hub's files: short beside a stage, and enough for a large tokenizer on a slow line."""


def check_base_folder(context: RunContext, settings: Settings) -> None:
    """Refuse a base in a folder that `sft` could not train from.

    In a launched run, `data` and `label` run on a machine of their own, and the folder may be in the other machines'
    images alone. Only there a missing folder is no fault.

    Raises:
        ConfigError: the folder lacks something; the message names it.
    """
    base = context.profile.model.base
    elsewhere = settings.profile_digest is not None and LOADING.isdisjoint(context.stages)
    if base and is_folder(base) and not is_here(base) and elsewhere:
        logger.warning(f"model.base {base} is not on this machine, so it was not looked at: `sft` needs it on its own")
        return
    check_base(base)


def check_teacher_or_warn(context: RunContext) -> None:
    """Refuse a teacher of `distill` whose tokenizer is another; if it cannot be looked at here, warn and go on.

    Raises:
        ConfigError: it has another tokenizer, or lacks a file.
    """
    if context.profile.distill is None:
        return
    try:
        check_teacher(context.profile, os.environ, HUB_SECONDS)
    except HubSilentError as error:
        logger.warning(f"{context.profile.distill.teacher.name} was not looked at before the labels: {error}")


def check_base_or_warn(context: RunContext, settings: Settings) -> None:
    """Refuse any base that `sft` could not train from; if the hub does not answer, warn and go on.

    Raises:
        ConfigError: the base lacks something; the message names it.
    """
    base = context.profile.model.base
    check_base_folder(context, settings)
    if base is None or is_folder(base):
        return
    try:
        pin = find_pin(context.store, context.secret)
        revision = pin.meta.get("revision") if pin else context.profile.model.revision
        check_hub_base(base, os.environ, HUB_SECONDS, str(revision) if revision else None)
    except HubSilentError as error:
        logger.warning(f"model.base {base} was not looked at before its labels: {error}")
