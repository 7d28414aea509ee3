"""What an author may ask of the client: forms, model output, roots."""
