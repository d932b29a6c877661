"""Live data: services that are asked over the network, and the files that their answers are kept in."""
