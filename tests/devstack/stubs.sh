#!/bin/bash
# What the plugin needs of devstack; what touches the machine is only recorded.

CALLS=$WORK/calls
DEST=$WORK/dest
SERVICE_HOST=${SERVICE_HOST:-192.0.2.10}
SERVICE_PROTOCOL=http
SERVICE_TIMEOUT=60
SERVICE_PASSWORD=secret
SERVICE_DOMAIN_NAME=Default
SERVICE_PROJECT_NAME=service
KEYSTONE_SERVICE_URI=http://192.0.2.10/identity
REGION_NAME=RegionOne
ETCD_PORT=2379
API_WORKERS=${API_WORKERS:-2}
ENABLE_DEBUG_LOG_LEVEL=True
STACK_USER=$(id -un)
ENABLED_SERVICES=${ENABLED_SERVICES-keystone}

function record {
    echo "$*" >>$CALLS
}

function die {
    record die "$@"
    exit 1
}

source $(dirname ${BASH_SOURCE[0]})/functions.sh

function configure_keystone_authtoken_middleware {
    record configure_keystone_authtoken_middleware "$@"
    iniset "$1" "$3" auth_type password
    iniset "$1" "$3" auth_url $KEYSTONE_SERVICE_URI
    iniset "$1" "$3" username "$2"
    iniset "$1" "$3" password $SERVICE_PASSWORD
    iniset "$1" "$3" service_type "$4"
}

function setup_logging {
    iniset "$1" DEFAULT logging_context_format_string "%(color)s%(levelname)s %(message)s"
}

function which {
    echo "/usr/local/bin/$1"
}

function wait_for_service {
    record wait_for_service "$@"
    [[ -z ${NEVER_HEALTHY:-} ]]
}

# The program itself, as setup_develop installs it.
function factstore {
    record factstore "$@"
    PYTHONPATH=$FACTSTORE_DIR $PYTHON -m factstore.cmd.main "$@"
}

for stub in setup_develop create_service_user get_or_create_service get_or_create_endpoint \
        run_process stop_process enable_apache_site disable_apache_site restart_apache_server; do
    eval "function $stub { record $stub \"\$@\"; }"
done
