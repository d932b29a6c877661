"""Conversations of several turns, from files in the usual formats, as a domain."""

from cortex.domains.chat.domain import Chat

DOMAIN = Chat
