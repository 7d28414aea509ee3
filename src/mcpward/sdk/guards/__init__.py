"""Guards: rules of sense, beyond well-formedness. Each is published with the schema, and refuses with a sentence."""
