"""The `avdet` command, with one module for each sub-command."""
