"""Speed and cost of a served model: load on an endpoint, and the volume at which a training pays for itself."""
