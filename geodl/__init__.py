"""geodl."""
