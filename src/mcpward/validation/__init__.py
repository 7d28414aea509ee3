"""Arguments: well formed, declared, within bounds and sensible, or refused with path and rule. Never with the value."""
