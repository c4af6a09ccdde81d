"""The commands of `flywheel`, one a file; importing one costs nothing but its options."""
