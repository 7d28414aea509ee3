"""Questions of an author to the client: forms, model output, roots."""
