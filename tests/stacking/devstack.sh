#!/bin/bash
# What the plugin needs of devstack, which really installs, registers and starts, below $WORK.
#
# $RELEASE is the OpenStack release, and $CONSTRAINTS the directory or URL with the list of its packages.

DEST=$WORK/dest
DATA_DIR=$WORK/data
SERVICE_PROTOCOL=http
SERVICE_TIMEOUT=60
SERVICE_PASSWORD=stacking
SERVICE_DOMAIN_NAME=Default
SERVICE_PROJECT_NAME=service
REGION_NAME=RegionOne
API_WORKERS=2
ENABLE_DEBUG_LOG_LEVEL=True
STACK_USER=$(id -un)
ENABLED_SERVICES=keystone,memcached,h-eng
VENV=$DATA_DIR/venv
PATH=$VENV/bin:$PATH

source $(dirname ${BASH_SOURCE[0]})/../devstack/functions.sh

function die {
    shift
    echo "$*" >&2
    exit 1
}

function pip_install {
    $VENV/bin/pip install --quiet --constraint $CONSTRAINTS/$RELEASE "$@"
}

# devstack's services share one environment.
function install_base {
    $PYTHON -m venv $VENV
    pip_install keystone gunicorn python-memcached python-openstackclient
}

# The plugin of Heat is enabled before ours.
function install_heat {
    local -A versions=([2025.1]=24 [2025.2]=25 [2026.1]=26)
    pip_install openstack-heat==${versions[$RELEASE]}.* python-heatclient
}

function setup_develop {
    pip_install --editable "$1[$2]"
}

# As lib/keystone's.
function configure_keystone_authtoken_middleware {
    local file=$1 user=$2 section=$3 type=$4
    iniset $file $section interface public
    iniset $file $section auth_type password
    iniset $file $section auth_url $KEYSTONE_SERVICE_URI
    iniset $file $section www_authenticate_uri $KEYSTONE_SERVICE_URI
    iniset $file $section username $user
    iniset $file $section password $SERVICE_PASSWORD
    iniset $file $section user_domain_name "$SERVICE_DOMAIN_NAME"
    iniset $file $section project_name $SERVICE_PROJECT_NAME
    iniset $file $section project_domain_name "$SERVICE_DOMAIN_NAME"
    iniset $file $section memcached_servers $MEMCACHE_SERVERS
    iniset $file $section service_type $type
}

function setup_logging {
    iniset $1 DEFAULT logging_context_format_string "%(color)s%(levelname)s %(name)s [%(request_id)s] %(message)s"
    iniset $1 DEFAULT logging_default_format_string "%(color)s%(levelname)s %(name)s [-] %(message)s"
}

function create_service_user {
    openstack user create --or-show --domain "$SERVICE_DOMAIN_NAME" --password $SERVICE_PASSWORD $1 -f value -c id
    openstack role add --user $1 --user-domain "$SERVICE_DOMAIN_NAME" \
        --project $SERVICE_PROJECT_NAME --project-domain "$SERVICE_DOMAIN_NAME" service
}

function get_or_create_service {
    openstack service show $2 -f value -c id 2>/dev/null ||
        openstack service create --name $1 --description "$3" $2 -f value -c id
}

function get_or_create_endpoint {
    local found
    found=$(openstack endpoint list --service $1 --interface public --region $2 -f value -c ID)
    [[ -n $found ]] || openstack endpoint create --region $2 $1 public $3 -f value -c id
}

# devstack starts a systemd unit, whose environment is that of systemd.
function run_process {
    mkdir -p $WORK/run
    setsid env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        $2 >>$WORK/run/$1.log 2>&1 </dev/null &
    echo $! >$WORK/run/$1.pid
}

function stop_process {
    local pid
    pid=$(cat $WORK/run/$1.pid 2>/dev/null) || return 0
    kill $pid 2>/dev/null || true
    tail --pid=$pid -f /dev/null
    rm $WORK/run/$1.pid
}

function wait_for_service {
    timeout $1 sh -c "until curl -sf --noproxy '*' $2 >/dev/null; do sleep 1; done"
}

function enable_apache_site {
    ln -sf $(apache_site_config_for $1) $WORK/enabled/
}

function disable_apache_site {
    rm -f $WORK/enabled/$1.conf
}

function restart_apache_server {
    local modules=/usr/lib/apache2/modules mod
    {
        echo "ServerRoot $WORK"
        echo "DefaultRuntimeDir $WORK"
        echo "PidFile $WORK/run/apache.pid"
        echo "ErrorLog $WORK/run/apache.log"
        echo "ServerName $SERVICE_HOST"
        echo "Listen $SERVICE_HOST"
        for mod in mpm_event authz_core $(sort -u $WORK/modules); do
            [[ ! -e $modules/mod_$mod.so ]] || echo "LoadModule ${mod}_module $modules/mod_$mod.so"
        done
        [[ $(id -u) != 0 ]] || printf '%s\n' 'User nobody' 'Group nogroup'
        echo "IncludeOptional $WORK/enabled/*.conf"
    } >$WORK/apache.conf
    mkdir -p $WORK/run
    /usr/sbin/apache2 -f $WORK/apache.conf -k restart
}
