"""SigFormer at the resolution of the picture: our own form, ``sigformer.form: full``."""
