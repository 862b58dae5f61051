"""The selector: which of the teachers' boxes sound, learned without or with few labels."""
