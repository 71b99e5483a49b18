"""What a site answers and why, and what is wrong with it: found by the code that serves."""
