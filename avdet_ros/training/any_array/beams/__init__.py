"""What comes from each direction, with the blur of the array taken off; nothing is learned."""
