"""Everything that Dagster sees, and the command line. The only room that reads the environment."""
