"""The selector: which of the boxes that teachers see sounds, learned without anybody saying so."""
