"""What a recipe file may say."""
