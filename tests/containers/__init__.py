"""The images, built and run as the documentation describes."""
