"""What an author's types and schemas allow: arguments in, results out, and what checking them may cost."""
