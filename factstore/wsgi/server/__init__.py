"""The gunicorn worker class and its settings."""
