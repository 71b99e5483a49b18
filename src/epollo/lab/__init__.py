"""The lab: polling against event notification, measured on the reader's own machine, and drawn."""
