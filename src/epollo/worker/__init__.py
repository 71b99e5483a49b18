"""One process that serves: composed of a loop, a site and listeners, and taken apart again."""
