"""The gateway: a verified release behind an OpenAI-compatible engine, with an endpoint for each domain."""
