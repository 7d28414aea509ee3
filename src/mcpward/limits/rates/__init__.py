"""How often: rates and quotas of callers, addresses and budgets, and the loop detector."""
