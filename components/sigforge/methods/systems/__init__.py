"""How the five systems beside SigFusion are trained: their options, batches and runs, each after its paper."""
