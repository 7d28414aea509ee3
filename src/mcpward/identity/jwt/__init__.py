"""JSON Web Tokens, verified by the rules of RFC 7519, RFC 8725 and RFC 9068."""
