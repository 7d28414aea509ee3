"""The rules of an author's types and schemas: arguments in, results out, and the cost of checking them."""
