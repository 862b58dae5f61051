"""The `avdet` command: one module a sub-command."""
