"""A local warehouse that speaks Flipside's protocol, for rehearsals and tests without the service."""
