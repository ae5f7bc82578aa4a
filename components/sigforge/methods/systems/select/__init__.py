"""The head alone, the control of SigFusion's forms: what choosing between the sources is worth without SigFormer."""
