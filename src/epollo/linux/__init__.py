"""System calls that Python lacks, and what is built from them; the only room with ctypes."""
