"""The commands, a module for each room that they call; every one has `register(app)`."""
