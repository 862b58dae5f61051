"""Sound by direction with the array's blur removed; nothing here is learned."""
