"""Access to a site: for users with a password, and for pages of other origins."""
