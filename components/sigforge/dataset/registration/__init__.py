"""How far the two images of a pair are from lying on one another: estimated on edges, which all modalities share."""
