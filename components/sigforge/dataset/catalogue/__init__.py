"""What is known of public data sets: where they are, under which terms, how their files pair. One YAML file each."""
