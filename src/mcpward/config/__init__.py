"""Settings: TOML, environment and flags become frozen values, or every problem at once. Knows only core."""
