"""What a site answers and why, and what is wrong with it: without a server, by the code that serves."""
