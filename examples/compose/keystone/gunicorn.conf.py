# Keystone parses the arguments of its process, so gunicorn gets none.
wsgi_app = "keystone.wsgi.api:application"
bind = "0.0.0.0:5000"
worker_class = "gthread"
# One request at a time, because SQLite refuses transactions that meet.
workers = 1
threads = 1
control_socket_disable = True
