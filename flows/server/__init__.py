"""The services behind the flows: the process that runs them, and the pages."""
