"""Published fusion networks, rebuilt; their weights stay with their authors and are imported by the user."""
