"""Where a release can be sent: a folder, a bucket, the Hugging Face Hub, Zenodo."""
