"""Studies of many training runs: tables, searches, costs."""
