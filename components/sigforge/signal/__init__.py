"""Signal-level tools: batched, differentiable, one-dimensional."""
