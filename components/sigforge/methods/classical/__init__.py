"""Classical fusion methods, one module each; the registry imports them when it is first asked."""
